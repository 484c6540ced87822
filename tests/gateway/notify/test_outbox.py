"""Sent once, tried again when it may help, recorded always; on a real HTTP server."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gateway.notify.outbox import SCHEDULE, Outbox, pause_after
from gateway.notify.webhook import TIMEOUT, webhook
from gateway.store.notices import DueNotice, next_due
from gateway.store.pool import Pool, connect
from tests.gateway.hook import Answer, Hook, hook
from tests.gateway.house import House, StillClock
from tests.gateway.notify.outgoing import NOW, SECRET, notices, recorded

# ---------------------------------------------------------------- what is sent


async def test_a_notice_is_sent_once_and_recorded(home: House, box: Outbox, receiver: Hook) -> None:
    await notices(home)

    assert await box.send_due() == 1
    assert await box.send_due() == 0

    row = await recorded(home)
    assert (row["state"], row["result"], row["attempts"]) == ("sent", "204", 1)
    assert (row["sent"], row["due"]) == (NOW, None)
    assert len(receiver.got) == 1


# ---------------------------------------------------------------- tried again


async def test_a_failed_attempt_is_made_again_with_the_same_id(
    home: House, box: Outbox, receiver: Hook, clock: StillClock
) -> None:
    await notices(home)
    receiver.answers(500, 204)

    await box.send_due()
    failed = await recorded(home)
    clock.at = failed["due"]
    await box.send_due()

    row = await recorded(home)
    assert (failed["state"], failed["result"]) == ("waiting", "500")
    assert timedelta(seconds=4.5) <= failed["due"] - NOW <= timedelta(seconds=5.5)
    assert (row["state"], row["attempts"]) == ("sent", 2)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1


async def test_ten_attempts_by_the_standards_schedule_and_then_it_is_given_up(
    home: House, box: Outbox, receiver: Hook, clock: StillClock
) -> None:
    await notices(home)
    receiver.answer = lambda _: Answer(503)
    waits: list[timedelta] = []

    while (row := await recorded(home))["due"] is not None:
        waits.append(row["due"] - clock.at)
        clock.at = row["due"]
        assert await box.send_due() == 1

    assert (row["state"], row["attempts"], len(receiver.got)) == ("given_up", 10, 10)
    assert row["result"] == "503, 10 times"
    for wait, usual in zip(waits, SCHEDULE, strict=True):
        assert usual * 0.9 <= wait <= usual * 1.1


async def test_gone_ends_it_at_once(home: House, box: Outbox, receiver: Hook) -> None:
    await notices(home)
    receiver.answers(410)

    await box.send_due()

    row = await recorded(home)
    assert (row["state"], row["attempts"], row["due"]) == ("given_up", 1, None)
    assert row["result"].startswith("410")


async def test_a_redirect_is_a_failure_and_is_not_followed(
    home: House, box: Outbox, receiver: Hook
) -> None:
    await notices(home)
    away = {"location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    receiver.answer = lambda _: Answer(302, headers=away)

    await box.send_due()

    row = await recorded(home)
    assert (row["state"], row["result"]) == ("waiting", "302")
    assert [got.path for got in receiver.got] == ["/hook"]


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("3600", 3600, 3600),
        ("1", 4.5, 5.5),  # sooner than our own schedule: ours counts
        ("99999999", 86_400, 86_400),
        ("soon", 4.5, 5.5),
        ("in an hour", 3500, 3600),  # as an HTTP date, made when the test runs
    ],
)
async def test_the_receivers_wish_to_wait_is_honoured_up_to_a_day(  # noqa: PLR0917 - fixtures
    home: House, box: Outbox, receiver: Hook, header: str, least: float, most: float
) -> None:
    await notices(home)
    if header == "in an hour":
        header = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    receiver.answer = lambda _: Answer(429, headers={"retry-after": header})

    await box.send_due()

    wait = ((await recorded(home))["due"] - NOW).total_seconds()
    assert least <= wait <= most


async def test_a_receiver_that_is_not_there_is_tried_again(
    home: House, pool: Pool, clock: StillClock
) -> None:
    async with hook() as gone:
        url = gone.url
    await notices(home)

    async with webhook(url, SECRET, production=True) as channel:
        await Outbox(pool, clock, {"webhook": channel}).send_due()

    row = await recorded(home)
    assert (row["state"], row["result"]) == ("waiting", "ConnectError")


async def test_a_receiver_that_never_answers_is_left_when_its_time_is_over(
    home: House, pool: Pool, receiver: Hook, clock: StillClock
) -> None:
    await notices(home)
    receiver.answer = lambda _: Answer(hang=True)

    async with webhook(receiver.url, SECRET, production=True, seconds=0.5) as channel:
        await Outbox(pool, clock, {"webhook": channel}).send_due()

    row = await recorded(home)
    assert (row["state"], row["result"]) == ("waiting", "no answer within 0.5 s")
    assert TIMEOUT == 15


async def test_a_channel_that_fails_in_itself_is_tried_again(
    home: House, pool: Pool, clock: StillClock
) -> None:
    class Broken:
        async def deliver(self, notice: DueNotice) -> str:
            raise ZeroDivisionError(notice.type)

    await notices(home)

    await Outbox(pool, clock, {"webhook": Broken()}).send_due()

    row = await recorded(home)
    assert (row["state"], row["result"]) == ("waiting", "ZeroDivisionError")


# ---------------------------------------------------------------- when the receiver is back


async def tried(home: House) -> list[tuple[str, int]]:
    """State and attempts of the notices, the oldest first."""
    rows = await home.rows("SELECT state, attempts FROM notice ORDER BY id")
    return [(row["state"], row["attempts"]) for row in rows]


async def test_after_a_delivery_what_failed_meanwhile_is_sent_at_once(
    home: House, box: Outbox, receiver: Hook, clock: StillClock
) -> None:
    receiver.answer = lambda _: Answer(503)
    for _ in range(20):
        await notices(home)
    for _ in range(4):  # to a pause of 30 minutes
        clock.at = max(row["due"] for row in await home.rows("SELECT due FROM notice"))
        while await box.send_due():
            pass
    receiver.answer = lambda _: Answer()
    clock.at += timedelta(seconds=30)
    await notices(home)
    await home.db.execute("UPDATE notice SET due = $1 WHERE attempts = 0", clock.at)
    receiver.got.clear()

    sent = [await box.send_due() for _ in range(3)]

    assert sent == [1, 16, 4]
    assert await tried(home) == [("sent", 5)] * 20 + [("sent", 1)]
    names = [got.headers["webhook-id"] for got in receiver.got]
    oldest = await home.rows("SELECT public FROM notice ORDER BY id LIMIT 16")
    assert set(names[1:17]) == {str(row["public"]) for row in oldest}


async def test_what_is_under_way_is_not_sent_a_second_time_by_the_delivery_of_another(
    home: House, box: Outbox, receiver: Hook
) -> None:
    await notices(home)
    await notices(home)
    receiver.answer = lambda _: Answer(wait=0 if len(receiver.got) == 1 else 0.5)

    sending = asyncio.create_task(box.send_due())
    await asyncio.sleep(0.3)
    assert [state for state, _ in await tried(home)].count("sent") == 1
    assert await box.send_due() == 0
    await sending

    assert len(receiver.got) == 2


async def test_a_notice_that_always_fails_is_not_used_up_by_the_deliveries_of_others(
    home: House, box: Outbox, receiver: Hook, clock: StillClock
) -> None:
    await notices(home)
    odd = str((await recorded(home))["public"])
    receiver.answer = lambda got: Answer(500 if got.headers["webhook-id"] == odd else 204)

    for _ in range(40):
        clock.at += timedelta(seconds=30)
        await notices(home)
        await home.db.execute("UPDATE notice SET due = $1 WHERE attempts = 0", clock.at)
        await box.send_due()

    state, attempts = (await tried(home))[0]
    assert state == "waiting"
    assert 10 < attempts <= 25


@pytest.mark.parametrize("kind", ["call_pressed", "unknown_device"])
async def test_a_call_is_tried_every_minute_for_four_hours_and_then_by_the_schedule(
    home: House, box: Outbox, receiver: Hook, clock: StillClock, kind: str
) -> None:
    await notices(home, kind=kind)
    receiver.answer = lambda _: Answer(503, headers={"retry-after": "3600"})
    waits: list[timedelta] = []

    while clock.at < NOW + timedelta(hours=4):
        await box.send_due()
        waits.append((await recorded(home))["due"] - clock.at)
        clock.at += waits[-1]
    receiver.answer = lambda _: Answer(503)
    await box.send_due()

    row = await recorded(home)
    assert set(waits) == {timedelta(seconds=60)}
    assert row["state"] == "waiting"
    assert timedelta(hours=4.5) <= row["due"] - clock.at <= timedelta(hours=5.5)


async def test_pressed_again_is_told_after_the_first_press_and_never_before(
    home: House, pool: Pool, box: Outbox, receiver: Hook, clock: StillClock
) -> None:
    await notices(home, "alert.raised", "alert.again", kind="call_pressed")
    receiver.answers(500, 204, 204)

    await box.send_due()
    assert await box.send_due() == 0
    assert await tried(home) == [("waiting", 1), ("waiting", 0)]
    first = (await home.rows("SELECT due FROM notice ORDER BY id"))[0]
    assert await next_due(pool, ["webhook"]) == first["due"]
    clock.at += timedelta(seconds=6)
    assert [await box.send_due(), await box.send_due()] == [1, 1]

    assert await tried(home) == [("sent", 2), ("sent", 1)]
    assert [json.loads(got.body)["type"] for got in receiver.got] == [
        "alert.raised",
        "alert.raised",
        "alert.again",
    ]


def test_after_every_attempt_the_pause_is_the_schedules_with_some_spread() -> None:
    assert len({pause_after(1, None) for _ in range(20)}) > 1


# ---------------------------------------------------------------- side by side, and crashes


async def test_two_outboxes_send_each_notice_once(
    home: House, box: Outbox, receiver: Hook, clock: StillClock
) -> None:
    for _ in range(60):
        await notices(home)
    async with (
        connect(home.settings(), "notify") as pool,
        webhook(receiver.url, SECRET, production=True) as channel,
    ):
        other = Outbox(pool, clock, {"webhook": channel})
        while any(await asyncio.gather(box.send_due(), other.send_due())):
            pass

    assert len(receiver.got) == len({got.headers["webhook-id"] for got in receiver.got}) == 60


async def test_a_notice_under_way_when_the_process_died_is_sent_again_with_its_id(
    home: House, box: Outbox, receiver: Hook, clock: StillClock
) -> None:
    await notices(home)
    receiver.answer = lambda _: Answer(hang=True)
    dying = asyncio.create_task(box.send_due())
    while not receiver.got:  # noqa: ASYNC110 - the other side of a socket
        await asyncio.sleep(0.01)
    dying.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await dying
    receiver.answer = lambda _: Answer()

    assert await box.send_due() == 0
    clock.at += timedelta(seconds=61)
    assert await box.send_due() == 1

    assert (await recorded(home))["state"] == "sent"
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1

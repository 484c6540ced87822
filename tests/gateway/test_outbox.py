"""Sent once, tried again when it may help, recorded always; on a real HTTP server."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import standardwebhooks

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from gateway import watch
from gateway.clock import WallClock
from gateway.health import Health
from gateway.home import Citizen
from gateway.notify import outbox
from gateway.notify.outbox import SCHEDULE, Outbox, pause_after
from gateway.notify.webhook import TIMEOUT, BadWebhook, webhook
from gateway.store.notices import DueNotice, next_due
from gateway.store.pool import Pool, connect
from tests.gateway.hook import Answer, Got, Hook, hook
from tests.gateway.house import House, Seen, StillClock, house

NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


@pytest.fixture
async def home(fresh_database: OneDatabase) -> AsyncIterator[House]:
    async with house(fresh_database) as made:
        yield made


@pytest.fixture
async def receiver() -> AsyncIterator[Hook]:
    async with hook() as made:
        yield made


@pytest.fixture
async def pool(home: House) -> AsyncIterator[Pool]:
    async with connect(home.settings(), "notify") as opened:
        yield opened


@pytest.fixture
def clock() -> StillClock:
    return StillClock(NOW)


@pytest.fixture
async def box(pool: Pool, receiver: Hook, clock: StillClock) -> AsyncIterator[Outbox]:
    async with webhook(receiver.url, SECRET, production=True) as channel:
        yield Outbox(pool, clock, {"webhook": channel})


async def notices(home: House, *types: str, kind: str = "night_door") -> None:
    """An alert with a notice to send of each of these types."""
    citizen = await home.citizen()
    alert = await home.db.fetchval(
        "INSERT INTO alert (municipality, district, citizen, kind, since, raised, reason)"
        " VALUES ($1, $2, $3, $5, $4, $4, 'Trykket') RETURNING id",
        home.municipality,
        home.district,
        citizen.number,
        NOW - timedelta(seconds=2),
        kind,
    )
    for one in types or ("alert.raised",):
        await home.db.execute(
            "INSERT INTO notice (municipality, alert, channel, type, made, due)"
            " VALUES ($1, $2, 'webhook', $4, $3, $3)",
            home.municipality,
            alert,
            NOW,
            one,
        )


async def recorded(home: House) -> dict[str, Any]:
    (row,) = await home.rows("SELECT * FROM notice")
    return row


# ---------------------------------------------------------------- what is sent


async def test_a_notice_is_sent_once_and_recorded(home: House, box: Outbox, receiver: Hook) -> None:
    await notices(home)

    assert await box.send_due() == 1
    assert await box.send_due() == 0

    row = await recorded(home)
    assert (row["state"], row["result"], row["attempts"]) == ("sent", "204", 1)
    assert (row["sent"], row["due"]) == (NOW, None)
    assert len(receiver.got) == 1


async def test_the_signature_is_what_the_standards_own_library_verifies(
    home: House, box: Outbox, receiver: Hook
) -> None:
    await notices(home, kind="call_pressed")
    await box.send_due()

    (got,) = receiver.got
    said = standardwebhooks.Webhook(SECRET).verify(got.body, got.headers)

    row = await recorded(home)
    (alert,) = await home.alerts()
    assert got.headers["webhook-id"] == str(row["public"])
    assert got.headers["content-type"] == "application/json"
    assert said == {
        "type": "alert.raised",
        "timestamp": NOW.isoformat(),
        "data": {
            "alert": str(alert["public"]),
            "kind": "call_pressed",
            "state": "new",
            "since": (NOW - timedelta(seconds=2)).isoformat(),
            "raised": (NOW - timedelta(seconds=2)).isoformat(),
            "late": False,
        },
    }
    assert len(got.body) < 20_000


async def test_a_body_that_was_changed_on_the_way_does_not_verify(
    home: House, box: Outbox, receiver: Hook
) -> None:
    await notices(home, kind="call_pressed")
    await box.send_due()

    (got,) = receiver.got
    changed = got.body.replace(b"call_pressed", b"night_door  ")
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(changed, got.headers)


async def test_the_citizens_name_is_in_nothing_that_is_sent(
    home: House, box: Outbox, receiver: Hook
) -> None:
    await notices(home)
    await home.db.execute(
        "INSERT INTO identity.citizen (municipality, citizen, name, address)"
        " SELECT municipality, id, 'Agnes Holm', 'Nørregade 7' FROM citizen"
    )

    await box.send_due()

    (got,) = receiver.got
    sent = got.body + json.dumps(got.headers).encode()
    assert b"Agnes" not in sent
    assert b"rregade" not in sent


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


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://receiver.example/hook", True),
        ("http://127.0.0.1:9/hook", True),
        ("http://[::1]:9/hook", True),
        ("http://localhost:9/hook", True),
        ("http://receiver.example/hook", False),
        ("http://10.0.0.1/hook", False),
        ("https://user:word@receiver.example/hook", False),
        ("ftp://receiver.example/hook", False),
        ("https:///hook", False),
    ],
)
async def test_in_production_only_https_or_this_machine_is_sent_to(url: str, *, fine: bool) -> None:
    async def opens() -> None:
        async with webhook(url, SECRET, production=True):
            pass

    if fine:
        await opens()
    else:
        with pytest.raises(BadWebhook, match="GATEWAY_WEBHOOK_URL"):
            await opens()


@pytest.mark.parametrize(
    "secret",
    [
        "",
        base64.b64encode(bytes(24)).decode(),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_not base64!",
    ],
)
async def test_a_secret_that_the_standard_does_not_allow_is_refused(secret: str) -> None:
    with pytest.raises(BadWebhook, match="GATEWAY_WEBHOOK_SECRET"):
        async with webhook("https://receiver.example/", secret, production=True):
            pass


# ---------------------------------------------------------------- the running stages


@contextlib.asynccontextmanager
async def running(home: House, receiver: Hook) -> AsyncGenerator[Health]:
    """Watch and notify as `gateway run` runs them."""
    settings = home.settings(webhook_url=receiver.url, webhook_secret=SECRET)
    clock, health = WallClock(), Health()
    stages = [
        asyncio.create_task(watch.run(settings, clock, health)),
        asyncio.create_task(outbox.run(settings, clock, health)),
    ]
    await asyncio.sleep(1)
    try:
        yield health
    finally:
        for stage in stages:
            stage.cancel()
        await asyncio.gather(*stages, return_exceptions=True)


async def got(receiver: Hook, count: int, seconds: float = 5) -> list[Got]:
    async with asyncio.timeout(seconds):
        while len(receiver.got) < count:  # noqa: ASYNC110 - the other side of a socket
            await asyncio.sleep(0.002)
    return receiver.got


async def pressing(home: House) -> tuple[Citizen, int]:
    citizen = await home.citizen()
    return citizen, await home.placed(citizen, "call")


async def test_from_a_stored_press_to_its_notice_takes_less_than_a_tenth_of_a_second(
    home: House, receiver: Hook
) -> None:
    citizen, button = await pressing(home)
    took: list[float] = []
    async with running(home, receiver) as health:
        for number in range(20):
            press = Seen(button, Kind.CALL_PRESSED, datetime.now(UTC), value=float(number))
            await home.deliver([citizen], [press])
            stored = asyncio.get_running_loop().time()
            took.append((await got(receiver, number + 1))[-1].at - stored)

    assert health.ready
    assert sorted(took)[len(took) // 2] < 0.1
    verify = standardwebhooks.Webhook(SECRET).verify
    types = [verify(one.body, one.headers)["type"] for one in receiver.got]
    assert types == ["alert.raised"] + ["alert.again"] * 19


async def test_a_slow_answer_does_not_delay_the_next_notice(home: House, receiver: Hook) -> None:
    calling = [await pressing(home) for _ in range(9)]
    receiver.answer = lambda _: Answer(wait=3 if len(receiver.got) <= 8 else 0)
    async with running(home, receiver):
        start = asyncio.get_running_loop().time()
        for citizen, button in calling:
            press = Seen(button, Kind.CALL_PRESSED, datetime.now(UTC), value=1.0)
            await home.deliver([citizen], [press])
        ninth = (await got(receiver, 9))[8]

    assert ninth.at - start < 1.5


async def test_without_a_webhook_nothing_waits_to_be_sent(home: House) -> None:
    citizen, button = await pressing(home)
    stage = asyncio.create_task(watch.run(home.settings(), WallClock(), Health()))
    await home.deliver([citizen], [Seen(button, Kind.CALL_PRESSED, datetime.now(UTC), value=1.0)])

    while await home.count("pending"):  # noqa: ASYNC110 - another connection's work
        await asyncio.sleep(0.02)
    stage.cancel()
    await asyncio.gather(stage, return_exceptions=True)

    assert (await home.count("alert"), await home.count("notice")) == (1, 0)

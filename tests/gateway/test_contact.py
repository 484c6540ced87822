"""Contact: intervals of which only changes are written, and how sure their end is."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.runtime.services import OneDatabase
from gateway.ingest.contact import STALE, UNSURE, Contacts
from gateway.ingest.duty import Duty
from gateway.ingest.subscriber import Delivery
from tests.frames import NOON, batch, door
from tests.gateway.ingest_home import Parts, delivery, parts, state

AT_NOON = datetime.fromtimestamp(NOON / 1_000, UTC)


HANG = """
    SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""What the server does of itself to who is on duty and says nothing for ten seconds."""


@pytest.fixture
async def ingest(fresh_database: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(fresh_database) as made:
        connected_for(made, 3_600)
        async with on_duty(made.contacts):
            await made.contacts.written()  # it has the duty
            yield made


@asynccontextmanager
async def on_duty(contacts: Contacts) -> AsyncGenerator[None]:
    """Contact is written, as long as nobody else does."""
    task = asyncio.create_task(contacts.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def connected_for(ingest: Parts, seconds: float) -> None:
    """The gateway has been connected to the broker for so long."""
    ingest.subscriber.connected_at = asyncio.get_running_loop().time() - seconds


def broker_is_up_for(ingest: Parts, seconds: float | None) -> None:
    """The broker says that it has run for so long, or nothing."""
    now = asyncio.get_running_loop().time()
    ingest.broker_since = None if seconds is None else now - seconds


async def said(
    ingest: Parts, word: str, *, minutes: float = 0, retained: bool = False, **fields: Any
) -> None:
    """The box's state comes so many minutes after noon."""
    ingest.clock.at = AT_NOON + timedelta(minutes=minutes)
    message = Delivery("edges/box-01/state", state(word, **fields), retained=retained, number=1)
    await ingest.states.take([message])
    async with asyncio.timeout(5):
        await ingest.contacts.written()


async def contacts(ingest: Parts) -> list[tuple[float, float | None, str | None]]:
    """Each interval: from and to in minutes after noon, and how it ended."""
    rows = await ingest.rows('SELECT * FROM contact ORDER BY "from"')
    return [(after(row["from"]), row["to"] and after(row["to"]), row["ended_by"]) for row in rows]


def after(moment: datetime) -> float:
    return (moment - AT_NOON) / timedelta(minutes=1)


async def sure_from(ingest: Parts) -> float:
    """Seconds after the end of the last contact."""
    (row,) = await ingest.rows('SELECT "to", sure_from FROM contact ORDER BY id DESC LIMIT 1')
    return (row["sure_from"] - row["to"]).total_seconds()


async def test_only_changes_are_written(ingest: Parts) -> None:
    for minutes in range(0, 20, 5):
        await said(ingest, "running", minutes=minutes)
    await said(ingest, "lost", minutes=21)
    await said(ingest, "lost", minutes=22)
    await said(ingest, "running", minutes=30)
    await said(ingest, "stopped", minutes=40)

    assert await contacts(ingest) == [(0, 21, "lost"), (30, 40, "stopped")]


async def test_each_change_has_the_homes_citizens_judged_at_once(ingest: Parts) -> None:
    await said(ingest, "running")
    assert (await ingest.rows("SELECT due FROM deadline")) == [{"due": AT_NOON}]
    await ingest.rows("UPDATE deadline SET due = $1 RETURNING due", AT_NOON + timedelta(days=1))

    await said(ingest, "running", minutes=1)
    assert (await ingest.rows("SELECT due FROM deadline")) == [{"due": AT_NOON + timedelta(days=1)}]

    await said(ingest, "lost", minutes=2)
    assert (await ingest.rows("SELECT due FROM deadline")) == [
        {"due": AT_NOON + timedelta(minutes=2)}
    ]


async def test_the_end_is_sure_at_once_when_the_gateway_has_been_there_for_long(
    ingest: Parts,
) -> None:
    await said(ingest, "running")
    await said(ingest, "lost", minutes=1)

    assert await sure_from(ingest) == 0


async def test_the_end_is_not_sure_while_the_gateway_has_only_just_come_back(
    ingest: Parts,
) -> None:
    await said(ingest, "running")
    await heard_ago(ingest.contacts, 600)
    connected_for(ingest, 60)

    await said(ingest, "lost", minutes=1)

    assert await sure_from(ingest) == pytest.approx(UNSURE - 60, abs=2)


async def test_the_end_is_sure_when_the_box_was_heard_since_the_gateway_came_back(
    ingest: Parts,
) -> None:
    await said(ingest, "running")
    await heard_ago(ingest.contacts, 600)
    connected_for(ingest, 60)
    ingest.contacts.heard([delivery(batch([door()]))])

    await said(ingest, "lost", minutes=1)

    assert await sure_from(ingest) == 0


async def test_what_the_broker_kept_is_no_sign_of_life(ingest: Parts) -> None:
    await said(ingest, "running")
    await heard_ago(ingest.contacts, 600)
    connected_for(ingest, 60)
    await said(ingest, "running", minutes=1, retained=True)

    await said(ingest, "lost", minutes=1)

    assert await sure_from(ingest) == pytest.approx(UNSURE - 60, abs=2)


async def test_an_old_state_that_the_broker_kept_opens_no_contact(ingest: Parts) -> None:
    connected_for(ingest, 1)  # that is when it gives what it kept
    await said(ingest, "running", minutes=STALE / 60 + 1, retained=True)
    assert await contacts(ingest) == []

    await said(ingest, "running", minutes=STALE / 60 - 1, retained=True)
    assert await contacts(ingest) == [(STALE / 60 - 1, None, None)]


async def test_a_box_without_a_last_will_is_noticed_by_its_silence(ingest: Parts) -> None:
    await said(ingest, "running")
    assert ingest.contacts.silent() == []

    await heard_ago(ingest.contacts, STALE + 1)

    assert ingest.contacts.silent() == ["box-01"]


async def test_nobody_is_silent_while_the_gateway_cannot_hear(ingest: Parts) -> None:
    await said(ingest, "running")
    await heard_ago(ingest.contacts, STALE + 1)

    ingest.subscriber.connected_at = None
    assert ingest.contacts.silent() == []

    connected_for(ingest, STALE - 1)
    assert ingest.contacts.silent() == []


@pytest.mark.parametrize(
    ("broker", "connected", "silent"),
    [
        (UNSURE + 30, UNSURE + 20, True),
        (UNSURE + 30, UNSURE - 20, False),  # the living may still be on their way
        (3 * UNSURE, UNSURE + 20, False),  # we were not there when they came back
        (None, UNSURE + 20, False),
    ],
)
async def test_a_box_that_does_not_come_back_to_a_broker_that_started_anew_is_silent(
    ingest: Parts, *, broker: float | None, connected: float, silent: bool
) -> None:
    await said(ingest, "running")
    await heard_ago(ingest.contacts, UNSURE + 60)
    broker_is_up_for(ingest, broker)
    connected_for(ingest, connected)

    assert ingest.contacts.silent() == (["box-01"] if silent else [])

    ingest.contacts.heard([delivery(batch([door()]))])
    assert ingest.contacts.silent() == []


async def test_a_birth_that_the_new_broker_kept_is_one_and_an_old_state_is_not(
    ingest: Parts,
) -> None:
    await said(ingest, "running")
    await heard_ago(ingest.contacts, UNSURE + 60)
    broker_is_up_for(ingest, UNSURE + 30)
    connected_for(ingest, UNSURE + 20)

    await said(ingest, "running", retained=True, at=NOON - round(UNSURE + 50) * 1_000)
    assert ingest.contacts.silent() == ["box-01"]

    await said(ingest, "running", retained=True, at=NOON - round(UNSURE + 25) * 1_000)
    assert ingest.contacts.silent() == []


async def test_a_gateway_that_starts_anew_knows_who_was_in_contact(
    fresh_database: OneDatabase,
) -> None:
    async with parts(fresh_database) as ingest:
        connected_for(ingest, 3_600)
        async with on_duty(ingest.contacts):
            await said(ingest, "running")

        # it has heard nobody since it connected, an hour ago
        async with on_duty(another(ingest)):
            await until_contacts(ingest, [(0, 0, "stale")])


async def test_of_two_gateways_one_writes_and_neither_flaps(ingest: Parts) -> None:
    other = another(ingest)
    async with on_duty(other):
        for minutes, word in enumerate(["running", "running", "lost", "lost", "running"]):
            await said(ingest, word, minutes=minutes)
            await heard_too(other, word)

    assert await contacts(ingest) == [(0, 2, "lost"), (4, None, None)]


async def test_who_takes_over_writes_what_was_not_written(fresh_database: OneDatabase) -> None:
    async with parts(fresh_database) as ingest:
        connected_for(ingest, 3_600)
        other = another(ingest)
        async with on_duty(ingest.contacts):
            await said(ingest, "running")
            await heard_too(other, "running")
        # the first is killed with this in hand
        ingest.clock.at = AT_NOON + timedelta(minutes=1)
        await heard_too(other, "lost")
        ingest.clock.at = AT_NOON + timedelta(minutes=2)

        async with on_duty(other):
            await until_contacts(ingest, [(0, 1, "lost")])


async def test_who_takes_over_does_not_revive_a_box_that_fell_silent(
    fresh_database: OneDatabase,
) -> None:
    async with parts(fresh_database) as ingest:
        connected_for(ingest, 3_600)
        other = another(ingest)
        async with on_duty(ingest.contacts):
            await said(ingest, "running")
            await heard_too(other, "running")
            for one in (ingest.contacts, other):
                await heard_ago(one, STALE + 1)
            await until_contacts(ingest, [(0, 0, "stale")])

        async with on_duty(other):
            await asyncio.sleep(1)
            assert await contacts(ingest) == [(0, 0, "stale")]

            ingest.clock.at = AT_NOON + timedelta(minutes=1)
            await heard_too(other, "running")
            await until_contacts(ingest, [(0, 0, "stale"), (1, None, None)])


async def test_who_hangs_loses_the_duty_and_can_write_nothing_any_more(ingest: Parts) -> None:
    await said(ingest, "running")
    await ingest.rows(HANG)
    other = another(ingest)

    async with on_duty(other):
        ingest.clock.at = AT_NOON + timedelta(minutes=1)
        for one in (ingest.contacts, other):
            await heard_too(one, "lost")
        await until_contacts(ingest, [(0, 1, "lost")])


@pytest.mark.slow
async def test_who_was_stopped_for_long_calls_nobody_silent(ingest: Parts) -> None:
    await said(ingest, "running")
    await heard_ago(ingest.contacts, STALE - 2)

    time.sleep(14)  # noqa: ASYNC251 - as a process that is stopped and goes on
    assert ingest.contacts.silent() == []
    await asyncio.sleep(6)

    assert await contacts(ingest) == [(0, None, None)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "bad_state"),
        (b"garbage", "bad_state"),
        (b"[]", "bad_state"),
        (state("asleep"), "bad_state"),
        (state("running", format=2), "bad_state"),
        (state("running", at="noon"), "bad_state"),
        (state("running", config=-1), "bad_state"),
        (state("running", version="x" * 5_000), "too_large"),
    ],
)
async def test_a_state_that_is_none_is_set_aside(
    ingest: Parts, payload: bytes, reason: str
) -> None:
    message = Delivery("edges/box-01/state", payload, retained=False, number=1)

    await ingest.states.take([message])

    (row,) = await ingest.rows("SELECT reason, municipality FROM quarantine")
    assert row == {"reason": reason, "municipality": 1}
    assert await contacts(ingest) == []


async def test_a_word_that_is_read_after_a_later_one_changes_nothing(ingest: Parts) -> None:
    lost, running = (
        Delivery("edges/box-01/state", state(word), retained=False, number=1, order=order)
        for order, word in enumerate(("lost", "running"), start=1)
    )

    await ingest.states.take([running])
    await ingest.states.take([lost])

    await ingest.contacts.written()
    assert await contacts(ingest) == [(0, None, None)]


async def test_a_newer_box_may_say_more(ingest: Parts) -> None:
    await said(ingest, "running", mood="fine")

    assert await contacts(ingest) == [(0, None, None)]
    assert json.loads(state("running"))["format"] == 1


def another(ingest: Parts) -> Contacts:
    """What a second ingest process has of its own, on the same broker and database."""
    return Contacts(Duty(ingest.pool), ingest.known, ingest.clock, ingest.subscriber)


async def heard_too(contacts: Contacts, word: str) -> None:
    """The other process gets the box's state message as well."""
    message = Delivery("edges/box-01/state", state(word), retained=False, number=1)
    assert await contacts.take([message]) == []


async def until_contacts(
    ingest: Parts, wanted: list[tuple[float, float | None, str | None]]
) -> None:
    async with asyncio.timeout(8):
        while await contacts(ingest) != wanted:  # noqa: ASYNC110 - no event of ours
            await asyncio.sleep(0.05)


async def heard_ago(contacts: Contacts, seconds: float) -> None:
    """The loop's clock is not ours to move: the box was heard that long ago."""
    now = asyncio.get_running_loop().time()
    heard = contacts._heard  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    heard["box-01"] = now - seconds

"""Whose a call is: decided by the placements that hold at the commit, and never moved again."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from prometheus_client import generate_latest

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from gateway.home import Citizen
from gateway.rules.finding import UNPLACED
from gateway.store import facts
from gateway.store.claims import Claimed
from gateway.store.facts import Facts
from gateway.store.known import stays
from gateway.store.pool import connect
from tests.frames import BUTTON, DOOR, NOON, batch, door, frame, press
from tests.gateway.ingest_home import Parts, parts, settings

AT_NOON = datetime.fromtimestamp(NOON / 1_000, UTC)
HOUR = timedelta(hours=1)
MINUTE = 60_000  # milliseconds
READS = {"call": frozenset({(role, Kind.CALL_PRESSED) for role in ("call", UNPLACED)})}


@pytest.fixture
async def ingest(emptied: OneDatabase) -> AsyncIterator[Parts]:
    """Two homes with a box each; the button, the door and the dispenser are the first one's."""
    async with parts(emptied, boxes=2) as made:
        yield made


async def to_the_depot(ingest: Parts) -> None:
    """Nothing has been placed since an hour before noon."""
    await ingest.rows('UPDATE placement SET "to" = $1 RETURNING id', AT_NOON - HOUR)


async def asked(ingest: Parts) -> list[list[int]]:
    """The citizens that each stored range is judged for."""
    return [
        row["citizens"] for row in await ingest.rows("SELECT citizens FROM pending ORDER BY id")
    ]


async def calls(ingest: Parts, number: int) -> list[float | None]:
    """The counters of the presses that a rule is shown of a citizen."""
    return [one.value for one in (await shown(ingest, number)).heard("call", AT_NOON - HOUR)]


async def shown(ingest: Parts, number: int) -> Facts:
    """What a rule is shown of a citizen, as watch loads it."""
    citizen = Citizen(1, number)
    claimed = Claimed(citizen=citizen, district=1, home=number, zone="Europe/Copenhagen")
    starts = {citizen: {"call": AT_NOON - HOUR}}
    async with connect(settings(ingest.where), "watch") as pool, pool.acquire() as db:
        return (await facts.load(db, [claimed], starts, facts.portions(READS)))[citizen]


async def test_a_call_of_a_device_in_the_depot_is_for_whoever_lives_where_it_is_heard(
    ingest: Parts,
) -> None:
    await to_the_depot(ingest)

    await ingest.store(batch([press(3)], edge="box-02"))

    assert await asked(ingest) == [[2]]
    assert (await calls(ingest, 1), await calls(ingest, 2)) == ([], [3.0])


async def test_a_call_of_a_device_in_the_depot_stays_where_it_was_heard(ingest: Parts) -> None:
    await to_the_depot(ingest)

    await ingest.store(batch([press(3)], edge="box-01"))
    await ingest.store(batch([press(4, at=NOON + MINUTE)], edge="box-02"))

    assert (await calls(ingest, 1), await calls(ingest, 2)) == ([3.0], [4.0])


async def test_a_call_stays_though_a_box_that_stands_nowhere_hears_the_next(
    ingest: Parts,
) -> None:
    await to_the_depot(ingest)
    await ingest.rows("UPDATE edge SET home = NULL WHERE name = 'box-02' RETURNING id")

    await ingest.store(batch([press(3)], edge="box-01"))
    await ingest.store(batch([press(4, at=NOON + MINUTE)], edge="box-02"))

    assert await calls(ingest, 1) == [3.0]


async def test_a_call_that_only_a_box_without_a_home_heard_is_set_aside_and_counted(
    ingest: Parts,
) -> None:
    await to_the_depot(ingest)
    await ingest.rows("UPDATE edge SET home = NULL WHERE name = 'box-02' RETURNING id")

    await ingest.store(batch([door(), press(3)], edge="box-02"))

    (row,) = await ingest.rows("SELECT * FROM quarantine")
    assert (row["reason"], row["sequence"], row["device"]) == ("call_without_home", 2, BUTTON)
    assert "nobody lives where box-02 stands" in row["detail"]
    assert b"5450010103" in row["payload"]
    assert await asked(ingest) == [[]]
    counted = generate_latest(ingest.health.registry).decode()
    assert 'set_aside_total{lane="urgent",reason="call_without_home"} 1.0' in counted


async def test_such_a_call_that_is_read_only_in_part_is_set_aside_once_for_both_reasons(
    ingest: Parts,
) -> None:
    await to_the_depot(ingest)
    await ingest.rows("UPDATE edge SET home = NULL WHERE name = 'box-02' RETURNING id")
    two_buttons = bytes.fromhex("403a013a01") + b"\xfe\x00"

    await ingest.store(batch([frame(data={"fcd2": two_buttons})], edge="box-02"))

    (row,) = await ingest.rows("SELECT * FROM quarantine")
    assert (row["reason"], row["count"]) == ("call_without_home", 1)
    assert "unreadable: unknown object 0xfe" in row["detail"]


async def test_a_placed_call_is_its_own_citizens_though_no_home_hears_it(ingest: Parts) -> None:
    await ingest.rows("UPDATE edge SET home = NULL WHERE name = 'box-02' RETURNING id")

    await ingest.store(batch([press(3)], edge="box-02"))

    assert await asked(ingest) == [[1]]
    assert await ingest.rows("SELECT FROM quarantine") == []


async def test_a_call_heard_by_a_second_box_is_its_own_citizens(ingest: Parts) -> None:
    await ingest.store(batch([press(3)], edge="box-02"))

    assert await asked(ingest) == [[1]]
    assert (await calls(ingest, 1), await calls(ingest, 2)) == ([3.0], [])


async def test_a_device_in_the_depot_that_does_not_call_is_nobodys(ingest: Parts) -> None:
    await to_the_depot(ingest)

    await ingest.store(batch([door()]))

    assert await asked(ingest) == [[]]
    assert await ingest.rows("SELECT FROM quarantine") == []


async def remembers(ingest: Parts) -> bool:
    return await ingest.known.edge("box-01") is await ingest.known.edge("box-01")


@pytest.mark.parametrize(
    ("ends", "call_button"), [(None, True), (HOUR, True), (timedelta(0), False), (-HOUR, False)]
)
async def test_a_home_has_a_call_button_until_its_placement_ends(
    ingest: Parts, ends: timedelta | None, *, call_button: bool
) -> None:
    """An end that is known before is none yet when contact is lost."""
    await ingest.rows(
        'UPDATE placement SET "to" = $1 RETURNING id', AT_NOON + ends if ends is not None else None
    )
    await ingest.rows(
        'INSERT INTO contact (municipality, edge, "from", "to", ended_by)'
        " VALUES (1, 1, $1, $2, 'lost') RETURNING id",
        AT_NOON - 2 * HOUR,
        AT_NOON,
    )

    (contact,) = (await shown(ingest, 1)).contacts

    assert contact.call_button == call_button


@asynccontextmanager
async def remembering(ingest: Parts) -> AsyncGenerator[None]:
    """Ingest has seen button and door and goes by that: nobody tells it of changes."""
    listening = asyncio.create_task(ingest.known.run())
    try:
        async with asyncio.timeout(5):
            while not await remembers(ingest):  # noqa: ASYNC110 - no event of ours
                await asyncio.sleep(0.02)
        await ingest.store(batch([press(1, at=NOON - MINUTE), door(at=NOON - MINUTE)]))
        await ingest.rows("DELETE FROM pending RETURNING id")
        yield
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


PLACE = """
    WITH moved AS (SELECT id FROM device WHERE address = ANY ($1) FOR UPDATE)
    INSERT INTO placement (municipality, device, citizen, role, "from")
    SELECT 1, id, 2, 'other', $2 FROM moved RETURNING id
"""


async def test_what_is_placed_before_the_announcement_comes_is_for_its_new_citizen(
    ingest: Parts,
) -> None:
    await to_the_depot(ingest)
    async with remembering(ingest):
        await ingest.rows(PLACE, [BUTTON, DOOR], AT_NOON - timedelta(seconds=30))

        await ingest.store(batch([press(3)]))
        await ingest.store(batch([door()]))

    assert await asked(ingest) == [[2], [2]]
    assert await calls(ingest, 1) == [1.0], "only the one that was heard before"


async def test_a_call_waits_for_the_placing_of_its_device(ingest: Parts) -> None:
    db = await asyncpg.connect(ingest.where.dsn())
    async with remembering(ingest):
        async with db.transaction():
            await db.execute('UPDATE placement SET "to" = $1 WHERE device = 1', AT_NOON - HOUR)
            await db.execute(PLACE, [BUTTON], AT_NOON - HOUR)

            storing = asyncio.create_task(ingest.store(batch([press(3)])))
            await asyncio.sleep(0.3)
            assert not storing.done()
        await storing
    await db.close()

    assert await asked(ingest) == [[2]]


async def test_no_device_is_placed_while_its_call_is_being_stored(ingest: Parts) -> None:
    db = await asyncpg.connect(ingest.where.dsn())
    async with ingest.pool.acquire() as ours, ours.transaction():
        await stays(ours, [(1, 1)])

        with pytest.raises(asyncpg.LockNotAvailableError):
            await db.execute("SELECT FROM device WHERE id = 1 FOR UPDATE NOWAIT")
    await db.close()

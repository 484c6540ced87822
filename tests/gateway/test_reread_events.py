"""What boxes say of themselves is read again like all that was set aside: each event once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from tests.frames import batch, door
from tests.gateway.chain import Chain, chain
from tests.gateway.ingest_home import Parts
from tests.gateway.test_box_events import kept, said
from tests.gateway.test_reread import AT_NOON, NoClaim, reread, stored

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
async def home(fresh_database: OneDatabase) -> AsyncIterator[Chain]:
    async with chain(fresh_database) as made:
        yield made


@pytest.fixture
def ingest(home: Chain) -> Parts:
    return home.ingest


async def refused(ingest: Parts) -> None:
    """A batch of two events and an observation, none of which the database took."""
    for table in ("box_event", "observation"):
        await ingest.rows(f"ALTER TABLE {table} ADD CONSTRAINT none CHECK (false) NOT VALID")
    told = batch([said(value=b'{"step":1}'), door(), said("of.tomorrow")])
    for _ in range(2):
        await ingest.store(told, lane="bulk")
    for table in ("box_event", "observation"):
        await ingest.rows(f"ALTER TABLE {table} DROP CONSTRAINT none")


async def test_events_that_were_set_aside_are_kept_once_however_often_they_are_read_again(
    ingest: Parts,
) -> None:
    await refused(ingest)
    before = await kept(ingest)

    counts, again = await reread(ingest), await reread(ingest)

    assert (before, counts.read, again.seen) == ([], {"refused": 3}, 0)
    assert await kept(ingest) == [("radio.rescanned", {"step": 1}), ("of.tomorrow", {})]
    assert await stored(ingest, Kind.DOOR) == [AT_NOON]


async def test_events_are_kept_once_by_two_who_read_again_at_the_same_time(ingest: Parts) -> None:
    await refused(ingest)

    await asyncio.gather(*(reread(ingest) for _ in range(3)))

    assert len(await kept(ingest)) == 2


async def test_without_its_claim_reading_again_keeps_an_event_twice(ingest: Parts) -> None:
    await refused(ingest)

    await asyncio.gather(*(reread(ingest, NoClaim) for _ in range(2)))

    assert len(await kept(ingest)) > 2


async def test_a_whole_message_of_a_box_that_was_not_known_is_kept_once_with_its_resending(
    ingest: Parts,
) -> None:
    told = batch([said(), door()])
    await ingest.rows("UPDATE edge SET name = 'box-99' WHERE name = 'box-01' RETURNING id")
    await ingest.store(told, lane="bulk")
    await ingest.rows("UPDATE edge SET name = 'box-01' WHERE name = 'box-99' RETURNING id")

    counts = await reread(ingest)
    await ingest.store(told, lane="bulk")
    await reread(ingest)

    assert counts.read == {"unknown_edge": 1}
    assert await kept(ingest) == [("radio.rescanned", {})]
    assert await stored(ingest, Kind.DOOR) == [AT_NOON]

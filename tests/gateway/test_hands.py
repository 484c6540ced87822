"""Two workers of a lane: neither holds up the other, and a stream keeps its order."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from adapters.frame import Batch
from deploy.runtime.services import Broker, OneDatabase
from gateway.ingest.pipeline import AT_ONCE, Pipeline
from tests.frames import NOON, batch, door
from tests.gateway.ingest_home import Box, delivery, furnish, ingest, look, parts, until
from tests.gateway.test_ingest import GATEWAY

A, B = str(uuid4()), str(uuid4())
_WAITING = """
    SELECT count(*) AS n FROM pg_stat_activity
    WHERE usename = 'trygport_ingest' AND datname = current_database() AND wait_event_type = 'Lock'
"""


class OneHand(Pipeline):
    """The saboteur: a lane with one worker."""

    async def run(self) -> None:
        await self._work(0)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker.start(tmp_path / "broker", passwords={**GATEWAY, "box-01": "box-01"})
    yield started
    started.stop()


@pytest.fixture
def home(fresh_database: OneDatabase) -> OneDatabase:
    asyncio.run(furnish(fresh_database.dsn()))
    return fresh_database


@pytest.mark.parametrize(("kind", "passes"), [(Pipeline, True), (OneHand, False)])
async def test_while_one_transaction_waits_another_is_stored_and_receipted(
    home: OneDatabase, own_broker: Broker, kind: type[Pipeline], *, passes: bool
) -> None:
    async with ingest(home, own_broker, pipeline=kind) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        async with held(home, box):
            box.say(of(A, 2))
            await until_waiting(home, 1)
            box.say(of(B, 1))
            await asyncio.sleep(1)
            assert (B in told(box)) == passes
            assert told(box)[A] == [[[1, 1]]]

        await until(lambda: told(box).get(A, [])[-1:] == [[[1, 2]]] and B in told(box))


async def test_batches_of_one_stream_in_two_hands_are_stored_in_the_order_in_which_they_came(
    home: OneDatabase, own_broker: Broker
) -> None:
    async with ingest(home, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        async with held(home, box):
            for first in range(2, 2 + AT_ONCE):
                box.say(of(A, first))
                await until_waiting(home, first - 1)
        await until(lambda: told(box)[A][-1] == [[1, 1 + AT_ONCE]])
        # not before: a newcomer may pass the queue at a row's lock the moment it is let go of, and
        # there would be a hole until the one that it passed is stored
        box.say(of(A, 2 + AT_ONCE))
        await until(lambda: told(box)[A][-1] == [[1, 2 + AT_ONCE]])

    lasts = [ranges[-1][-1] for ranges in told(box)[A]]
    assert lasts == sorted(lasts)
    assert all(len(ranges) == 1 for ranges in told(box)[A]), "no hole at any time"
    rows = await look(home.dsn(), "SELECT lower(range) AS first FROM pending ORDER BY batch")
    assert [row["first"] for row in rows] == list(range(1, 3 + AT_ONCE))


async def test_two_hands_that_hold_the_same_streams_the_other_way_round_do_not_lock_each_other_out(
    home: OneDatabase,
) -> None:
    async with parts(home) as made:
        for first in range(1, 40, 2):
            lanes = [made.pipeline() for _ in range(AT_ONCE)]
            one, two = [of(A, first), of(B, first)], [of(B, first + 1), of(A, first + 1)]
            await asyncio.gather(
                lanes[0].store([delivery(each) for each in one]),
                lanes[1].store([delivery(each) for each in two]),
            )

        rows = await made.rows("SELECT received::text FROM stream")
        assert {row["received"] for row in rows} == {"{[1,41)}"}
        (stored,) = await made.rows("SELECT count(*) AS n FROM observation")
        assert stored["n"] == 2 * 40


def of(stream: str, first: int) -> Batch:
    """One frame of a stream, with the number `first`."""
    return batch([door(at=NOON + first)], stream=stream, first=first)


def told(box: Box) -> dict[str, list[list[list[int]]]]:
    """What was receipted, by stream, in the order in which it was told."""
    found: dict[str, list[list[list[int]]]] = {}
    for receipt in box.receipts():
        for stream, ranges in receipt["streams"].items():
            found.setdefault(stream, []).append(ranges)
    return found


@asynccontextmanager
async def held(home: OneDatabase, box: Box) -> AsyncGenerator[None]:
    """A stream that has begun and whose row in the ledger somebody else holds."""
    box.say(of(A, 1))
    await until(lambda: A in told(box))
    db = await asyncpg.connect(home.dsn())
    try:
        async with db.transaction():
            await db.execute("SELECT FROM stream FOR UPDATE")
            yield
    finally:
        await db.close()


async def until_waiting(home: OneDatabase, workers: int) -> None:
    async with asyncio.timeout(10):
        while (await look(home.dsn(), _WAITING))[0]["n"] < workers:  # noqa: ASYNC110 - in the database
            await asyncio.sleep(0.02)

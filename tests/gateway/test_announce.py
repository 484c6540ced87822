"""Boxes are told what is stored after a restore, whatever gets lost, and asked for holes."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from deploy.runtime.services import Broker, OneDatabase
from edge.keeping.run import PACKET_LIMIT
from edge.sending.receipt import read_receipt
from gateway.clock import WallClock
from gateway.health import Health
from gateway.ingest.known import Known, NewEpoch
from gateway.ingest.receipts import LARGEST, in_parts
from gateway.main import run as run_stages
from gateway.store import epoch, holdings
from gateway.store.holdings import START, Held
from gateway.store.pool import connect_to
from tests.frames import batch, door
from tests.gateway.ingest_home import SEAL, Box, furnish, look, parts, settings, state, until

SOON = 20.0


async def restored(where: OneDatabase) -> str:
    async with connect_to(where.dsn()) as owner:
        now = await owner.fetchval("SELECT now()")
        begun, _ = await epoch.begin(owner, now, again=True)
    return str(begun.id)


async def epoch_of(where: OneDatabase) -> str:
    return str((await look(where.dsn(), "SELECT epoch FROM store"))[0]["epoch"])


@asynccontextmanager
async def gateway(where: OneDatabase, broker: Broker) -> AsyncGenerator[Health]:
    """The stage ingest as `gateway run` keeps it running."""
    health = Health()
    task = asyncio.create_task(run_stages(settings(where, broker), ["ingest"], health))
    try:
        yield health
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def running(**said: Any) -> bytes:
    """A state message of this moment."""
    return state("running", at=WallClock().now_ms(), **said)


def told(box: Box, epoch: str) -> list[dict[str, Any]]:
    return [dict(one["streams"]) for one in box.receipts() if one["epoch"] == epoch]


async def test_a_running_gateway_notices_a_restore_and_tells_boxes_that_say_nothing(
    fresh_database: OneDatabase, broker: Broker
) -> None:
    await furnish(fresh_database.dsn())
    first, second = batch([door(), door()]), batch([door(packet=1)])
    async with gateway(fresh_database, broker), Box(broker) as box:
        old = await epoch_of(fresh_database)
        box.say(running(epoch=old), "state")
        box.say(first)
        box.say(second, "bulk")
        await until(lambda: len(told(box, old)) == 2, SOON)

        new = await restored(fresh_database)

        await until(lambda: bool(told(box, new)), SOON)
    assert told(box, new)[0] == {first.stream: [[1, 2]], second.stream: [[1, 1]]}


async def test_a_box_of_which_nothing_is_stored_is_told_the_epoch_all_the_same(
    fresh_database: OneDatabase, broker: Broker
) -> None:
    """What it has was all stored after the backup: it must be sent again."""
    await furnish(fresh_database.dsn())
    new = await restored(fresh_database)
    async with gateway(fresh_database, broker), Box(broker) as box:
        box.say(running(epoch=str(uuid4())), "state")

        await until(lambda: bool(told(box, new)), SOON)

        assert told(box, new) == [{}]


async def test_a_box_is_told_as_long_as_it_follows_another_epoch_and_no_longer(
    fresh_database: OneDatabase, broker: Broker
) -> None:
    await furnish(fresh_database.dsn())
    new = await restored(fresh_database)
    async with gateway(fresh_database, broker), Box(broker) as box:
        box.say(running(epoch=new), "state")
        await asyncio.sleep(2)
        assert told(box, new) == []

        box.say(running(), "state")  # an older box does not say what it follows
        await until(lambda: len(told(box, new)) == 1, SOON)
        box.say(running(), "state")
        await asyncio.sleep(2)
        assert len(told(box, new)) == 1


async def test_what_is_missing_is_asked_for(fresh_database: OneDatabase, broker: Broker) -> None:
    said = batch([door(), door()], first=3)
    async with parts(fresh_database) as before:
        await before.store(said)
    async with connect_to(fresh_database.dsn()) as owner:
        await owner.execute('INSERT INTO contact (municipality, edge, "from") VALUES (1, 1, now())')
    async with Box(broker) as box, gateway(fresh_database, broker):
        await until(lambda: bool(box.receipts()), SOON)

    [asked] = box.receipts()
    assert asked["streams"] == {said.stream: [[3, 4]]}
    assert asked["missing"] == {said.stream: [[1, 2]]}


async def test_nothing_is_stored_by_what_is_remembered_of_another_life(
    fresh_database: OneDatabase,
) -> None:
    async with parts(fresh_database) as ingest:
        await ingest.store(batch([door()]))
        new = await restored(fresh_database)

        with pytest.raises(NewEpoch):
            await ingest.store(batch([door()]))
        assert (await ingest.rows("SELECT count(*) AS n FROM observation"))[0]["n"] == 1

        ingest.known = Known(ingest.pool, SEAL)
        receipts = await ingest.store(batch([door()]))
        assert receipts["box-01"]["epoch"] == new


async def test_streams_are_looked_through_in_rounds(fresh_database: OneDatabase) -> None:
    async with parts(fresh_database, boxes=2) as ingest:
        await ingest.rows(
            'INSERT INTO contact (municipality, edge, "from") SELECT 1, id, now() FROM edge'
        )
        holed = [batch([door()], first=number + 2, edge="box-02") for number in range(3)]
        for one in holed:
            await ingest.store(one, batch([door()]))

        found, place = set[str](), START
        for _ in range(4):
            some, place = await holdings.with_holes(ingest.pool, place, look=2, most=10)
            found |= {str(one.stream) for one in some}
            assert {one.edge for one in some} <= {"box-02"}

    assert place == START
    assert found == {one.stream for one in holed}


async def test_a_box_is_told_the_streams_that_another_of_its_home_began(
    fresh_database: OneDatabase,
) -> None:
    said = batch([door()])
    async with parts(fresh_database, boxes=2) as ingest:
        await ingest.store(said)
        await ingest.rows("UPDATE edge SET home = 1 WHERE name = 'box-02'")

        held = await holdings.held(ingest.pool, ["box-02"])

    assert [(one.edge, str(one.stream)) for one in held] == [("box-02", said.stream)]


def test_an_announcement_is_cut_to_what_the_broker_carries() -> None:
    streams = [
        Held(
            edge="box-01",
            stream=uuid4(),
            received=[(1, 10**9 + 2 * n) for n in range(1, 400)][-n:],
            missing=[(10**9, 10**9 + 1)] * (n % 200),
        )
        for n in range(1, 300)
    ]

    payloads = list(in_parts(uuid4(), streams))

    read = [read_receipt(payload) for payload in payloads]
    assert len(payloads) > 3
    assert max(map(len, payloads)) <= LARGEST + 1_000 < PACKET_LIMIT
    assert {name: list(got) for one in read for name, got in one.streams.items()} == {
        str(one.stream): list(one.received) for one in streams
    }
    assert sum(len(got) for one in read for got in one.missing.values()) == sum(
        len(one.missing) for one in streams
    )
    assert [json.loads(one)["streams"] for one in in_parts(uuid4(), [])] == [{}]

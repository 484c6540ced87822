"""Ingest and reading again lock rows in one order: they never wait for each other in a ring."""

import asyncio
from collections.abc import Collection

import pytest

from adapters.frame import Batch, Frame
from gateway.ingest.again import Again, Counts
from gateway.store import quarantine
from gateway.store.pool import Connection, Deadlock
from gateway.store.quarantine import AsideMessage, Counted
from gateway.store.reread import Aside
from tests.frames import batch, door
from tests.gateway.ingest_home import Parts, delivery
from tests.gateway.test_reread import home, ingest, reread, sealed

__all__ = ["home", "ingest"]

pytestmark = pytest.mark.usefixtures("quiet")

ROUNDS = 25
NEIGHBOUR = "C0:FF:EE:00:00:01"


class LocksFirst(Again):
    """The saboteur: has rows of the quarantine long before ingest would have them."""

    async def claim(self, db: Connection, rows: Collection[Aside]) -> set[int]:
        found = await db.fetch(
            "SELECT id FROM quarantine WHERE id = ANY ($1::bigint[]) AND state = 'aside'"
            " ORDER BY id FOR UPDATE SKIP LOCKED",
            [row.id for row in rows],
        )
        return {row["id"] for row in found}


async def test_ingest_and_reading_again_never_lock_each_other_out(ingest: Parts) -> None:
    """Both at once, who count the same neighbours and see the same messages."""
    theirs = await of_a_stranger(ingest)
    pipeline, done = ingest.pipeline(), asyncio.Event()

    async def resend() -> None:
        while not done.is_set():
            ours = batch([neighbour(), sealed(1)], edge="box-77")
            await pipeline.store([delivery(one) for one in (ours, *theirs)])

    async def read_again() -> None:
        for _ in range(3):
            await asyncio.gather(*(reread(ingest) for _ in range(2)))
        done.set()

    await asyncio.gather(resend(), read_again())

    assert await deadlocks(ingest) == 0
    read = await ingest.rows("SELECT count(*) AS n FROM quarantine WHERE state = 'read'")
    assert read == [{"n": ROUNDS}]


async def test_reading_again_has_no_row_that_ingest_comes_to_later(ingest: Parts) -> None:
    await of_a_stranger(ingest)

    await beside_ingest(ingest, Again)

    assert (await reread(ingest)).unreadable["unknown_edge"] == ROUNDS


async def test_a_claim_that_locks_the_rows_waits_in_a_ring(ingest: Parts) -> None:
    await of_a_stranger(ingest)

    with pytest.raises(Deadlock):
        await beside_ingest(ingest, LocksFirst)


async def beside_ingest(ingest: Parts, kind: type[Again]) -> None:
    """Ingest has counted a neighbour, and comes to a stranger's message while it is read again."""
    now = ingest.clock.now()
    (row,) = await ingest.rows(
        "SELECT municipality, topic, reason, detail, payload, digest FROM quarantine"
        " WHERE topic LIKE 'edges/box-66/%' ORDER BY id LIMIT 1"
    )
    counted = Counted(1, "edges/box-77/urgent", NEIGHBOUR, "unknown_device")
    reading: asyncio.Task[Counts] | None = None
    try:
        async with ingest.pool.acquire() as db, db.transaction():
            await quarantine.count(db, {counted: 1}, now)
            reading = asyncio.create_task(reread(ingest, kind))
            while not await waits(ingest):
                assert not reading.done()
            await quarantine.set_messages_aside(db, [AsideMessage(**row)], now)
        await reading
    finally:
        if reading is not None:
            await asyncio.wait([reading])


async def waits(ingest: Parts) -> bool:
    rows = await ingest.rows(
        "SELECT FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return bool(rows)


async def of_a_stranger(ingest: Parts) -> list[Batch]:
    """Messages of a box that nobody will register, each beside one of a box that somebody will."""
    theirs = [batch([door()], edge="box-66") for _ in range(ROUNDS)]
    for one in theirs:
        await ingest.store(batch([neighbour(), sealed(1)], edge="box-77"), one)
    await ingest.rows("INSERT INTO home (municipality, district) VALUES (1, 1) RETURNING id")
    await ingest.rows(
        "INSERT INTO edge (municipality, name, home) VALUES (1, 'box-77', 2) RETURNING id"
    )
    return theirs


def neighbour() -> Frame:
    """Of a device that is not ours: only counted."""
    return door(device=NEIGHBOUR)


async def deadlocks(ingest: Parts) -> int:
    """As the server counts them: a session tells when it ends."""
    await ingest.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'trygport_ingest' AND datname = current_database()"
    )
    await asyncio.sleep(0.3)
    (found,) = await ingest.rows(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(found["deadlocks"])

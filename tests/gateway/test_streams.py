"""The ledger's rows are found by their key, however many streams there are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store import streams
from gateway.store.pool import Connection
from gateway.store.streams import Pending, StreamKey
from tests.gateway.ingest_home import Parts, parts

MANY, ASKED = 5_000, 50
_READ = """
    SELECT COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0)
    FROM pg_stat_xact_user_tables WHERE relname = 'stream'
"""


@pytest.fixture
async def ingest(fresh_database: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(fresh_database, boxes=20) as made:
        yield made


async def test_locking_and_advancing_read_only_the_rows_that_are_asked_for(ingest: Parts) -> None:
    await ingest.rows(
        "INSERT INTO stream (municipality, edge, uuid, lane)"
        " SELECT 1, 1 + g % 20, gen_random_uuid(), 'bulk' FROM generate_series(1, $1) g",
        MANY,
    )
    rows = await ingest.rows("SELECT edge, uuid FROM stream ORDER BY random() LIMIT $1", ASKED)
    keys = [StreamKey(1, row["edge"], row["uuid"]) for row in rows]
    now = datetime(2026, 9, 21, tzinfo=UTC)
    async with ingest.pool.acquire() as db, db.transaction():
        ledger = await streams.lock(db, "bulk", keys)
        locked = await rows_read(db)

        await streams.advance(db, "bulk", list(ledger.values()), [pending(ledger[keys[0]].id, now)])

        advanced = await rows_read(db) - locked

    assert set(ledger) == set(keys)
    assert ASKED <= locked <= 3 * ASKED
    assert ASKED <= advanced <= 3 * ASKED


async def test_the_first_transaction_of_a_new_store_reads_no_more(ingest: Parts) -> None:
    """Nothing is known of the table yet, and a plan made now is kept for hours."""
    async with ingest.pool.acquire() as db:
        for _ in range(12):  # longer than a statement is planned anew each time
            await begin(db, 500)
        async with db.transaction():
            before = await rows_read(db)
            await streams.lock(db, "bulk", [StreamKey(1, 1, uuid4())])

            assert await rows_read(db) - before <= 10


@pytest.mark.parametrize(
    "said", ["c386bbc4-cd61-4e30-98f1-6adf91b7584a", "{C386BBC4cd614e3098f16adf91b7584a}"]
)
def test_a_uuid_is_the_same_however_it_was_made(said: str) -> None:
    assert streams.uuid_of(said) == UUID(said)
    assert {UUID(said): 1}[streams.uuid_of(said)] == 1


@pytest.mark.parametrize("said", ["", "c386bbc4", "zz86bbc4-cd61-4e30-98f1-6adf91b7584a"])
def test_what_is_no_uuid_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|base 16"):
        streams.uuid_of(said)


async def begin(db: Connection, count: int) -> None:
    async with db.transaction():
        await streams.lock(db, "bulk", [StreamKey(1, 1, uuid4()) for _ in range(count)])


def pending(stream: int, at: datetime) -> Pending:
    return Pending(
        municipality=1, stream=stream, range=(1, 2), batch=1, earliest=at, latest=at, citizens={1}
    )


async def rows_read(db: Connection) -> int:
    return await db.fetchval(_READ)

"""Bare COPY by asyncpg of stored rows into the same table elsewhere: what the rate is held to."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from deploy.runtime.services import OneDatabase
from gateway.store.migrate import migrate

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Rows = Sequence[tuple[object, ...]]

USUAL = 1_000
"""Rows of a batch at which the comparison is made."""
_COLUMNS = (
    *("device", "kind", "occurred", "received", "clock", "value", "code", "quality", "batch"),
)


async def stored_rows(dsn: str, most: int, *, a_message: float) -> Rows:
    """The newest rows of the table in the order in which they came; `a_message` of them each."""
    async with connected(dsn) as db:
        newest = await db.fetchval("SELECT last_value FROM batch")
        since = newest - round(most / a_message) - 2_000  # numbers are fetched ahead of their use
        rows = await db.fetch(
            f"SELECT {', '.join(_COLUMNS)} FROM observation WHERE batch >= $1"  # noqa: S608 - our own column names
            " ORDER BY batch DESC LIMIT $2",
            since,
            most,
        )
    return [tuple(row) for row in reversed(rows)]


async def copied_per_s(dsn: str, rows: Rows, *, batch: int) -> float:
    """Rows a second, so many a transaction, into the empty table; it is emptied again."""
    async with connected(dsn) as db:
        await db.execute("TRUNCATE observation")
        await _copy(db, rows[:USUAL])  # makes the chunks and warms the plan's caches
        begun = time.monotonic()
        for start in range(0, len(rows), batch):
            await _copy(db, rows[start : start + batch])
        took = time.monotonic() - begun
        await db.execute("TRUNCATE observation")
    return len(rows) / took


async def twin(database: OneDatabase, dsn: str) -> str:
    """A database in the same cluster with the same schema, made by the same migrations."""
    await migrate(dsn)
    return database.dsn()


@asynccontextmanager
async def connected(dsn: str) -> AsyncGenerator[Connection]:
    """A connection of our own, as a script would have it."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def _copy(db: Connection, rows: Rows) -> None:
    async with db.transaction():
        await db.copy_records_to_table("observation", records=rows, columns=_COLUMNS)

"""The right to do what only one of several processes may do: a lock that its holder's end frees."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gateway.store.pool import Connection, Pool

HANGS = 10.0
"""Seconds without a statement after which the server ends the holder's session, and the duty."""

_KEY = 0x5472796770  # any number that nobody else uses in this database
_LOOKS = 1.0


@asynccontextmanager
async def on_duty(pool: Pool) -> AsyncGenerator[Connection]:
    """Wait for the duty; the connection that holds it. Raises DatabaseDown, also in the block.

    What must be done by one alone is written over this very connection, with a statement every
    few seconds: whoever hangs longer than HANGS has lost it and can write nothing any more,
    whatever it believes when it goes on.
    """
    async with pool.acquire() as db:
        while not await db.fetchval("SELECT pg_try_advisory_lock($1)", _KEY):  # noqa: ASYNC110 - another process ends it
            await asyncio.sleep(_LOOKS)
        # taken back, like the lock, when the pool has the connection again
        await db.execute(f"SET idle_session_timeout = {round(HANGS * 1_000)}")
        yield db

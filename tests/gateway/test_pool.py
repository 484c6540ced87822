"""A database that goes away is said in our words, whenever it goes."""

import asyncio

import pytest

from gateway.store.pool import DatabaseDown, Pool
from tests.gateway.house import House


async def test_a_connection_that_died_while_we_held_it_is_a_database_that_is_away(
    home: House, pool: Pool
) -> None:
    """It has gone back to the pool by itself: what asyncpg says then is not our mistake."""
    with pytest.raises(DatabaseDown):  # noqa: PT012 - it says so where the connection is held
        async with pool.acquire() as db:
            pid = await db.fetchval("SELECT pg_backend_pid()")
            await home.rows("SELECT pg_terminate_backend($1)", pid)
            await asyncio.sleep(0.2)  # the end is heard though nothing is asked
            await db.fetchval("SELECT 1")

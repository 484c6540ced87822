"""A database that goes away is said in our words, whenever it goes."""

import asyncio
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from gateway.store.pool import DatabaseDown, Pool, connect
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


async def test_a_server_that_says_goodbye_between_two_steps_is_a_database_that_is_away(
    home: House,
) -> None:
    """The rollback then fails in words of its own, which look like a mistake of ours."""
    async with without_its_end(home.where.port) as port:
        address = f"postgresql://127.0.0.1:{port}/{home.where.name}"
        settings = home.settings().model_copy(update={"database": address})
        async with connect(settings, "watch") as pool:
            with pytest.raises(DatabaseDown):  # noqa: PT012 - as above
                async with pool.acquire() as db, db.transaction():
                    pid = await db.fetchval("SELECT pg_backend_pid()")
                    await home.rows("SELECT pg_terminate_backend($1)", pid)
                    await asyncio.sleep(0.2)
                    await db.copy_to_table("observation", source=io.BytesIO())


@asynccontextmanager
async def without_its_end(port: int) -> AsyncGenerator[int]:
    """A way to the database on which its goodbye arrives, and the end of it does not."""
    carriers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, on = await asyncio.open_connection("127.0.0.1", port)
        for source, sink in ((reader, on), (back, writer)):
            carriers.add(asyncio.create_task(_carry(source, sink)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for carrier in carriers:
            carrier.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(4_096):
            sink.write(data)
        await asyncio.Event().wait()
    finally:
        sink.transport.abort()

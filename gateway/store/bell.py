"""Rings when the database announces something; announcements are a hint, never the only way."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from gateway.store.pool import DatabaseDown, Pool


class Bell:
    """One listened-to channel. Clear it before looking, wait after nothing was found."""

    def __init__(self) -> None:
        self.lost = False
        self._rung = asyncio.Event()

    def ring(self, *_: object) -> None:
        self._rung.set()

    def lose(self, *_: object) -> None:
        self.lost = True
        self._rung.set()

    def clear(self) -> None:
        self._rung.clear()

    async def wait(self, seconds: float) -> None:
        """Return when it rang since it was cleared, or after so many seconds.

        Raises DatabaseDown when its connection is lost: nothing would ring any more.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        if self.lost:
            raise DatabaseDown("the connection that listens is lost")


@contextlib.asynccontextmanager
async def listening(pool: Pool, channel: str) -> AsyncGenerator[Bell]:
    """Listen to a channel for as long as the block runs. Raises DatabaseDown."""
    bell = Bell()
    async with pool.acquire() as connection:
        await connection.add_listener(channel, bell.ring)
        connection.add_termination_listener(bell.lose)
        try:
            yield bell
        finally:
            if not bell.lost:
                connection.remove_termination_listener(bell.lose)
                await connection.remove_listener(channel, bell.ring)

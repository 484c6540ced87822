"""Waiting for the database to say that something is new, or for a while, whichever is first."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic

from asyncpg.exceptions import InterfaceError

from gateway.store.pool import DatabaseDown, Pool


class Bell:
    """Rings when a channel is notified. A hint, never the only way: whoever waits also polls.

    With `about` it rings only for announcements of that, and for those that say nothing.
    """

    def __init__(self, about: str | None = None) -> None:
        self._about = about
        self._rung = asyncio.Event()
        self._last = monotonic()
        self.lost = False

    @property
    def silent_for(self) -> float:
        """Seconds since it last rang."""
        return monotonic() - self._last

    async def wait(self, seconds: float) -> bool:
        """Whether it rang within that time. Raises DatabaseDown when it cannot ring any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        if self.lost:
            raise DatabaseDown("the connection that listens is lost")
        rang = self._rung.is_set()
        self._rung.clear()
        return rang

    def ring(self, *_: object) -> None:
        self._last = monotonic()
        self._rung.set()

    def announced(self, _db: object, _pid: int, _channel: str, said: object) -> None:
        if self._about is None or said in ("", self._about):
            self.ring()

    def lose(self, *_: object) -> None:
        self.lost = True
        self._rung.set()


@asynccontextmanager
async def listening(pool: Pool, *channels: str, about: str | None = None) -> AsyncGenerator[Bell]:
    """A bell on a connection of its own. Raises DatabaseDown."""
    bell = Bell(about)
    async with pool.acquire() as db:
        db.add_termination_listener(bell.lose)
        try:
            for channel in channels:
                await db.add_listener(channel, bell.announced)
            yield bell
        finally:
            # thrown away: whoever is cancelled while it is busy could not ask it to be quiet
            # a lost connection has left the pool, maybe this moment, and takes no more calls
            with contextlib.suppress(InterfaceError):
                db.remove_termination_listener(bell.lose)
                db.terminate()

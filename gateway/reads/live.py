"""Tells every open board which alerts changed, as the database announces them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from uuid import UUID

from gateway.store.caller import Caller
from gateway.store.pool import Pool

_MOST_WAITING = 100
"""Changes a slow listener may be behind; then it is told to ask anew instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One alert changed; ids only."""

    alert: UUID
    state: str
    kind: str


@dataclass(frozen=True, slots=True)
class Missed:
    """Changes may have been missed: ask anew."""


Told = Changed | Missed


class Listener:
    """One open stream: what it may hear, and what waits for it."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self._waiting: asyncio.Queue[Told] = asyncio.Queue(_MOST_WAITING)

    def may_hear(self, municipality: int, district: int) -> bool:
        within = self.caller.districts
        return municipality == self.caller.municipality and (within is None or district in within)

    def tell(self, told: Told) -> None:
        """Never waits: a listener too slow to keep up loses the list and asks anew."""
        if self._waiting.full():
            while not self._waiting.empty():
                self._waiting.get_nowait()
            told = Missed()
        self._waiting.put_nowait(told)

    async def next(self, seconds: float) -> Told | None:
        """The next thing told, or None when that many seconds brought nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._waiting.get()
        return None


class Live:
    """One LISTEN for all streams of this process.

    `hearing` is False while the database's announcements cannot be heard: then the streams send
    no beat, so that a board says itself that it has no contact. After every new beginning each
    listener is told that it may have missed something.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._listeners: set[Listener] = set()
        self.hearing = False
        self.closing = asyncio.Event()

    @contextlib.contextmanager
    def listener(self, caller: Caller) -> Iterator[Listener]:
        """A place in the row for one stream."""
        listener = Listener(caller)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def close(self) -> None:
        """Ends every stream, so that the server can stop at once."""
        self.closing.set()
        self._tell_all(Missed())

    async def run(self) -> None:
        """Listens until cancelled; a lost connection is made again."""
        while True:
            with contextlib.suppress(*DATABASE_FAULTS):
                await self._listen()
            self.hearing = False
            await asyncio.sleep(_AGAIN)

    async def _listen(self) -> None:
        async with announcements(self._pool, "alert", quiet=_PING) as heard:
            self.hearing = True
            self._tell_all(Missed())
            async for payloads in heard:
                await self._spread(payloads)

    async def _spread(self, payloads: list[str]) -> None:
        rows = await self._pool.fetch(_WHICH, sorted(set(payloads)))
        for row in rows:
            changed = Changed(alert=row["public"], state=row["state"], kind=row["kind"])
            for listener in self._listeners:
                if listener.may_hear(row["municipality"], row["district"]):
                    listener.tell(changed)

    def _tell_all(self, told: Told) -> None:
        for listener in self._listeners:
            listener.tell(told)

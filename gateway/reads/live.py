"""Tells every open board which alerts changed, as the database announces them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from asyncpg.exceptions import InterfaceError, PostgresError

from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.pool import DatabaseDown, Pool

_FAULTS = (DatabaseDown, OSError, InterfaceError, PostgresError)
_AGAIN, _PING = 1.0, 10.0
"""Seconds before a lost connection is made again, and between two looks at a quiet one."""
_MOST = 10_000
"""Announcements that may wait, should the database be slow to say what they are about."""

_WHOSE = "SELECT municipality, alert FROM whose_alerts($1::uuid[])"
_WHICH = """
    SELECT public, state, kind FROM alert WHERE municipality = $1 AND public = ANY ($2::uuid[])
"""
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

    @property
    def sees(self) -> object:
        """What two listeners have in common when the database shows both the same."""
        one = self.caller
        return (one.municipality, one.role, one.districts, one.classes)

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
    def listener(self, caller: Caller) -> Generator[Listener]:
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
            with contextlib.suppress(*_FAULTS):
                await self._listen()
            self.hearing = False
            await asyncio.sleep(_AGAIN)

    async def _listen(self) -> None:
        async with _announcements(self._pool) as heard:
            self.hearing = True
            self._tell_all(Missed())
            async for alerts in heard:
                await self._spread(alerts)

    async def _spread(self, alerts: set[UUID]) -> None:
        if not alerts or not self._listeners:
            return
        about: defaultdict[int, list[UUID]] = defaultdict(list)
        for row in await self._pool.fetch(_WHOSE, sorted(alerts)):
            about[row["municipality"]].append(row["alert"])
        alike: defaultdict[object, list[Listener]] = defaultdict(list)
        for listener in self._listeners:
            if listener.caller.municipality in about:
                alike[listener.sees].append(listener)
        for listeners in alike.values():
            await self._tell_alike(listeners, about[listeners[0].caller.municipality])

    async def _tell_alike(self, listeners: Sequence[Listener], alerts: Sequence[UUID]) -> None:
        """Asks once, as one of them; what one opened in an emergency is that one's alone."""
        caller = replace(listeners[0].caller, asked=None)
        async with asking(self._pool, caller) as db:
            rows = await db.fetch(_WHICH, caller.municipality, alerts)
        for row in rows:
            changed = Changed(alert=row["public"], state=row["state"], kind=row["kind"])
            for listener in listeners:
                listener.tell(changed)

    def _tell_all(self, told: Told) -> None:
        for listener in self._listeners:
            listener.tell(told)


@contextlib.asynccontextmanager
async def _announcements(pool: Pool) -> AsyncGenerator[AsyncGenerator[set[UUID]]]:
    """What is announced on channel `alert`, over a connection of its own."""
    waiting: asyncio.Queue[UUID | None] = asyncio.Queue()

    def heard(_db: object, _pid: int, _channel: str, payload: object) -> None:
        if waiting.qsize() == _MOST:
            lost(None)  # everybody is told to look at all of it anew
        elif waiting.qsize() < _MOST:
            with contextlib.suppress(ValueError):  # not an id: nothing that a board could ask for
                waiting.put_nowait(UUID(str(payload)))

    def lost(_db: object) -> None:
        waiting.put_nowait(None)

    async with pool.acquire() as db:
        await db.add_listener("alert", heard)
        db.add_termination_listener(lost)
        try:
            line = _heard(waiting, lambda: db.fetchval("SELECT 1", timeout=_PING))
            async with contextlib.aclosing(line):
                yield line
        finally:
            with contextlib.suppress(InterfaceError):  # a lost connection is not ours any more
                db.remove_termination_listener(lost)
                await db.remove_listener("alert", heard)


async def _heard(
    waiting: asyncio.Queue[UUID | None], ping: Callable[[], Awaitable[object]]
) -> AsyncGenerator[set[UUID]]:
    """All that waits, together. A quiet line is asked now and then whether it still lives.

    Raises DatabaseDown when the connection is lost.
    """
    while True:
        alerts = set[UUID | None]()
        try:
            async with asyncio.timeout(_PING):
                alerts.add(await waiting.get())
        except TimeoutError:
            await ping()
        while not waiting.empty():
            alerts.add(waiting.get_nowait())
        if None in alerts:
            raise DatabaseDown("the connection that listens is lost")
        yield {alert for alert in alerts if alert is not None}

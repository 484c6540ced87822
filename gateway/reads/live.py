"""Tells every open board which alerts changed, as the database announces them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from asyncpg.exceptions import InterfaceError, PostgresError

from gateway.clock import Clock
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.emergencies import OPENED, open_until
from gateway.store.pool import DatabaseDown, Pool

_FAULTS = (DatabaseDown, OSError, InterfaceError, PostgresError)
_AGAIN, _PING, _OPENINGS = 1.0, 10.0, 1.0
"""Seconds before a lost connection is made again, between two looks at a quiet one, and between
two looks at what was opened in an emergency."""
_MOST = 10_000
"""Announcements that may wait, should the database be slow to say what they are about."""

_CHANNELS = ("alert", OPENED)
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
Opener = tuple[int, int]
"""Who opened a citizen in an emergency: municipality and the person's inside number."""


class Listener:
    """One open stream: what it may hear, and what waits for it.

    `until` is the end of the last emergency that its person has opened, None without one;
    `asked` is False until the database was asked for that.
    """

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.until: datetime | None = None
        self.asked = False
        self.ask_again()
        self._waiting: asyncio.Queue[Told] = asyncio.Queue(_MOST_WAITING)

    def ask_again(self) -> None:
        """What its person has opened may be another now."""
        # who sees the whole municipality, or may open nobody, has nothing to be asked for
        one = self.caller
        self.asked = one.districts is None or not one.may("emergency", "all")

    @property
    def opener(self) -> Opener:
        return (self.caller.municipality, self.caller.person)

    def asks_as(self, now: datetime) -> Caller:
        """The caller whom the database shows what this listener may hear at that time."""
        opened = self.until is not None and now < self.until
        return replace(self.caller, asked=now if opened else None)

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

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
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
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_listening())
            group.create_task(self._follow_openings())

    async def _keep_listening(self) -> None:
        while True:
            with contextlib.suppress(*_FAULTS):
                await self._listen()
            self.hearing = False
            await asyncio.sleep(_AGAIN)

    async def _listen(self) -> None:
        async with _announcements(self._pool) as all_heard:
            self.hearing = True
            self._tell_all(Missed())
            for listener in self._listeners:
                listener.ask_again()
            async for heard in all_heard:
                for listener in self._listeners:
                    if listener.opener in heard.openers:
                        listener.ask_again()
                        listener.tell(Missed())  # the citizen may have alerts already
                await self._spread(heard.alerts)

    async def _follow_openings(self) -> None:
        """Ends what is over by the Clock: who opened it then asks anew, and sees it no more."""
        while True:
            with contextlib.suppress(*_FAULTS):
                await self._ask_openings()
            now = self._clock.now()
            for listener in self._listeners:
                if listener.until is not None and listener.until <= now:
                    listener.until = None
                    listener.tell(Missed())
            await asyncio.sleep(_OPENINGS)

    async def _ask_openings(self) -> None:
        for listener in [one for one in self._listeners if not one.asked]:
            listener.asked = True  # before the question: an opening meanwhile is asked for again
            try:
                listener.until = await open_until(
                    self._pool, replace(listener.caller, asked=self._clock.now())
                )
            except BaseException:
                listener.ask_again()
                raise

    async def _spread(self, alerts: set[UUID]) -> None:
        if not alerts or not self._listeners:
            return
        await self._ask_openings()
        about: defaultdict[int, list[UUID]] = defaultdict(list)
        for row in await self._pool.fetch(_WHOSE, sorted(alerts)):
            about[row["municipality"]].append(row["alert"])
        alike: defaultdict[object, list[Listener]] = defaultdict(list)
        now = self._clock.now()
        for listener in self._listeners:
            if listener.caller.municipality in about:
                alike[_sees(listener.asks_as(now))].append(listener)
        for listeners in alike.values():
            caller = listeners[0].asks_as(now)
            await self._tell_alike(caller, listeners, about[caller.municipality])

    async def _tell_alike(
        self, caller: Caller, listeners: Sequence[Listener], alerts: Sequence[UUID]
    ) -> None:
        """Asks once for all of them, as one of them."""
        async with asking(self._pool, caller) as db:
            rows = await db.fetch(_WHICH, caller.municipality, alerts)
        for row in rows:
            changed = Changed(alert=row["public"], state=row["state"], kind=row["kind"])
            for listener in listeners:
                listener.tell(changed)

    def _tell_all(self, told: Told) -> None:
        for listener in self._listeners:
            listener.tell(told)


def _sees(one: Caller) -> object:
    """What two callers have in common when the database shows both the same.

    What one opened in an emergency is that one's alone.
    """
    alone = one.person if one.asked is not None else None
    return (one.municipality, one.role, one.districts, one.classes, alone)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was announced, together."""

    alerts: set[UUID]
    openers: set[Opener]


def _read(channel: str, payload: object) -> UUID | Opener:
    """Raises ValueError for what is not one of our announcements."""
    if channel == OPENED:
        municipality, person = str(payload).split(" ")
        return int(municipality), int(person)
    return UUID(str(payload))


_Waiting = asyncio.Queue[UUID | Opener | None]


@contextlib.asynccontextmanager
async def _announcements(pool: Pool) -> AsyncGenerator[AsyncGenerator[_Heard]]:
    """What is announced of alerts and emergencies, over a connection of its own."""
    waiting: _Waiting = asyncio.Queue()

    def heard(_db: object, _pid: int, channel: str, payload: object) -> None:
        if waiting.qsize() == _MOST:
            lost(None)  # everybody is told to look at all of it anew
        elif waiting.qsize() < _MOST:
            with contextlib.suppress(ValueError):  # not an id: nothing that a board could ask for
                waiting.put_nowait(_read(channel, payload))

    def lost(_db: object) -> None:
        waiting.put_nowait(None)

    async with pool.acquire() as db:
        db.add_termination_listener(lost)
        try:
            for channel in _CHANNELS:
                await db.add_listener(channel, heard)
            line = _heard(waiting, lambda: db.fetchval("SELECT 1", timeout=_PING))
            async with contextlib.aclosing(line):
                yield line
        finally:
            # thrown away: whoever is cancelled while it is busy could not ask it to be quiet
            with contextlib.suppress(InterfaceError):  # a lost connection is not ours any more
                db.remove_termination_listener(lost)
                db.terminate()


async def _heard(
    waiting: _Waiting, ping: Callable[[], Awaitable[object]]
) -> AsyncGenerator[_Heard]:
    """All that waits, together. A quiet line is asked now and then whether it still lives.

    Raises DatabaseDown when the connection is lost.
    """
    while True:
        told = set[UUID | Opener | None]()
        try:
            async with asyncio.timeout(_PING):
                told.add(await waiting.get())
        except TimeoutError:
            await ping()
        while not waiting.empty():
            told.add(waiting.get_nowait())
        if None in told:
            raise DatabaseDown("the connection that listens is lost")
        yield _Heard(
            {one for one in told if isinstance(one, UUID)},
            {one for one in told if isinstance(one, tuple)},
        )

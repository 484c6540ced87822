"""Which boxes are in contact, by what they say and by their last will."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway import log
from gateway.clock import Clock
from gateway.ingest.awake import Awake
from gateway.ingest.batches import LATEST_MS, Rejected, edge_of, in_words
from gateway.ingest.duty import Duty
from gateway.ingest.known import Known
from gateway.ingest.senders import set_aside
from gateway.ingest.subscriber import Delivery, Subscriber
from gateway.ingest.twins import Twins
from gateway.store import contact
from gateway.store.duty import HANGS
from gateway.store.known import Edge
from gateway.store.pool import Connection, DatabaseDown
from gateway.store.quarantine import AsideMessage

STALE = 660.0
"""Seconds without any message of a box that says it runs: two state messages have not come."""
UNSURE = 180.0
"""Seconds after our own connecting in which a box that we have not heard may be on its way back."""

_LOOKS = HANGS / 3
_AGAIN = 0.2
_TOGETHER = 500
_SECOND = 1.0  # the broker tells its uptime in whole ones
_SKEW = 5.0  # seconds between the clocks of a box and of the gateway, both synchronised
_LARGEST = 4_096  # bytes of a state message
_T = TypeVar("_T")
_log = log.get(__name__)


Word = Annotated[str, Field(pattern=r"^[a-z0-9_.]{1,40}$")]
"""A short word of a box: one of tomorrow, which we do not know, is kept and shown as it is."""


class _LaneState(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    depth: int = Field(ge=0)
    oldest: int | None = Field(ge=0, le=LATEST_MS)


class CardState(BaseModel):
    """What a full card has cost the box; `at` is when it was last found full."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    at: int = Field(ge=0, le=LATEST_MS)
    early: int = Field(ge=0, lt=2**53)
    given_up: int = Field(ge=0, lt=2**53)


class State(BaseModel):
    """What a box says of itself, read strictly; names that we do not know are left alone."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    format: Literal[1]
    state: Literal["running", "stopped", "lost"]
    version: str = Field(max_length=64)
    at: int = Field(ge=0, le=LATEST_MS)
    started: int = Field(ge=0, le=LATEST_MS)
    keepalive: int = Field(ge=1, le=3_600)
    urgent: _LaneState
    bulk: _LaneState
    config: int = Field(ge=0, lt=2**31)
    reader: Word
    epoch: str | None = Field(default=None, max_length=64)
    keep_days: float | None = Field(default=None, ge=0, le=1e6)
    card: CardState | None = None
    mode: Word | None = None
    room_days: float | None = Field(default=None, ge=0, le=1e6)
    path: int | None = Field(default=None, ge=1, le=9)
    trouble: Word | None = None
    refused: str | None = Field(default=None, max_length=1_000)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a box, or its last will, last said of its being there, and when it first said so."""

    word: Literal["running", "stopped", "lost"]
    at: datetime


@dataclass(frozen=True, slots=True)
class _End:
    name: str
    by: contact.EndedBy
    at: datetime


class Contacts:
    """Who is in contact: what boxes say is kept in memory, and only its changes are written.

    Every ingest process hears every state message, and the one on duty writes. Who takes the duty
    over holds all that it heard against what is written. Times that are written come from the
    gateway's clock; whether a box is silent is measured on the loop's own, for a driven clock may
    leap an hour while everybody is alive.
    """

    def __init__(
        self,
        duty: Duty,
        known: Known,
        clock: Clock,
        subscriber: Subscriber,
        *,
        running: Callable[[str, int], None] = lambda _edge, _config: None,
        spoken: Callable[[str, State], None] = lambda _edge, _state: None,
        broker_since: Callable[[], float | None] = lambda: None,
        unsure: float = UNSURE,
    ) -> None:
        self._duty = duty
        self._known = known
        self._clock = clock
        self._subscriber = subscriber
        self._running = running
        self._spoken = spoken
        self._broker_since = broker_since
        self._unsure = unsure
        self._awake = Awake()
        self._twins = Twins()
        self._heard: dict[str, float] = {}
        self._kept: dict[str, int] = {}
        self._said: dict[str, _Said] = {}
        self._order: dict[str, int] = {}
        self._news = set[str]()
        self._open: set[str] | None = None
        self._rung, self._written = asyncio.Event(), asyncio.Event()

    def heard(self, deliveries: Iterable[Delivery]) -> None:
        """Each of these boxes has spoken just now, unless the message was kept by the broker."""
        now = asyncio.get_running_loop().time()
        for delivery in deliveries:
            if not delivery.retained:
                self._heard[edge_of(delivery.topic)] = now

    async def take(self, deliveries: Collection[Delivery]) -> list[AsideMessage]:
        """Note what state messages say; of those that are none, what is to be set aside.

        Raises DatabaseDown; the same messages may be given again. What is noted is written soon;
        should we end before, the broker keeps each box's state for whoever comes after us.
        All their boxes are asked for at once: a whole country may come back together.
        """
        edges = await self._known.edges({edge_of(one.topic) for one in deliveries})
        aside = [self._take(one, edges[edge_of(one.topic)]) for one in deliveries]
        return [one for one in aside if one is not None]

    def _take(self, delivery: Delivery, edge: Edge | None) -> AsideMessage | None:
        name = edge_of(delivery.topic)
        if edge is None:
            unknown = Rejected("unknown_edge", f"no box is called {name[:64]}")
            return _aside(delivery, None, unknown)
        try:
            state = read_state(delivery.payload)
        except Rejected as rejected:
            return _aside(delivery, edge.municipality, rejected)
        self._note(name, state, delivery)
        return None

    async def written(self) -> None:
        """Wait until what was said is written, by us who are on duty."""
        await self._written.wait()

    async def run(self) -> None:
        """While it is our duty, write changes and look for boxes that fell silent; until cancelled.

        Who is not connected leaves the duty to another who hears the boxes.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._awake.run())
            while True:
                if self._subscriber.connected_at is not None:
                    try:
                        async with self._duty.turn() as db:
                            await self._serve(db)
                    except DatabaseDown as down:
                        _log.warning("contact cannot be written", why=str(down))
                    self._open = None
                await asyncio.sleep(_AGAIN)

    async def _serve(self, db: Connection) -> None:
        """First all that we heard: others wrote until now, or nobody did."""
        self._open = await contact.in_contact(db)
        self._news = set[str]()
        await self._write(db, self._open, list(self._said), not_before=self._clock.now())
        while self._subscriber.connected_at is not None:
            news, self._news = self._news, set[str]()
            await self._write(db, self._open, news)
            await self._end_silent(db, self._open)
            if not self._news:
                self._written.set()
            await self._wait()
            await db.execute("SELECT")  # whoever says nothing for long has lost the duty

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(_LOOKS, self._unsure / 4)):
                await self._rung.wait()
        self._rung.clear()

    def silent(self) -> list[str]:
        """The boxes in contact that have not been heard for too long while we could hear."""
        return self._silent(self._open or ())

    def _silent(self, names: Iterable[str]) -> list[str]:
        """Those of the boxes.

        A broker that has started anew keeps no last will of before: a box that died with it is
        never called lost, but one that lives has come back with a birth by the time we are sure.
        """
        since = self._subscriber.connected_at
        if since is None:
            return []
        limit = asyncio.get_running_loop().time() - STALE
        hearing = max(since, self._awake.since())
        started = self._started_with_us(since)
        return [
            name
            for name in names
            if max(self._heard.get(name, 0), hearing) < limit
            or (started is not None and not self._is_born_since(name, started))
        ]

    def _started_with_us(self, connected: float) -> float | None:
        """When the broker started, if so short before we connected that all who live are heard.

        None if it is not known, or not yet long enough ago. A driven clock says nothing of that.
        """
        started, now = self._broker_since(), asyncio.get_running_loop().time()
        if started is None or self._clock.driven or connected - started > self._unsure:
            return None
        hearing = max(started, connected, self._awake.since())
        return started if now - hearing > self._unsure else None

    def _is_born_since(self, name: str, started: float) -> bool:
        """Heard by us, or its birth kept by the broker that runs now: with a last will again."""
        age = asyncio.get_running_loop().time() - started
        kept_since = self._clock.now_ms() - (age + _SKEW) * 1_000
        heard = self._heard.get(name, 0) >= started - _SECOND
        return heard or self._kept.get(name, 0) >= kept_since

    def _note(self, name: str, state: State, delivery: Delivery) -> None:
        """Of a box's messages the one that came last counts, whoever reads them in which order."""
        if delivery.order < self._order.get(name, 0):
            return
        self._order[name] = delivery.order
        if state.state == "running":
            if delivery.retained:
                self._kept[name] = state.at
                if self._is_old(state):
                    return  # a box that died while the broker was down still "runs" there
            else:
                self._heard[name] = asyncio.get_running_loop().time()
                self._running(name, state.config)
                if self._twins.spoke(name, state.started):
                    _log.warning("two boxes run under one name", edge=name)
            self._spoken(name, state)
        before = self._said.get(name)
        if before is None or before.word != state.state:
            self._said[name] = _Said(state.state, self._clock.now())
            self._news.add(name)
            self._written.clear()
            self._rung.set()

    def _is_old(self, state: State) -> bool:
        return not self._clock.driven and self._clock.now_ms() - state.at > STALE * 1_000

    async def _write(
        self,
        db: Connection,
        now_open: set[str],
        names: Iterable[str],
        *,
        not_before: datetime | None = None,
    ) -> None:
        """Write what these boxes said where it is not so already."""
        begun: dict[str, datetime] = {}
        ends: list[_End] = []
        for name in names:
            said = self._said[name]
            if said.word != "running":
                ends += [_End(name, said.word, said.at)] if name in now_open else []
            elif name not in now_open:
                begun[name] = said.at if not_before is None else max(said.at, not_before)
        for name in self._silent(begun):
            del begun[name], self._said[name]  # its next word is news
        await self._begin(db, now_open, begun)
        await self._end(db, now_open, ends)

    async def _begin(
        self, db: Connection, now_open: set[str], boxes: Mapping[str, datetime]
    ) -> None:
        for some in _in_parts(list(boxes.items())):
            edges = await self._known.edges({name for name, _ in some})
            found = [(edges[name], at) for name, at in some]
            begun = [contact.Begun(edge=edge, at=at) for edge, at in found if edge is not None]
            await contact.begin(db, begun)
            now_open.update(name for name, _ in some)
            for box in begun:
                _log.info("in contact", edge=box.edge.name)

    async def _end_silent(self, db: Connection, now_open: set[str]) -> None:
        silent, now = self._silent(now_open), self._clock.now()
        for name in silent:
            self._said.pop(name, None)  # its next word is news
        await self._end(db, now_open, [_End(name, "stale", now) for name in silent])

    async def _end(self, db: Connection, now_open: set[str], boxes: Sequence[_End]) -> None:
        for some in _in_parts(boxes):
            edges = await self._known.edges({box.name for box in some})
            found = [(edges[box.name], box) for box in some]
            ended = [
                contact.Ended(edge=edge, at=box.at, by=box.by, sure_from=self._sure_from(box))
                for edge, box in found
                if edge is not None
            ]
            await contact.end(db, ended)
            now_open.difference_update(box.name for box in some)
            for one in ended:
                _log.info("out of contact", edge=one.edge.name, ended_by=one.by)

    def _sure_from(self, box: _End) -> datetime:
        """After the time still to wait for a box not heard since we connected ourselves."""
        since = self._subscriber.connected_at
        if since is None or self._heard.get(box.name, 0) >= since:
            return box.at
        unsure = since + self._unsure - asyncio.get_running_loop().time()
        return box.at + timedelta(seconds=max(0, unsure))


def _in_parts(boxes: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """A few hundred at a time: as many as one transaction may hold up for others."""
    for start in range(0, len(boxes), _TOGETHER):
        yield boxes[start : start + _TOGETHER]


def read_state(payload: bytes) -> State:
    """Raises Rejected."""
    if len(payload) > _LARGEST:
        raise Rejected("too_large", f"a state message of {len(payload)} bytes")
    try:
        return State.model_validate_json(payload)
    except ValidationError as bad:
        raise Rejected("bad_state", in_words(bad)) from bad


def _aside(delivery: Delivery, municipality: int | None, rejected: Rejected) -> AsideMessage:
    return replace(set_aside(delivery.topic, delivery.payload, rejected), municipality=municipality)

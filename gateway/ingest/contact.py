"""Which boxes are in contact, by what they say and by their last will."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway import log
from gateway.clock import Clock
from gateway.ingest.batches import LATEST_MS, Rejected, digest, edge_of, in_words, kept_bytes
from gateway.ingest.known import Known
from gateway.ingest.subscriber import Delivery, Subscriber
from gateway.store import contact
from gateway.store.known import Edge
from gateway.store.pool import DatabaseDown, Pool
from gateway.store.quarantine import AsideMessage

STALE = 660.0
"""Seconds without any message of a box that says it runs: two state messages have not come."""
UNSURE = 180.0
"""Seconds after our own connecting in which a box that we have not heard may be on its way back."""

_LOOKS = 10.0
_SECOND = 1.0  # the broker tells its uptime in whole ones
_SKEW = 5.0  # seconds between the clocks of a box and of the gateway, both synchronised
_LARGEST = 4_096  # bytes of a state message
_log = log.get(__name__)


class _LaneState(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    depth: int = Field(ge=0)
    oldest: int | None = Field(ge=0, le=LATEST_MS)


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
    reader: Literal["hearing", "silent", "off", "starting"]


class Contacts:
    """Who is in contact. When a box was last heard is kept in memory only, changes are written.

    Times that are written come from the gateway's clock; whether a box is silent is measured on
    the loop's own, for a driven clock may leap an hour while everybody is alive.
    """

    def __init__(
        self,
        pool: Pool,
        known: Known,
        clock: Clock,
        subscriber: Subscriber,
        *,
        running: Callable[[str, int], None] = lambda _edge, _config: None,
        broker_since: Callable[[], float | None] = lambda: None,
        unsure: float = UNSURE,
    ) -> None:
        self._pool = pool
        self._known = known
        self._clock = clock
        self._subscriber = subscriber
        self._running = running
        self._broker_since = broker_since
        self._unsure = unsure
        self._heard: dict[str, float] = {}
        self._kept: dict[str, int] = {}
        self._open: set[str] | None = None

    def heard(self, deliveries: Iterable[Delivery]) -> None:
        """Each of these boxes has spoken just now, unless the message was kept by the broker."""
        now = asyncio.get_running_loop().time()
        for delivery in deliveries:
            # a last will is the broker's word; see `take` for why a state counts there
            if not delivery.retained and not delivery.topic.endswith("/state"):
                self._heard[edge_of(delivery.topic)] = now

    async def take(self, delivery: Delivery) -> AsideMessage | None:
        """Note what a state message changes; if it is none, what is to be set aside.

        Raises DatabaseDown; the same message may be given again.
        """
        name = edge_of(delivery.topic)
        edge = await self._known.edge(name)
        if edge is None:
            unknown = Rejected("unknown_edge", f"no box is called {name[:64]}")
            return _aside(delivery, None, unknown)
        try:
            state = read_state(delivery.payload)
        except Rejected as rejected:
            return _aside(delivery, edge.municipality, rejected)
        await self._change(edge, state, delivery)
        return None

    async def run(self) -> None:
        """Look for boxes that have fallen silent without a last will, until cancelled."""
        while True:
            try:
                await self._look()
            except DatabaseDown as down:
                _log.warning("contact cannot be written", why=str(down))
            await asyncio.sleep(min(_LOOKS, self._unsure / 4))

    async def _look(self) -> None:
        if self._open is None:
            self._open = await contact.in_contact(self._pool)
        for name in self.silent():
            await self._end(name, "stale")

    def silent(self) -> list[str]:
        """The boxes in contact that have not been heard for too long while we could hear.

        A broker that has started anew keeps no last will of before: a box that died with it is
        never called lost, but one that lives has come back with a birth by the time we are sure.
        """
        since = self._subscriber.connected_at
        if since is None or self._open is None:
            return []
        limit = asyncio.get_running_loop().time() - STALE
        started = self._started_with_us(since)
        return [
            name
            for name in self._open
            if max(self._heard.get(name, 0), since) < limit
            or (started is not None and not self._is_born_since(name, started))
        ]

    def _started_with_us(self, connected: float) -> float | None:
        """When the broker started, if so short before we connected that all who live are heard.

        None if it is not known, or not yet long enough ago. A driven clock says nothing of that.
        """
        started, now = self._broker_since(), asyncio.get_running_loop().time()
        if started is None or self._clock.driven or connected - started > self._unsure:
            return None
        return started if now - max(started, connected) > self._unsure else None

    def _is_born_since(self, name: str, started: float) -> bool:
        """Heard by us, or its birth kept by the broker that runs now: with a last will again."""
        age = asyncio.get_running_loop().time() - started
        kept_since = self._clock.now_ms() - (age + _SKEW) * 1_000
        heard = self._heard.get(name, 0) >= started - _SECOND
        return heard or self._kept.get(name, 0) >= kept_since

    async def _change(self, edge: Edge, state: State, delivery: Delivery) -> None:
        if self._open is None:
            self._open = await contact.in_contact(self._pool)
        if state.state != "running":
            await self._end(edge.name, state.state)
            return
        if delivery.retained:
            self._kept[edge.name] = state.at
            if self._is_old(state):
                return  # a box that died while the broker was down still "runs" there
        else:
            self._heard[edge.name] = asyncio.get_running_loop().time()
            self._running(edge.name, state.config)
        if edge.name not in self._open:
            await contact.begin(self._pool, edge, self._clock.now())
            self._open.add(edge.name)
            _log.info("in contact", edge=edge.name)

    def _is_old(self, state: State) -> bool:
        return not self._clock.driven and self._clock.now_ms() - state.at > STALE * 1_000

    async def _end(self, name: str, ended_by: contact.EndedBy) -> None:
        edge = await self._known.edge(name)
        if self._open is None or name not in self._open:
            return
        if edge is not None:
            now = self._clock.now()
            sure_from = now + timedelta(seconds=self._unsure_for(name))
            await contact.end(self._pool, edge, now, ended_by, sure_from=sure_from)
            _log.info("out of contact", edge=name, ended_by=ended_by)
        self._open.discard(name)

    def _unsure_for(self, name: str) -> float:
        """Seconds still to wait for a box not heard since we connected ourselves."""
        since = self._subscriber.connected_at
        if since is None or self._heard.get(name, 0) >= since:
            return 0
        return max(0, since + self._unsure - asyncio.get_running_loop().time())


def read_state(payload: bytes) -> State:
    """Raises Rejected."""
    if len(payload) > _LARGEST:
        raise Rejected("too_large", f"a state message of {len(payload)} bytes")
    try:
        return State.model_validate_json(payload)
    except ValidationError as bad:
        raise Rejected("bad_state", in_words(bad)) from bad


def _aside(delivery: Delivery, municipality: int | None, rejected: Rejected) -> AsideMessage:
    return AsideMessage(
        municipality=municipality,
        topic=delivery.topic,
        reason=rejected.reason,
        detail=rejected.detail,
        payload=kept_bytes(delivery.payload),
        digest=digest(delivery.payload),
    )

"""Publishes to each box its configuration, retained, whenever it has a new version."""

import asyncio
import contextlib
from collections.abc import Sequence

from gateway import log
from gateway.clock import Clock
from gateway.edges.config import ZONE, config
from gateway.ingest.duty import Duty
from gateway.ingest.subscriber import Subscriber
from gateway.store import configs
from gateway.store.bell import Bell, listening
from gateway.store.configs import DueConfig
from gateway.store.pool import DatabaseDown, Pool

_MOST = 100
_POLL, _AGAIN = 10.0, 1.0
_LARGEST = 64_000  # bytes: a larger one would end the session, and every box's with it
_log = log.get(__name__)


class Configs:
    """Tells boxes what to hear. A version counts as published when the broker has taken it.

    A box that says it follows an older version than it was sent is sent it again, so that a
    broker which lost what it kept does no harm. Of several ingest processes the one on duty tells;
    the others know which boxes are behind, should the duty come to them.
    """

    def __init__(self, duty: Duty, pool: Pool, subscriber: Subscriber, clock: Clock) -> None:
        self._duty = duty
        self._pool = pool
        self._clock = clock
        self._subscriber = subscriber
        self._told: dict[str, int] = {}
        self._behind: set[str] = set()
        self._too_large: dict[str, int] = {}
        self._follows: dict[str, int] = {}
        self._bell: Bell | None = None

    def running(self, edge: str, version: int) -> None:
        """A box says which version it follows."""
        if self._follows.get(edge) != version and self._told.get(edge) != version:
            self._behind.add(edge)
            if self._bell is not None:
                self._bell.ring()
        self._follows[edge] = version

    async def run(self) -> None:
        """Until cancelled; a lost connection is made again."""
        while True:
            with contextlib.suppress(DatabaseDown):
                async with listening(self._pool, "config") as self._bell:
                    while True:
                        await self._duty.taken.wait()
                        await self._publish_all()
                        connected = self._subscriber.connected_at is not None
                        await self._bell.wait(_POLL if connected else _AGAIN)
            self._bell = None
            await asyncio.sleep(_AGAIN)

    async def _publish_all(self) -> None:
        while self._subscriber.connected_at is not None and self._duty.is_held:
            again = list(self._behind)[:_MOST]
            due = await configs.due(self._pool, again, _MOST, self._clock.now())
            done = await self._publish(due)
            self._behind.difference_update(again)
            if done:
                await configs.published(self._pool, done)
            if len(done) < _MOST:
                return

    async def _publish(self, due: Sequence[DueConfig]) -> list[DueConfig]:
        """Those that the broker has taken, now or before."""
        taken = await asyncio.gather(*(self._publish_one(one) for one in due))
        done = [one for one, is_taken in zip(due, taken, strict=True) if is_taken]
        self._told |= {one.name: one.version for one in done}
        return done

    async def _publish_one(self, due: DueConfig) -> bool:
        if self._follows.get(due.name) == due.version:
            return True
        payload = config(due.version, due.placed, zone=due.zone or ZONE)
        if len(payload) > _LARGEST:
            if due.version != self._too_large.get(due.name):
                _log.error("a configuration is too large", edge=due.name, octets=len(payload))
            self._too_large[due.name] = due.version
            return False
        number = self._subscriber.publish(f"edges/{due.name}/config", payload, retain=True)
        taken = number is not None and await self._subscriber.answered(number)
        if taken:
            _log.info("configuration published", edge=due.name, version=due.version)
        return taken

"""Hears what boxes say of themselves, and what the broker says of itself.

On a session of its own: ten thousand boxes that come back together say so at once, and no call
waits behind that.
"""

import asyncio
import random
from collections.abc import Sequence

from gateway import log
from gateway.clock import Clock
from gateway.health import Health
from gateway.ingest.commands import TOPIC as REPLY
from gateway.ingest.commands import Commands
from gateway.ingest.contact import Contacts
from gateway.ingest.subscriber import Delivery, Subscriber
from gateway.ingest.uptime import TOPIC as UPTIME
from gateway.ingest.uptime import BrokerUptime
from gateway.store import quarantine
from gateway.store.pool import DatabaseDown, Pool

TOPICS = ("edges/+/state", REPLY, UPTIME)

_MOST, _OCTETS = 200, 400_000
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_PART = "ingest state: database"
_log = log.get(__name__)


class States:
    """A message is acknowledged when it is noted, or the reason against it is committed."""

    def __init__(
        self,
        subscriber: Subscriber,
        pool: Pool,
        clock: Clock,
        health: Health,
        *,
        contacts: Contacts,
        uptime: BrokerUptime,
        commands: Commands,
    ) -> None:
        self._subscriber = subscriber
        self._pool = pool
        self._clock = clock
        self._health = health
        self._contacts = contacts
        self._uptime = uptime
        self._commands = commands

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            deliveries = await self._subscriber.take(_MOST, octets=_OCTETS)
            await self._until_taken(deliveries)
            for delivery in deliveries:
                self._subscriber.acknowledge(delivery)

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """Note them all, or set aside what is no state message. Raises DatabaseDown."""
        for one in deliveries:
            if one.topic == UPTIME:
                self._uptime.take(one)
            elif one.topic.endswith("/reply"):
                await self._commands.take(one)
        if states := [one for one in deliveries if one.topic.endswith("/state")]:
            aside = await self._contacts.take(states)
            await quarantine.set_messages_aside(self._pool, aside, self._clock.now())

    async def _until_taken(self, deliveries: Sequence[Delivery]) -> None:
        """However often the database must be asked."""
        pause = _SHORTEST_PAUSE
        while True:
            try:
                await self.take(deliveries)
            except DatabaseDown as down:
                self._health.bad(_PART, str(down))
                _log.warning("state messages wait for the database", why=str(down))
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return self._health.ok(_PART)

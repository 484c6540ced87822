"""Since when the broker runs, by its own word; only one that says so can be seen to start anew."""

import asyncio

from gateway.ingest.subscriber import Delivery, Subscriber

TOPIC = "$SYS/broker/uptime"
"""Mosquitto's, every 10 s and retained: "123 seconds" (mosquitto(8), "Broker Status")."""

_MOST, _OCTETS = 10, 1_000


class BrokerUptime:
    """Reads the broker's uptime from a session that is subscribed to TOPIC and to nothing else."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self._connection: float | None = None
        self._since: float | None = None

    def since(self) -> float | None:
        """On the loop's clock, up to a second late; None while it is not known."""
        same = self._subscriber.connected_at == self._connection
        return self._since if same else None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for delivery in await self._subscriber.take(_MOST, octets=_OCTETS):
                self._take(delivery)
                self._subscriber.acknowledge(delivery)

    def _take(self, delivery: Delivery) -> None:
        """The earliest of a connection is the truth: what was kept or queued is only later."""
        seconds = delivery.payload.removesuffix(b" seconds")
        if delivery.topic != TOPIC or not seconds.isdigit():
            return
        since = asyncio.get_running_loop().time() - int(seconds)
        known = self.since()
        self._since = since if known is None else min(known, since)
        self._connection = self._subscriber.connected_at

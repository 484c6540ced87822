"""Since when the broker runs, by its own word; only one that says so can be seen to start anew."""

import asyncio

from gateway.ingest.subscriber import Delivery, Subscriber

TOPIC = "$SYS/broker/uptime"
"""Mosquitto's, every 10 s and retained: "123 seconds" (mosquitto(8), "Broker Status")."""


class BrokerUptime:
    """Reads the broker's uptime from the messages of a session that is subscribed to TOPIC."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self._connection: float | None = None
        self._since: float | None = None

    def since(self) -> float | None:
        """On the loop's clock, up to a second late; None while it is not known."""
        same = self._subscriber.connected_at == self._connection
        return self._since if same else None

    def take(self, delivery: Delivery) -> None:
        """The earliest of a connection is the truth: what was kept or queued is only later."""
        seconds = delivery.payload.removesuffix(b" seconds")
        if delivery.topic != TOPIC or not seconds.isdigit():
            return
        since = asyncio.get_running_loop().time() - int(seconds)
        known = self.since()
        self._since = since if known is None else min(known, since)
        self._connection = self._subscriber.connected_at

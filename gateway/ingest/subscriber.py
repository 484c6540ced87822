"""Brings MQTT messages into our loop, unacknowledged, over one session that lasts."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence

from gateway import log
from gateway.ingest.line import Broker, Delivery, Line, LinkLost, Session

__all__ = ["Broker", "Delivery", "LinkLost", "Subscriber"]

SESSION_EXPIRY = 300
"""Seconds that the broker keeps our session. Short: once it is gone the broker tells the boxes
that nobody is here, instead of collecting what it may drop without a word."""

RECEIVE_MAXIMUM = 400
"""Two transactions' messages: the next are read while one is stored. The broker's
max_inflight_messages (gateway/edges/mosquitto.conf) must be as high."""

KEEPALIVE = 20
"""Seconds; the broker takes us for dead after one and a half times that without a word."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
_log = log.get(__name__)


class Subscriber:
    """One MQTT session that lasts: the same name, over as many connections as it takes.

    The broker holds back what we have not acknowledged beyond `receive_maximum`, so the queue in
    memory is bounded by protocol. An acknowledgement of a connection that is gone is dropped: the
    broker delivers its message again, and its number may mean another message by then.
    """

    def __init__(
        self,
        broker: Broker,
        user: str,
        topics: Sequence[str],
        *,
        name: str = "",
        expiry: int = SESSION_EXPIRY,
        keepalive: int = KEEPALIVE,
        receive_maximum: int = RECEIVE_MAXIMUM,
        changed: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        """`name` is added to the user's for the session: one user may have several of them."""
        self.connected_at: float | None = None
        """On the loop's clock, when the connection now open was made."""
        self.user = f"{user}-{name}" if name else user
        self._session = Session(
            user=user,
            client=self.user,
            topics=topics,
            expiry=expiry,
            keepalive=keepalive,
            receive_maximum=receive_maximum,
        )
        self._broker = broker
        self._changed = changed
        self._queue = deque[Delivery]()
        self._octets = 0
        self._news = asyncio.Event()
        self._line: Line | None = None

    async def run(self) -> None:
        """Stay connected until cancelled. `changed` is told None, or why there is no connection."""
        pause = _SHORTEST_PAUSE
        while True:
            try:
                await self._connected()
            except LinkLost as lost:
                pause = _SHORTEST_PAUSE if self.connected_at else min(pause * 2, _LONGEST_PAUSE)
                self._changed(str(lost))
                _log.warning("no connection to the broker", user=self.user, why=str(lost))
            except asyncio.CancelledError:
                self._changed("closed")
                raise
            finally:
                self.connected_at = self._line = None
                self._queue.clear()  # delivered again to the next connection
                self._octets = 0
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load

    async def take(self, most: int, *, octets: int, gather: float = 0.0) -> list[Delivery]:
        """Wait for a message; then all that wait, up to that many messages or payload bytes.

        Where fewer wait, others are first given `gather` seconds to come.
        """
        if gather and len(self._queue) < most and self._octets < octets:
            await asyncio.sleep(gather)
        while not self._queue:
            self._news.clear()
            await self._news.wait()
        taken = [self._queue.popleft()]
        room = octets - len(taken[0].payload)
        while self._queue and len(taken) < most and len(self._queue[0].payload) <= room:
            taken.append(self._queue.popleft())
            room -= len(taken[-1].payload)
        self._octets -= sum(len(one.payload) for one in taken)
        return taken

    @staticmethod
    def acknowledge(delivery: Delivery) -> None:
        """The broker may forget this message."""
        if delivery.line is not None:
            delivery.line.acknowledge(delivery.number)

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = None
    ) -> int | None:
        """Send with QoS 1; its number, or None when there is no connection or too much waits.

        After `expiry` seconds the broker forgets it where it is not delivered.
        """
        if self._line is None:
            return None
        return self._line.publish(topic, payload, retain=retain, expiry=expiry)

    async def answered(self, number: int, seconds: float = 10.0) -> bool:
        """Whether the broker took the message of that number within the time."""
        return self._line is not None and await self._line.answered(number, seconds)

    async def _connected(self) -> None:
        line = Line(self._broker, self._session, self._arrive)
        try:
            await line.open()
            self._line, self.connected_at = line, asyncio.get_running_loop().time()
            self._changed(None)
            _log.info("connected to the broker", user=self.user)
            await line.ended
        finally:
            line.close()

    def _arrive(self, delivery: Delivery) -> None:
        self._queue.append(delivery)
        self._octets += len(delivery.payload)
        self._news.set()

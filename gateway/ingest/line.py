"""One connection of the gateway to the broker, used once; on the loop's own thread."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple

from gateway.ingest import packets
from gateway.ingest.packets import Malformed

_CONNECTING = 2.5
_LARGEST = 262_144  # bytes of a packet: the broker leaves out what is larger
_IN_FLIGHT = 100
_MOST_WAITING = 5_000
_MOST_OCTETS = 16_000_000  # of what waits to be sent
_HIGHEST = 65_535
_FIRST = 1  # number of the SUBSCRIBE
_ORDER = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is, and how we are known there. With `ca`, a PEM file, over TLS.

    `identity` is a folder with a certificate and a key for each user, USER.pem and USER.key.
    """

    host: str
    port: int
    ca: Path | None = None
    identity: Path | None = None
    password: str = field(default="", repr=False)

    def context(self, user: str) -> ssl.SSLContext | None:
        """Read anew for each connection: certificates are renewed while we run. OSError."""
        if self.ca is None:
            return None
        context = ssl.create_default_context(cafile=self.ca)
        if self.identity is not None:
            own = self.identity / user
            context.load_cert_chain(f"{own}.pem", f"{own}.key")
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is asked of the broker at every connection; `expiry` and `keepalive` in seconds."""

    user: str
    client: str
    topics: Sequence[str]
    expiry: int
    keepalive: int
    receive_maximum: int


class Delivery(NamedTuple):
    """One message, not acknowledged. `line` is the connection that it came over.

    `order` rises with every message that reaches this process: of two, the greater came later.
    """

    topic: str
    payload: bytes
    retained: bool
    number: int
    line: "Line | None" = None
    order: int = 0


class LinkLost(Exception):
    """The connection to the broker is gone or never came. Connected again after a pause."""


class Line(asyncio.Protocol):
    """From CONNECT to the end of the connection; `ended` raises LinkLost then.

    What is written in one turn of the loop leaves in one packet of the network: a whole group's
    acknowledgements cost one call of the system. asyncio sets TCP_NODELAY: otherwise what is
    written holds up the next by 40 ms.
    """

    def __init__(
        self, broker: Broker, session: Session, arrive: Callable[[Delivery], None]
    ) -> None:
        self._broker = broker
        self._session = session
        self._arrive = arrive
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._unread = b""
        self._unsent: list[bytes] = []
        self._keepalive = session.keepalive
        self._written = self._loop.time()
        self._asked: float | None = None
        self._outgoing = _Outgoing()

    async def open(self) -> None:
        """Connect, take up the session, subscribe. Raises LinkLost."""
        broker = self._broker
        try:
            async with asyncio.timeout(_CONNECTING):
                context = broker.context(self._session.user)
                await self._loop.create_connection(
                    lambda: self, broker.host, broker.port, ssl=context
                )
                await self._ready
        except (OSError, ValueError) as error:
            raise LinkLost(str(error) or type(error).__name__) from error

    def acknowledge(self, number: int) -> None:
        """The broker may forget the message of that number."""
        self._write(packets.acknowledge(number))

    def publish(
        self, topic: str, payload: bytes, *, retain: bool, expiry: int | None = None
    ) -> int | None:
        """Send with QoS 1; its number, or None when too much waits already."""
        if self._transport is None:
            return None
        number = self._outgoing.add(topic, payload, retain=retain, expiry=expiry)
        self._send()
        return number

    async def answered(self, number: int, seconds: float) -> bool:
        """Whether the broker took the message of that number within the time."""
        future = self._outgoing.unanswered[number] = self._loop.create_future()
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return False
        finally:
            self._outgoing.unanswered.pop(number, None)

    def close(self) -> None:
        """DISCONNECT if the connection lives; nothing is left behind. The session stays."""
        self._write(packets.GOODBYE)
        self._flush()
        self._end("closed")
        self._ready.cancel()
        for future in (self.ended, self._ready):
            if future.done() and not future.cancelled():
                future.exception()  # seen: it was raised as LinkLost

    # -- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a stream it is
        self._transport = transport
        session = self._session
        hello = packets.connect(
            client=session.client,
            user=session.user,
            password=self._broker.password,
            keepalive=session.keepalive,
            expiry=session.expiry,
            most=session.receive_maximum,
            largest=_LARGEST,
        )
        self._write(hello)

    def data_received(self, data: bytes) -> None:
        try:
            found, self._unread = packets.cut(self._unread + data, most=_LARGEST)
            for first, body in found:
                self._take(first, body)
        except Malformed as malformed:
            self._end(f"the broker sent {malformed}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "the connection is lost")

    # --

    def _take(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == packets.PUBLISH:
            topic, payload, retained, number = packets.published(first, body)
            if number is not None:  # QoS 0 is outside the receive maximum, and no box sends it
                self._arrive(Delivery(topic, payload, retained, number, self, next(_ORDER)))
        elif kind == packets.PUBACK:
            self._outgoing.done(*packets.acknowledged(body))
            self._send()
        elif kind == packets.PINGRESP:
            self._asked = None
        elif kind == packets.CONNACK:
            self._on_connected(packets.connected(body))
        elif kind == packets.SUBACK:
            self._on_subscribed(packets.subscribed(body))
        elif kind == packets.DISCONNECT:
            self._end(f"the broker says: {packets.in_words(body[0] if body else 0)}")

    def _on_connected(self, said: packets.Connected) -> None:
        if said.code >= packets.FAILURE:
            self._end(f"the broker says: {packets.in_words(said.code)}")
            return
        self._keepalive = said.keepalive or self._keepalive
        self._outgoing.room = min(_IN_FLIGHT, said.receive_maximum)
        self._beat()
        if self._session.topics:
            self._write(packets.subscribe(_FIRST, self._session.topics))
        elif not self._ready.done():
            self._ready.set_result(None)

    def _on_subscribed(self, codes: bytes) -> None:
        refused = [
            code
            for topic, code in zip(self._session.topics, codes, strict=False)
            if code >= packets.FAILURE and not topic.startswith("$SYS")  # done without
        ]
        if refused:
            words = packets.in_words(refused[0])
            self._end(f"the broker refuses a subscription: {words}")
        elif not self._ready.done():
            self._ready.set_result(None)

    def _beat(self) -> None:
        """Once a second: ask the broker before it takes us for dead, and hear that it answers."""
        now = self._loop.time()
        if self._asked is not None and now - self._asked > self._keepalive:
            self._end("the broker answers no more")
            return
        if self._asked is None and now - self._written >= self._keepalive / 2:
            self._asked = now
            self._write(packets.PINGREQ)
        self._tick = self._loop.call_later(1, self._beat)

    def _send(self) -> None:
        for packet in self._outgoing.due():
            self._write(packet)

    def _write(self, packet: bytes) -> None:
        if self._transport is not None:
            if not self._unsent:
                self._loop.call_soon(self._flush)
            self._unsent.append(packet)

    def _flush(self) -> None:
        if self._transport is not None and self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._written = self._loop.time()
        self._unsent.clear()

    def _end(self, why: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._tick is not None:
            self._tick.cancel()
        for future in (self._ready, self.ended):
            if not future.done():
                future.set_exception(LinkLost(why))
        self._outgoing.give_up()


class _Outgoing:
    """Our own messages: some on their way, the others waiting for room."""

    def __init__(self) -> None:
        self.room = 0
        self.unanswered: dict[int, asyncio.Future[bool]] = {}
        self._waiting = deque[bytes]()
        self._octets = 0
        self._taken = set[int]()
        self._last = _FIRST

    def add(
        self, topic: str, payload: bytes, *, retain: bool, expiry: int | None = None
    ) -> int | None:
        """Its number, or None when too much waits."""
        if len(self._waiting) >= _MOST_WAITING or self._octets > _MOST_OCTETS:
            return None
        self._last = self._last % _HIGHEST + 1
        while self._last in self._taken:
            self._last = self._last % _HIGHEST + 1
        packet = packets.publish(self._last, topic, payload, retain=retain, expiry=expiry)
        self._taken.add(self._last)
        self._waiting.append(packet)
        self._octets += len(packet)
        return self._last

    def due(self) -> list[bytes]:
        """What there is room for now."""
        sent: list[bytes] = []
        while self._waiting and self.room > 0:
            packet = self._waiting.popleft()
            self._octets -= len(packet)
            self.room -= 1
            sent.append(packet)
        return sent

    def done(self, number: int, code: int) -> None:
        """The broker has answered."""
        if number not in self._taken:
            return
        self._taken.discard(number)
        self.room += 1
        waiting = self.unanswered.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(code < packets.FAILURE)

    def give_up(self) -> None:
        """Nobody will answer any more."""
        for waiting in self.unanswered.values():
            if not waiting.done():
                waiting.set_result(False)

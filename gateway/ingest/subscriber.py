"""Brings MQTT messages into our loop, unacknowledged; the one gateway file that imports paho."""

import asyncio
import random
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway import log

SESSION_EXPIRY = 300
"""Seconds that the broker keeps our session. Short: once it is gone the broker tells the boxes
that nobody is here, instead of collecting what it may drop without a word."""

KEEPALIVE = 20
"""Seconds; the broker takes us for dead after one and a half times that without a word."""
_CONNECTING = 2.5
_LARGEST = 262_144  # bytes of a packet: the broker leaves out what is larger
_IN_FLIGHT, _OUTGOING = 100, 5_000
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
_READS = 64
_QOS_1 = 1
_log = log.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is, and our password there. With `ca`, a PEM file, over TLS."""

    host: str
    port: int
    ca: Path | None = None
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message, not acknowledged. `line` is the connection that it came over."""

    topic: str
    payload: bytes
    retained: bool
    number: int
    line: "_Line | None" = None


class LinkLost(Exception):
    """The connection to the broker is gone or never came. Connected again after a pause."""


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
        receive_maximum: int = 200,
        changed: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        """`name` is added to the user's for the session: one user may have several of them."""
        self.connected_at: float | None = None
        """On the loop's clock, when the connection now open was made."""
        self.user = f"{user}-{name}" if name else user
        self._session = _Session(
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
        self._news = asyncio.Event()
        self._line: _Line | None = None

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
            finally:
                self.connected_at = self._line = None
                self._queue.clear()  # delivered again to the next connection
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load

    async def take(self, most: int, *, octets: int) -> list[Delivery]:
        """Wait for a message; then all that wait, up to that many messages or payload bytes."""
        while not self._queue:
            self._news.clear()
            await self._news.wait()
        taken = [self._queue.popleft()]
        room = octets - len(taken[0].payload)
        while self._queue and len(taken) < most and len(self._queue[0].payload) <= room:
            taken.append(self._queue.popleft())
            room -= len(taken[-1].payload)
        return taken

    @staticmethod
    def acknowledge(delivery: Delivery) -> None:
        """The broker may forget this message."""
        if delivery.line is not None:
            delivery.line.acknowledge(delivery.number)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """Send with QoS 1; its number, or None when there is no connection or too much waits."""
        return self._line.publish(topic, payload, retain=retain) if self._line else None

    async def answered(self, number: int, seconds: float = 10.0) -> bool:
        """Whether the broker took the message of that number within the time."""
        return self._line is not None and await self._line.answered(number, seconds)

    async def _connected(self) -> None:
        line = _Line(self._broker, self._session, self._arrive)
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
        self._news.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """What is asked of the broker at every connection; `expiry` and `keepalive` in seconds."""

    user: str
    client: str
    topics: Sequence[str]
    expiry: int
    keepalive: int
    receive_maximum: int


class _Line:
    """One connection, used once, on the loop's thread; only connecting itself waits in a thread."""

    def __init__(
        self, broker: Broker, session: _Session, arrive: Callable[[Delivery], None]
    ) -> None:
        self._broker = broker
        self._session = session
        self._arrive = arrive
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._unanswered: dict[int, asyncio.Future[bool]] = {}
        self._socket: socket.socket | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._packets = 0
        self._subscriptions = [(topic, SubscribeOptions(qos=_QOS_1)) for topic in session.topics]
        self._client = self._made()

    async def open(self) -> None:
        """Connect, take up the session, subscribe. Raises LinkLost."""
        wishes = Properties(PacketTypes.CONNECT)
        wishes.SessionExpiryInterval = self._session.expiry
        wishes.ReceiveMaximum = self._session.receive_maximum
        wishes.MaximumPacketSize = _LARGEST
        try:
            await asyncio.to_thread(self._connect, wishes)
            self._listen()
            async with asyncio.timeout(_CONNECTING):
                await self._ready
        except (OSError, ValueError) as error:
            raise LinkLost(str(error) or type(error).__name__) from error

    def acknowledge(self, number: int) -> None:
        if self._socket is not None:
            self._client.ack(number, _QOS_1)
            self._pump()

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int | None:
        info = self._client.publish(topic, payload, qos=_QOS_1, retain=retain)
        self._pump()
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    async def answered(self, number: int, seconds: float) -> bool:
        future = self._unanswered[number] = self._loop.create_future()
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return False
        finally:
            self._unanswered.pop(number, None)

    def close(self) -> None:
        """DISCONNECT if the connection lives; nothing is left behind. The session stays."""
        if self._socket is not None:
            self._client.disconnect()
        self._forget_socket()
        self._end("closed")
        self._ready.cancel()
        for future in (self.ended, self._ready):
            if future.done() and not future.cancelled():
                future.exception()  # seen: it was raised as LinkLost
        client = self._client
        client.on_connect = client.on_disconnect = client.on_message = None
        client.on_publish = client.on_subscribe = client.on_socket_close = None

    def _made(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._session.client,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = _CONNECTING
        client.max_inflight_messages_set(_IN_FLIGHT)
        client.max_queued_messages_set(_OUTGOING)
        client.username_pw_set(self._session.user, self._broker.password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_close = self._on_socket_close
        return client

    def _connect(self, wishes: Properties) -> None:
        broker = self._broker
        if broker.ca is not None:
            context = ssl.create_default_context(cafile=broker.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType]
        self._client.connect(
            broker.host,
            broker.port,
            keepalive=self._session.keepalive,
            clean_start=False,
            properties=wishes,
        )

    def _listen(self) -> None:
        self._socket = cast("socket.socket | None", self._client.socket())
        if self._socket is None:
            raise OSError("the connection was closed at once")
        # without this an acknowledgement holds up the next by 40 ms (Nagle, delayed ACK)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(self._socket, self._read)
        self._beat()

    def _beat(self) -> None:
        """Housekeeping of paho (PINGREQ, and whether it was answered), once a second."""
        self._client.loop_misc()
        if self._socket is not None:
            self._pump()
            self._tick = self._loop.call_later(1, self._beat)

    def _read(self) -> None:
        """Read packets while there are any, but leave the loop to others after some."""
        for _ in range(_READS):
            before = self._packets
            self._client.loop_read()
            if self._socket is None:
                return
            if self._packets == before and not self._is_decrypted_already():
                break
        self._pump()

    def _is_decrypted_already(self) -> bool:
        """Bytes that TLS holds ready do not wake us: the socket itself is empty."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _write(self) -> None:
        self._client.loop_write()
        self._pump()

    def _pump(self) -> None:
        """Ask to be told when the socket takes more, exactly while paho has more."""
        if self._socket is None:
            return
        if self._client.want_write():
            self._loop.add_writer(self._socket, self._write)
        else:
            self._loop.remove_writer(self._socket)

    def _forget_socket(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = None
        if self._tick is not None:
            self._tick.cancel()

    def _end(self, why: str) -> None:
        for future in (self._ready, self.ended):
            if not future.done():
                future.set_exception(LinkLost(why))
        for waiting in self._unanswered.values():
            if not waiting.done():
                waiting.set_result(False)

    # -- called by paho, on the loop's thread: they only hand over

    def _on_connect(
        self, client: Client, _: object, __: ConnectFlags, code: ReasonCode, ___: Properties | None
    ) -> None:
        if code.is_failure:
            self._end(f"the broker says: {code}")
        elif self._subscriptions:
            client.subscribe(self._subscriptions)
        else:
            self._ready.set_result(None)

    def _on_subscribe(
        self, _: Client, __: object, ___: int, codes: list[ReasonCode], ____: Properties | None
    ) -> None:
        refused = [
            str(code)
            for (topic, _), code in zip(self._subscriptions, codes, strict=True)
            if code.is_failure and not topic.startswith("$SYS/")  # Mosquitto's: done without
        ]
        if refused:
            self._end(f"the broker refuses a subscription: {refused[0]}")
        elif not self._ready.done():
            self._ready.set_result(None)

    def _on_disconnect(
        self, _: Client, __: object, ___: DisconnectFlags, code: ReasonCode, ____: Properties | None
    ) -> None:
        self._end(str(code))

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        self._packets += 1
        if message.qos == 0:
            return  # outside the receive maximum: nothing would bound it, and no box sends it
        self._arrive(
            Delivery(message.topic, bytes(message.payload), message.retain, message.mid, self)
        )

    def _on_publish(
        self, _: Client, __: object, number: int, code: ReasonCode, ___: Properties
    ) -> None:
        self._packets += 1
        waiting = self._unanswered.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(not code.is_failure)

    def _on_socket_close(self, *_: object) -> None:
        self._forget_socket()
        self._end("the connection is lost")

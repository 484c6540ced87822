"""One MQTT 5 connection to the broker; the one file of the edge that imports paho."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge import tls
from edge.broker import Link
from edge.keeping.run import PACKET_LIMIT

CONNECTING = 10.0
"""Seconds for a broker to take the connection and to answer CONNECT, each."""

LEAVING = 1.0
"""Seconds for a broker to close after our DISCONNECT."""

_SMALLEST_PACKET = 4_096
_SESSION_TAKEN_OVER = 0x8E
TOLD = ("receipt", "config", "command")
"""What a box is told, each on a topic of its own."""

_QOS_1 = SubscribeOptions(qos=1)


class LinkLost(Exception):
    """The connection to the broker is gone or never came. Connected again after a pause."""


class TakenOver(LinkLost):
    """Another connection has come under this box's name: a second box of one image, as a rule."""


class _BoundClient(Client):
    """paho with a socket that is bound to a network interface before it connects."""

    def __init__(self, interface: str, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - paho's
        super().__init__(*arguments, **named)
        self._interface = interface

    def _create_socket_connection(self) -> socket.socket:
        if not self._interface:
            return super()._create_socket_connection()
        return _bound(self._interface, self.host, self.port)


def _bound(interface: str, host: str, port: int) -> socket.socket:
    """A connection by this interface alone. Raises OSError."""
    refused: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(CONNECTING)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
            made.connect(address)
        except OSError as error:
            made.close()
            refused = error
        else:
            return made
    raise refused


class Line:
    """One MQTT 5 connection on the loop's thread; only connecting itself waits in a thread.

    paho is told to do nothing by itself: no thread, no reconnection. A connection is used once.
    """

    def __init__(
        self,
        link: Link,
        *,
        keepalive: int,
        arrived: Callable[[str, bytes], None],
        acked: Callable[[int | None, int], None],
    ) -> None:
        self.keepalive = keepalive
        self.packet_limit = PACKET_LIMIT
        self._link = link
        self._arrived = arrived
        self._acked = acked
        self._loop = asyncio.get_running_loop()
        self._lost: str | None = None
        self._taken_over = False
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._socket: socket.socket | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._client = self._made()

    async def open(self, *, will: bytes, earliest: float | None) -> None:
        """Connect and subscribe; `earliest` as in tls.context. Raises LinkLost."""
        link, client = self._link, self._client
        client.will_set(link.topic("state"), will, qos=1, retain=True)
        try:
            if link.tls:
                context = tls.context(link.ca, earliest=earliest, own=link.own)
                client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType]
            await asyncio.to_thread(
                client.connect, link.host, link.port, keepalive=self.keepalive, clean_start=True
            )
            self._listen()
            async with asyncio.timeout(CONNECTING):
                await self._ready
        except (OSError, ValueError) as error:
            self.close()
            way = f"{link.host}:{link.port}" + (f" by {link.interface}" if link.interface else "")
            raise LinkLost(f"{way}: {error or type(error).__name__}") from error
        except BaseException:
            self.close()
            raise

    def publish(self, topic: str, payload: bytes, *, keep: bool = False) -> int:
        """Hand one QoS 1 message to the connection; its packet id, given back in `acked`."""
        info = self._client.publish(topic, payload, qos=1, retain=keep)
        self._pump()
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._end(str(info.rc))
        self.check()
        return info.mid

    async def answered(self, mid: int) -> None:
        """Wait for one message's PUBACK."""
        future = self._waiting[mid] = self._loop.create_future()
        await future

    def check(self) -> None:
        """Raises LinkLost when the connection is gone."""
        if self._taken_over:
            raise TakenOver("another connection has come under this box's name")
        if self._lost is not None:
            raise LinkLost(self._lost)

    def sever(self) -> None:
        """Close the socket without DISCONNECT."""
        if self._socket is not None:
            connection, self._lost = self._socket, "cut"
            self._forget_socket()
            connection.close()
            self._acked(None, 0)

    async def leave(self) -> None:
        """DISCONNECT, wait until the broker has closed too, and leave nothing behind.

        Closed at once, with the broker's last words unread, the system would answer them with a
        reset, which takes back the DISCONNECT where it was not read yet: the last will would speak.
        """
        held = None
        if self._lost is None and self._socket is not None:
            held = socket.socket(fileno=os.dup(self._socket.fileno()))  # paho closes its own
        self.close()
        if held is not None:
            await _closed(held)

    def close(self) -> None:
        """DISCONNECT if the connection lives; in any case nothing is left behind."""
        if self._lost is None and self._socket is not None:
            self._client.disconnect()
            self._client.loop_write()
        self._forget_socket()
        self._ready.cancel()
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # seen: it was raised as LinkLost
        _deafen(self._client)

    def _made(self) -> Client:
        client = _BoundClient(
            self._link.interface,
            CallbackAPIVersion.VERSION2,
            client_id=self._link.edge,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECTING
        if self._link.own is None:  # else its certificate says who it is
            client.username_pw_set(self._link.username or self._link.edge, self._link.password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_close = self._on_socket_close
        return client

    def _listen(self) -> None:
        self._socket = cast("socket.socket | None", self._client.socket())
        if self._socket is None:
            raise OSError("the connection was closed at once")
        # without this a PUBACK of ours holds up the next call by 40 ms (Nagle, delayed ACK)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(self._socket, self._read)
        self._pump()
        self._beat()

    def _beat(self) -> None:
        """Housekeeping of paho (PINGREQ, and whether it was answered), once a second."""
        self._client.loop_misc()
        if self._socket is not None:
            self._pump()
            self._tick = self._loop.call_later(1, self._beat)

    def _read(self) -> None:
        self._client.loop_read()
        while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            self._client.loop_read()  # decrypted already: the socket would not wake us for it
        self._pump()

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
        self._lost = self._lost or why
        if not self._ready.done():
            self._ready.set_exception(ConnectionError(why))
        self._acked(None, 0)

    # -- called by paho, on the loop's thread: they only hand over

    def _on_connect(
        self, client: Client, _: object, __: ConnectFlags, code: ReasonCode, said: Properties | None
    ) -> None:
        if code.is_failure:
            self._end(f"the broker says: {code}")
            return
        limit = getattr(said, "MaximumPacketSize", PACKET_LIMIT)
        if limit < _SMALLEST_PACKET:
            self._end(f"the broker takes packets of {limit} bytes only")
            return
        self.packet_limit = min(PACKET_LIMIT, limit)
        client.subscribe([(self._link.topic(word), _QOS_1) for word in TOLD])

    def _on_subscribe(self, *_: object) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _on_disconnect(
        self, _: Client, __: object, ___: DisconnectFlags, code: ReasonCode, ____: Properties | None
    ) -> None:
        self._taken_over |= code.value == _SESSION_TAKEN_OVER
        self._end(str(code))

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        self._arrived(message.topic, bytes(message.payload))

    def _on_publish(
        self, _: Client, __: object, mid: int, code: ReasonCode, ___: Properties
    ) -> None:
        if (waiting := self._waiting.pop(mid, None)) is not None:
            waiting.set_result(None)
        self._acked(mid, code.value)

    def _on_socket_close(self, *_: object) -> None:
        self._forget_socket()


async def _closed(connection: socket.socket) -> None:
    """Say that nothing more comes and read on, for a second at most, until the broker closes."""
    with connection, suppress(OSError, TimeoutError):
        connection.settimeout(0)
        connection.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(LEAVING):
            while await asyncio.get_running_loop().sock_recv(connection, 65_536):
                pass


def _deafen(client: Client) -> None:
    """Let go of the line, so that nothing keeps a finished connection in memory."""
    client.on_connect = client.on_disconnect = client.on_message = None
    client.on_publish = client.on_subscribe = client.on_socket_close = None

"""MQTT 5 packets as the gateway needs them: bytes in, bytes out; pure.

After the OASIS standard "MQTT Version 5.0", whose sections are named. Written because this is the
hot path: a general client library spent 120 to 180 microseconds on a message and its receipt.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
"""Types of control packets (section 2.1.2): the upper four bits of the first byte."""

PINGREQ = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
"""DISCONNECT, normal: the session lives on as long as was asked at CONNECT."""

REASONS = {
    0x10: "No matching subscribers",
    0x80: "Unspecified error",
    0x81: "Malformed packet",
    0x82: "Protocol error",
    0x84: "Unsupported protocol version",
    0x85: "Client identifier not valid",
    0x86: "Bad user name or password",
    0x87: "Not authorized",
    0x88: "Server unavailable",
    0x89: "Server busy",
    0x8B: "Server shutting down",
    0x8D: "Keep alive timeout",
    0x8E: "Session taken over",
    0x8F: "Topic filter invalid",
    0x93: "Receive maximum exceeded",
    0x95: "Packet too large",
    0x97: "Quota exceeded",
    0x98: "Administrative action",
}
"""Section 2.4, those that a broker may say to us."""
FAILURE = 0x80
"""Reason codes from here on say that something failed."""

_CONNECT, _SUBSCRIBE = 0x10, 0x82
_PUBLISH_QOS_1, _RETAIN = 0x32, 0x01
_USER_AND_PASSWORD = 0xC0
_MORE = 0x80
_LONGEST_VARIABLE = 4
_SESSION_EXPIRY, _SERVER_KEEPALIVE, _RECEIVE_MAXIMUM, _PACKET_SIZE = 0x11, 0x13, 0x21, 0x27
_NUMBER = struct.Struct(">H")
_EXPIRING, _MESSAGE_EXPIRY = struct.Struct(">BI"), 0x02
_ACKNOWLEDGE = struct.Struct(">HH")
# section 2.2.2.2: bytes of each property of a CONNACK; 0 is text or bytes with their length first
_SIZES = {
    **dict.fromkeys((0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((_SERVER_KEEPALIVE, _RECEIVE_MAXIMUM, 0x22), 2),
    **dict.fromkeys((_SESSION_EXPIRY, _PACKET_SIZE), 4),
    **dict.fromkeys((0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F), 0),
}
_PAIR = 0x26


class Malformed(Exception):
    """Bytes that no broker may send (section 4.13): the connection is of no more use."""


class Published(NamedTuple):
    """A message; `number` is None for QoS 0."""

    topic: str
    payload: bytes
    retained: bool
    number: int | None


class Connected(NamedTuple):
    """What the broker answers to CONNECT, and the limits that it sets."""

    code: int
    receive_maximum: int
    keepalive: int | None


def cut(data: bytes, *, most: int) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole packets, each as its first byte and what follows its length, and the rest.

    Raises Malformed, also for a packet of more than `most` bytes.
    """
    packets: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    while end - at >= 2:  # noqa: PLR2004 - type and at least one byte of length
        start, length = at + 2, data[at + 1]
        if length >= _MORE:
            known = _length(data, at + 1)
            if known is None:
                break
            start, length = known
        if length > most:
            raise Malformed(f"a packet of {length} bytes")
        if end - start < length:
            break
        packets.append((data[at], data[start : start + length]))
        at = start + length
    return packets, data[at:]


def published(first: int, body: bytes) -> Published:
    """Section 3.3. Its properties say nothing that we asked for. Raises Malformed."""
    try:
        at = 2 + int.from_bytes(body[:2])
        topic, number = body[2:at].decode(), None
        if first & 0b110:
            (number,) = _NUMBER.unpack_from(body, at)
            at += 2
        at, skipped = _whole_length(body, at)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise Malformed("a message that ends in its head") from error
    if at + skipped > len(body):
        raise Malformed("a message that ends in its properties")
    return Published(topic, body[at + skipped :], bool(first & _RETAIN), number)


def connected(body: bytes) -> Connected:
    """Section 3.2. Raises Malformed."""
    try:
        code = body[1]
        at, length = _whole_length(body, 2)
        said = _properties(body[at : at + length])
    except IndexError as error:
        raise Malformed("an answer to CONNECT that ends early") from error
    return Connected(code, said.get(_RECEIVE_MAXIMUM, 65_535), said.get(_SERVER_KEEPALIVE))


def acknowledged(body: bytes) -> tuple[int, int]:
    """The number and the reason code of a PUBACK; section 3.4. Raises Malformed."""
    if len(body) < _NUMBER.size:
        raise Malformed("an acknowledgement without its number")
    return _NUMBER.unpack_from(body)[0], body[2] if len(body) > _NUMBER.size else 0


def subscribed(body: bytes) -> bytes:
    """The reason code of each subscription, in their order; section 3.9. Raises Malformed."""
    try:
        at, length = _whole_length(body, 2)
    except IndexError as error:
        raise Malformed("an answer to SUBSCRIBE that ends early") from error
    return body[at + length :]


def in_words(code: int) -> str:
    """What a reason code means."""
    return REASONS.get(code, f"reason 0x{code:02x}")


def connect(  # what section 3.1 knows, without a will
    *, client: str, user: str, password: str, keepalive: int, expiry: int, most: int, largest: int
) -> bytes:
    """Take up the session. `most` messages at a time, none larger than `largest` bytes.

    `keepalive` and `expiry` (how long the session outlives the connection) in seconds.
    """
    properties = struct.pack(
        ">BIBHBI", _SESSION_EXPIRY, expiry, _RECEIVE_MAXIMUM, most, _PACKET_SIZE, largest
    )
    head = _text("MQTT") + struct.pack(">BBH", 5, _USER_AND_PASSWORD, keepalive)
    said = head + _variable(len(properties)) + properties
    return _packet(_CONNECT, said + _text(client) + _text(user) + _text(password))


def subscribe(number: int, topics: Iterable[str]) -> bytes:
    """With QoS 1, and what the broker keeps for new subscribers; section 3.8."""
    wanted = b"".join(_text(topic) + b"\x01" for topic in topics)
    return _packet(_SUBSCRIBE, _NUMBER.pack(number) + b"\x00" + wanted)


def publish(
    number: int, topic: str, payload: bytes, *, retain: bool, expiry: int | None = None
) -> bytes:
    """A message with QoS 1, which the broker forgets after `expiry` seconds (section 3.3.2.3.3)."""
    first = _PUBLISH_QOS_1 | (_RETAIN if retain else 0)
    said = b"" if expiry is None else _EXPIRING.pack(_MESSAGE_EXPIRY, expiry)
    head = _text(topic) + _NUMBER.pack(number) + _variable(len(said)) + said
    return _packet(first, head + payload)


def acknowledge(number: int) -> bytes:
    """PUBACK with reason code 0, which may be left out."""
    return _ACKNOWLEDGE.pack(0x4002, number)


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _variable(len(body)) + body


def _text(said: str) -> bytes:
    encoded = said.encode()
    return _NUMBER.pack(len(encoded)) + encoded


def _variable(number: int) -> bytes:
    """Seven bits a byte, the lowest first; section 1.5.5."""
    coded = bytearray()
    while number >= _MORE:
        coded.append(number % _MORE | _MORE)
        number //= _MORE
    coded.append(number)
    return bytes(coded)


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """Where a number of variable length ends, and the number; None where it is not all there."""
    number = 0
    for place in range(_LONGEST_VARIABLE):
        if at + place >= len(data):
            return None
        coded = data[at + place]
        number |= (coded & ~_MORE) << 7 * place
        if coded < _MORE:
            return at + place + 1, number
    raise Malformed("a length of more than four bytes")


def _whole_length(data: bytes, at: int) -> tuple[int, int]:
    if data[at] < _MORE:
        return at + 1, data[at]
    found = _length(data, at)
    if found is None:
        raise IndexError
    return found


def _properties(data: bytes) -> dict[int, int]:
    """The properties that are numbers. Raises Malformed for what the standard does not know."""
    said: dict[int, int] = {}
    at = 0
    while at < len(data):
        name = data[at]
        at += 1
        if name != _PAIR and name not in _SIZES:
            raise Malformed(f"an unknown property 0x{name:02x}")
        for _ in range(2 if name == _PAIR else 1):
            size = _SIZES.get(name, 0) or 2 + int.from_bytes(data[at : at + 2])
            said[name] = int.from_bytes(data[at : at + size]) if _SIZES.get(name) else 0
            at += size
    return said

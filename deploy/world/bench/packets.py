"""MQTT 5 packets as bytes, as far as a sender of ready batches needs them (OASIS MQTT 5.0).

Apart from paho, because the sender is a measuring instrument: it shares the machine with what it
measures, so a message must cost it as little as can be.
"""

import struct
from collections.abc import Iterator

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 0x20, 0x30, 0x40, 0x90, 0xD0, 0xE0
"""The high four bits of a packet's first byte."""
PINGREQ = b"\xc0\x00"

_CONNECT, _SUBSCRIBE = 0x10, 0x82
_VERSION_5 = 5
_SEVEN_BITS = 0x7F
_CLEAN_WITH_ACCOUNT = 0b11000010
_QOS_1, _RETAIN = 0x02, 0x01


def connect(client: str, password: str, *, keepalive: int) -> bytes:
    """CONNECT with a clean session; the user name is the client id."""
    head = _text("MQTT") + bytes([_VERSION_5, _CLEAN_WITH_ACCOUNT]) + struct.pack(">H", keepalive)
    return packet(_CONNECT, head + b"\0" + _text(client) + _text(client) + _text(password))


def subscribe(topic: str, number: int) -> bytes:
    """SUBSCRIBE with QoS 1."""
    return packet(_SUBSCRIBE, struct.pack(">H", number) + b"\0" + _text(topic) + b"\x01")


def publish(topic: str, payload: bytes, number: int, *, retain: bool = False) -> bytes:
    """PUBLISH with QoS 1."""
    first = PUBLISH | _QOS_1 | (_RETAIN if retain else 0)
    return packet(first, _text(topic) + struct.pack(">H", number) + b"\0" + payload)


def puback(number: int) -> bytes:
    """PUBACK that says yes."""
    return b"\x40\x02" + number.to_bytes(2)


def split(buffer: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole packets at the start of what was received (first byte, body), and the rest."""
    found: list[tuple[int, bytes]] = []
    at, end = 0, len(buffer)
    while at + 2 <= end:
        length, body = buffer[at + 1], at + 2
        if length & 0x80:
            long = _long_length(buffer, at + 1)
            if long is None:
                break
            length, body = long
        if body + length > end:
            break
        found.append((buffer[at], buffer[body : body + length]))
        at = body + length
    return found, buffer[at:]


def published(first: int, body: bytes) -> tuple[bytes, int, bytes]:
    """Topic, packet id (0 for QoS 0) and payload of a PUBLISH."""
    at = 2 + int.from_bytes(body[:2])
    topic, number = body[2:at], 0
    if first & 0x06:
        number, at = int.from_bytes(body[at : at + 2]), at + 2
    length, start = _long_length(body, at) or (0, at + 1)
    return topic, number, body[start + length :]


def reason(body: bytes) -> int:
    """The reason code of a PUBACK; 0 where none is said."""
    return body[2] if len(body) > 2 else 0  # noqa: PLR2004 - after the packet id


def packet(first: int, body: bytes) -> bytes:
    """A packet of its first byte and all that follows the length."""
    return bytes([first, *_length(len(body))]) + body


def _length(number: int) -> Iterator[int]:
    while number > _SEVEN_BITS:
        yield number & _SEVEN_BITS | 0x80
        number >>= 7
    yield number


def _long_length(buffer: bytes, at: int) -> tuple[int, int] | None:
    """A variable byte integer and where it ends; None when it is not whole yet."""
    value = shift = 0
    for place in range(at, min(at + 4, len(buffer))):
        value |= (buffer[place] & 0x7F) << shift
        if not buffer[place] & 0x80:
            return value, place + 1
        shift += 7
    return None


def _text(text: str) -> bytes:
    octets = text.encode()
    return struct.pack(">H", len(octets)) + octets

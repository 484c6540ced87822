"""Says CONNECT to a broker and reads whether it takes the box: MQTT 5, sections 3.1 and 3.2.

By hand and not by edge.uplink.line, which leaves a last will and listens: this one only asks.
"""

import socket
import struct
from collections.abc import Mapping

_KEEPALIVE = 10
_CLEAN, _PASSWORD, _USER = 0x02, 0x40, 0x80
_CONNACK = 0x20
_LARGEST = 1_024
_GOODBYE = b"\xe0\x00"
ANSWERS: Mapping[int, str] = {
    0x84: "it does not speak MQTT 5",
    0x85: "the box's name is not allowed",
    0x86: "name or password is wrong",
    0x87: "not authorised",
    0x88: "the broker is not available",
    0x89: "the broker is busy",
    0x8A: "the box is banned",
    0x97: "a quota is used up",
    0x9F: "too many connect at once",
}
"""Why a broker does not take the box; of reason codes that are not here the number is told."""


def connect(name: str, user: str | None, password: str | None) -> bytes:
    """The packet of a box of that name, without a last will."""
    flags = _CLEAN | (_USER if user is not None else 0) | (_PASSWORD if password is not None else 0)
    said = b"".join(_text(one) for one in (name, user, password) if one is not None)
    body = _text("MQTT") + bytes([5, flags]) + struct.pack(">HB", _KEEPALIVE, 0) + said
    return b"\x10" + _length(len(body)) + body


def ask(line: socket.socket, name: str, user: str | None, password: str | None) -> str | None:
    """Why the broker does not take the box, or None. Raises OSError."""
    line.sendall(connect(name, user, password))
    if _read(line, 1)[0] != _CONNACK:
        return "it does not answer as a broker does"
    body = _read(line, _read_length(line))
    if len(body) < 2 or body[1] == 0:  # noqa: PLR2004 - flags and the reason code
        line.sendall(_GOODBYE)
        return None
    return ANSWERS.get(body[1], f"reason 0x{body[1]:02x}")


def _read_length(line: socket.socket) -> int:
    """Seven bits a byte, the lowest first; four bytes at most."""
    length = 0
    for shift in range(0, 28, 7):
        [some] = _read(line, 1)
        length |= (some & 0x7F) << shift
        if not some & 0x80:
            break
    return min(length, _LARGEST)


def _read(line: socket.socket, octets: int) -> bytes:
    """Raises OSError where the broker closes before."""
    found = b""
    while len(found) < octets:
        some = line.recv(octets - len(found))
        if not some:
            raise ConnectionError("the broker closed without a word")
        found += some
    return found


def _text(said: str) -> bytes:
    octets = said.encode()
    return struct.pack(">H", len(octets)) + octets


def _length(length: int) -> bytes:
    found = b""
    while length > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found, length = found + bytes([length & 0x7F | 0x80]), length >> 7
    return found + bytes([length])

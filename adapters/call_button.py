"""The project's own call button: manufacturer data of company 0xFFFF that begins with "TP".

Bytes, little-endian: 0x54 0x50, version 1, flags (bit 0 pressed, bit 1 battery low, bit 2 test
press), a counter of 16 bits that rises with every press, battery in per cent. The button repeats a
press for some seconds with the same counter, and says every minute that it lives.
"""

import struct
from typing import Final

from adapters.battery import level
from adapters.errors import UnknownFormat, UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Kind, Observation

NAME: Final = "call_button"
COMPANY: Final = 0xFFFF
"""The company id for tests; it is anybody's, so the two bytes after it decide."""

_MAGIC = b"TP"
_VERSION = 1
_LAYOUT = struct.Struct("<2sBBHB")
_PRESSED = 0b001
_BATTERY_LOW = 0b010
_TEST = 0b100


def read(payload: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The press, if there is one, with its counter as `value`; then the battery.

    A press marked as a test is a test, whether or not it is marked as pressed too.
    Raises UnknownFormat for what another maker says under this company id and for a version not
    known here, UnreadableFrame with what was read for a payload that is too long, since a call is
    a call.
    """
    del frame, key
    if not payload.startswith(_MAGIC):
        raise UnknownFormat("company ffff, but not a call button of ours")
    if len(payload) < _LAYOUT.size:
        raise UnreadableFrame(f"a call button says {_LAYOUT.size} bytes, not {len(payload)}")
    _, version, flags, counter, battery = _LAYOUT.unpack_from(payload)
    if version != _VERSION:
        raise UnknownFormat(f"version {version} of the call button")
    observations = tuple(_observations(flags, counter, battery))
    if len(payload) > _LAYOUT.size:
        reason = f"a call button says {_LAYOUT.size} bytes, not {len(payload)}"
        raise UnreadableFrame(reason, partial=observations)
    return observations


def _observations(flags: int, counter: int, battery: int) -> list[Observation]:
    observations = [level(battery)]
    if flags & _BATTERY_LOW:
        observations.append(Observation(Kind.BATTERY_LOW, 1.0))
    if flags & _TEST:
        return [Observation(Kind.CALL_TEST, float(counter)), *observations]
    if flags & _PRESSED:
        return [Observation(Kind.CALL_PRESSED, float(counter)), *observations]
    return observations

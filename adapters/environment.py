"""The characteristics Temperature 0x2A6E and Humidity 0x2A6F, of a room.

Source: Bluetooth SIG, GATT Specification Supplement: hundredths of a degree Celsius and of a per
cent, and one value each that says that it is not known.
"""

from typing import Final

from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.health import measured
from adapters.ieee11073 import Special
from adapters.observation import Kind, Observation

NAME: Final = "environment"
TEMPERATURE: Final = "2a6e"
HUMIDITY: Final = "2a6f"

_UNKNOWN_TEMPERATURE: Final = -0x8000
_UNKNOWN_HUMIDITY: Final = 0xFFFF
_LENGTH: Final = 2


def read_temperature(
    value: bytes, frame: Frame, key: bytes | None = None
) -> tuple[Observation, ...]:
    """The temperature in degrees Celsius. Raises UnreadableFrame unless it has two bytes."""
    del frame, key
    raw = _raw(value, signed=True)
    return (_reading(Kind.TEMPERATURE, raw, _UNKNOWN_TEMPERATURE),)


def read_humidity(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The humidity in per cent. Raises UnreadableFrame unless it has two bytes."""
    del frame, key
    return (_reading(Kind.HUMIDITY, _raw(value, signed=False), _UNKNOWN_HUMIDITY),)


def _reading(kind: Kind, raw: int, unknown: int) -> Observation:
    return measured(kind, Special.NOT_A_NUMBER if raw == unknown else raw / 100, {})


def _raw(value: bytes, *, signed: bool) -> int:
    if len(value) != _LENGTH:
        raise UnreadableFrame(f"{_LENGTH} bytes are expected, not {len(value)}")
    return int.from_bytes(value, "little", signed=signed)

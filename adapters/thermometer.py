"""Thermometers with the Health Thermometer profile: characteristics 0x2A1C and 0x2A1E.

Source: Bluetooth SIG, GATT Specification Supplement, "Temperature Measurement". Flags say unit,
whether a time stamp and whether the place of measuring follow. The device's clock is local time
without a zone: it stands in `details` as the device said it, for who knows the home's zone.
"""

import struct
from typing import Final

from adapters.catalogue import CATALOGUE
from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.ieee11073 import FLOAT_LENGTH, Special, float_value
from adapters.observation import Kind, Observation, Quality

NAME: Final = "thermometer"
MEASUREMENT: Final = "2a1c"
INTERMEDIATE: Final = "2a1e"

_FAHRENHEIT = 0b001
_TIMESTAMP = 0b010
_PLACE = 0b100
_DATE_TIME = struct.Struct("<HBBBBB")
_PLACES = {
    1: "armpit",
    2: "body",
    3: "ear",
    4: "finger",
    5: "gastro_intestinal_tract",
    6: "mouth",
    7: "rectum",
    8: "toe",
    9: "tympanum",
}


def read(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The body temperature in degrees Celsius, with place and the device's own time in `details`.

    Raises UnreadableFrame when the value is not as long as its flags say.
    """
    del frame, key
    return (_observation(Kind.BODY_TEMPERATURE, value),)


def read_intermediate(
    value: bytes, frame: Frame, key: bytes | None = None
) -> tuple[Observation, ...]:
    """The temperature while measuring goes on: a kind of its own, no rule should judge it."""
    del frame, key
    return (_observation(Kind.INTERMEDIATE_TEMPERATURE, value),)


def _observation(kind: Kind, value: bytes) -> Observation:
    flags = value[0] if value else 0
    after_number = 1 + FLOAT_LENGTH
    after_time = after_number + (_DATE_TIME.size if flags & _TIMESTAMP else 0)
    end = after_time + (1 if flags & _PLACE else 0)
    if len(value) != end:
        raise UnreadableFrame(f"{len(value)} bytes where the flags say {end}")
    details: dict[str, str] = {}
    if flags & _TIMESTAMP:
        details["timestamp"] = _local_time(value[after_number:after_time])
    if flags & _PLACE:
        place = value[after_time]
        details["temperature_type"] = _PLACES.get(place, f"unknown_{place}")
    temperature = float_value(value[1:after_number])
    return _measured(kind, temperature, fahrenheit=bool(flags & _FAHRENHEIT), details=details)


def _measured(
    kind: Kind, temperature: float | Special, *, fahrenheit: bool, details: dict[str, str]
) -> Observation:
    match temperature:
        case Special.PLUS_INFINITY | Special.MINUS_INFINITY:
            details["special"] = temperature.value
            return Observation(kind, quality=Quality.INFINITE, details=details)
        case Special():
            details["special"] = temperature.value
            return Observation(kind, quality=Quality.NOT_A_NUMBER, details=details)
        case _:
            celsius = _celsius(temperature) if fahrenheit else temperature
            plausible = CATALOGUE[kind].plausible(celsius)
            quality = Quality.GOOD if plausible else Quality.IMPLAUSIBLE
            return Observation(kind, celsius, quality=quality, details=details)


def _celsius(fahrenheit: float) -> float:
    """Four decimals: finer than any thermometer, and free of the noise of dividing by nine."""
    return round((fahrenheit - 32) * 5 / 9, 4)


def _local_time(data: bytes) -> str:
    """ISO 8601 without a zone; a part that the device does not know is zero, as it says it."""
    year, month, day, hour, minute, second = _DATE_TIME.unpack(data)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"

"""Blood pressure monitors: Blood Pressure Measurement 0x2A35, Intermediate Cuff Pressure 0x2A36.

Source: Bluetooth SIG, GATT Specification Supplement and Blood Pressure Service. What is measured
in kilopascal is turned into mm[Hg], of which one has 0.133322387415 kPa. While the cuff is being
emptied only its pressure is said, in the place of the systolic one: that is a kind of its own.
"""

from dataclasses import dataclass
from typing import Final

from adapters.frame import Frame
from adapters.health import UNKNOWN_USER, Fields, flags, measured
from adapters.ieee11073 import Special
from adapters.observation import Kind, Observation

NAME: Final = "blood_pressure"
MEASUREMENT: Final = "2a35"
CUFF: Final = "2a36"

STATUS: Final = (
    "body_moved",
    "cuff_too_loose",
    "irregular_pulse",
    "pulse_too_high",
    "pulse_too_low",
    "improper_position",
)
"""Measurement Status, by bit; bits 3 and 4 are one field, of which 1 is high and 2 is low."""

_KILOPASCAL, _TIME, _PULSE, _USER, _STATUS = 0b00001, 0b00010, 0b00100, 0b01000, 0b10000
_KINDS: Final = (Kind.BP_SYSTOLIC, Kind.BP_DIASTOLIC, Kind.BP_MEAN)
_FROM_KILOPASCAL: Final = 1 / 0.133322387415


def read(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """Systolic, diastolic and mean pressure, and the pulse where it was counted.

    Each carries the device's time, user and status in `details`. Raises UnreadableFrame when the
    value is not as long as its flags say.
    """
    del frame, key
    said = _parts(value)
    found = [
        measured(kind, pressure, said.details, factor=said.factor)
        for kind, pressure in zip(_KINDS, said.pressures, strict=True)
    ]
    return (*found, *(measured(Kind.HEART_RATE, one, said.details) for one in said.pulse))


def read_cuff(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The cuff's pressure while measuring goes on: no rule should judge it. Raises as `read`."""
    del frame, key
    said = _parts(value)
    found = measured(Kind.CUFF_PRESSURE, said.pressures[0], said.details, factor=said.factor)
    return (found, *(measured(Kind.HEART_RATE, one, said.details) for one in said.pulse))


@dataclass(frozen=True, slots=True)
class _Parts:
    pressures: tuple[float | Special, float | Special, float | Special]
    pulse: tuple[float | Special, ...]
    factor: float
    details: dict[str, str]


def _parts(value: bytes) -> _Parts:
    fields = Fields(value)
    said = fields.number(1)
    pressures = (fields.sfloat(), fields.sfloat(), fields.sfloat())
    details: dict[str, str] = {}
    if said & _TIME:
        details["timestamp"] = fields.time()
    pulse = (fields.sfloat(),) if said & _PULSE else ()
    if said & _USER and (user := fields.number(1)) != UNKNOWN_USER:
        details["user_id"] = str(user)
    if said & _STATUS and (status := fields.number(2)):
        details["measurement_status"] = flags(status, STATUS)
    fields.end()
    return _Parts(pressures, pulse, _FROM_KILOPASCAL if said & _KILOPASCAL else 1.0, details)

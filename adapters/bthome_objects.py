"""The objects of the BTHome format (https://bthome.io/format), and how one of them is read.

Both versions of the format share these object ids. Version 1 names length and signedness in the
payload, version 2 takes them from this table. Factors that are not the format's own turn its
millimetres, millilitres and pounds into the unit of our kind: an observation has one unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from adapters.catalogue import CATALOGUE
from adapters.observation import Kind, Observation, Quality

Form = Literal[
    "packet", "number", "yes_no", "button", "dimmer", "command", "text", "raw", "firmware"
]

PACKET_ID = 0x00
EVENT_FORMS = frozenset({"button", "dimmer", "command"})

BUTTON_EVENTS: Mapping[int, str] = {
    0x00: "none",
    0x01: "press",
    0x02: "double_press",
    0x03: "triple_press",
    0x04: "long_press",
    0x05: "long_double_press",
    0x06: "long_triple_press",
    0x80: "hold_press",
    0x81: "hold_release",
}
DIMMER_EVENTS: Mapping[int, str] = {0x00: "none", 0x01: "rotate_left", 0x02: "rotate_right"}
COMMANDS: Mapping[int, str] = {
    0x00: "off",
    0x01: "on",
    0x02: "toggle",
    0x03: "step_up",
    0x04: "step_down",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One object: what it is, how many bytes follow its id (0: the next byte says), its scale."""

    kind: Kind
    form: Form
    length: int
    signed: bool
    times: int
    divided: int

    @property
    def bit(self) -> int:
        return 1 << self.kind


def _number(kind: Kind, length: int, factor: str = "1", *, signed: bool = False) -> Field:
    """A number; the factor is decimal text, so that 0.01 is a hundredth and not nearly one."""
    exact = Fraction(factor)
    return Field(kind, "number", length, signed, exact.numerator, exact.denominator)


def _other(kind: Kind, form: Form, length: int = 1) -> Field:
    return Field(kind, form, length, signed=False, times=1, divided=1)


def _yes_no(kind: Kind) -> Field:
    return _other(kind, "yes_no")


FIELDS: Mapping[int, Field] = {
    PACKET_ID: _other(Kind.HEARTBEAT, "packet"),
    0x01: _number(Kind.BATTERY, 1),
    0x02: _number(Kind.TEMPERATURE, 2, "0.01", signed=True),
    0x03: _number(Kind.HUMIDITY, 2, "0.01"),
    0x04: _number(Kind.PRESSURE, 3, "0.01"),
    0x05: _number(Kind.ILLUMINANCE, 3, "0.01"),
    0x06: _number(Kind.MASS, 2, "0.01"),
    0x07: _number(Kind.MASS, 2, "0.0045359237"),  # pounds of exactly 0.45359237 kg
    0x08: _number(Kind.DEW_POINT, 2, "0.01", signed=True),
    0x09: _number(Kind.COUNT, 1),
    0x0A: _number(Kind.ENERGY, 3, "0.001"),
    0x0B: _number(Kind.POWER, 3, "0.01"),
    0x0C: _number(Kind.VOLTAGE, 2, "0.001"),
    0x0D: _number(Kind.PM2_5, 2),
    0x0E: _number(Kind.PM10, 2),
    0x0F: _yes_no(Kind.GENERIC),
    0x10: _yes_no(Kind.POWER_ON),
    0x11: _yes_no(Kind.OPENING),
    0x12: _number(Kind.CO2, 2),
    0x13: _number(Kind.TVOC, 2),
    0x14: _number(Kind.MOISTURE, 2, "0.01"),
    0x15: _yes_no(Kind.BATTERY_LOW),
    0x16: _yes_no(Kind.BATTERY_CHARGING),
    0x17: _yes_no(Kind.CARBON_MONOXIDE),
    0x18: _yes_no(Kind.COLD),
    0x19: _yes_no(Kind.CONNECTED),
    0x1A: _yes_no(Kind.DOOR),
    0x1B: _yes_no(Kind.OPENING),  # garage door
    0x1C: _yes_no(Kind.GAS_DETECTED),
    0x1D: _yes_no(Kind.HEAT),
    0x1E: _yes_no(Kind.LIGHT),
    0x1F: _yes_no(Kind.UNLOCKED),
    0x20: _yes_no(Kind.WET),
    0x21: _yes_no(Kind.MOTION),
    0x22: _yes_no(Kind.MOVING),
    0x23: _yes_no(Kind.OCCUPANCY),
    0x24: _yes_no(Kind.PLUGGED_IN),
    0x25: _yes_no(Kind.PRESENCE),
    0x26: _yes_no(Kind.PROBLEM),
    0x27: _yes_no(Kind.RUNNING),
    0x28: _yes_no(Kind.SAFE),
    0x29: _yes_no(Kind.SMOKE),
    0x2A: _yes_no(Kind.SOUND),
    0x2B: _yes_no(Kind.TAMPERED),
    0x2C: _yes_no(Kind.VIBRATION),
    0x2D: _yes_no(Kind.OPENING),  # window
    0x2E: _number(Kind.HUMIDITY, 1),
    0x2F: _number(Kind.MOISTURE, 1),
    0x3A: _other(Kind.BUTTON, "button"),
    0x3B: _other(Kind.COMMAND, "command", 0),
    0x3C: _other(Kind.DIMMER, "dimmer", 2),
    0x3D: _number(Kind.COUNT, 2),
    0x3E: _number(Kind.COUNT, 4),
    0x3F: _number(Kind.ROTATION, 2, "0.1", signed=True),
    0x40: _number(Kind.DISTANCE, 2, "0.001"),  # millimetres
    0x41: _number(Kind.DISTANCE, 2, "0.1"),
    0x42: _number(Kind.DURATION, 3, "0.001"),
    0x43: _number(Kind.CURRENT, 2, "0.001"),
    0x44: _number(Kind.SPEED, 2, "0.01"),
    0x45: _number(Kind.TEMPERATURE, 2, "0.1", signed=True),
    0x46: _number(Kind.UV_INDEX, 1, "0.1"),
    0x47: _number(Kind.VOLUME, 2, "0.1"),
    0x48: _number(Kind.VOLUME, 2, "0.001"),  # millilitres
    0x49: _number(Kind.VOLUME_FLOW, 2, "0.001"),
    0x4A: _number(Kind.VOLTAGE, 2, "0.1"),
    0x4B: _number(Kind.GAS_VOLUME, 3, "0.001"),
    0x4C: _number(Kind.GAS_VOLUME, 4, "0.001"),
    0x4D: _number(Kind.ENERGY, 4, "0.001"),
    0x4E: _number(Kind.VOLUME, 4, "0.001"),
    0x4F: _number(Kind.WATER_VOLUME, 4, "0.001"),
    0x50: _number(Kind.TIMESTAMP, 4),
    0x51: _number(Kind.ACCELERATION, 2, "0.001"),
    0x52: _number(Kind.ANGULAR_SPEED, 2, "0.001"),
    0x53: _other(Kind.TEXT, "text", 0),
    0x54: _other(Kind.RAW, "raw", 0),
    0x55: _number(Kind.STORED_VOLUME, 4, "0.001"),
    0x56: _number(Kind.CONDUCTIVITY, 2),
    0x57: _number(Kind.TEMPERATURE, 1, signed=True),
    0x58: _number(Kind.TEMPERATURE, 1, "0.35", signed=True),
    0x59: _number(Kind.COUNT, 1, signed=True),
    0x5A: _number(Kind.COUNT, 2, signed=True),
    0x5B: _number(Kind.COUNT, 4, signed=True),
    0x5C: _number(Kind.POWER, 4, "0.01", signed=True),
    0x5D: _number(Kind.CURRENT, 2, "0.001", signed=True),
    0x5E: _number(Kind.DIRECTION, 2, "0.01"),
    0x5F: _number(Kind.PRECIPITATION, 2, "0.1"),
    0x60: _number(Kind.CHANNEL, 1),
    0x61: _number(Kind.ROTATIONAL_SPEED, 2),
    0x62: _number(Kind.SPEED, 4, "0.000001", signed=True),
    0x63: _number(Kind.ACCELERATION, 4, "0.000001", signed=True),
    0x64: _number(Kind.LIGHT_LEVEL, 1),
    0x65: _number(Kind.SETTINGS_REVISION, 1),
    0xF0: _number(Kind.DEVICE_TYPE, 2),
    0xF1: _other(Kind.FIRMWARE, "firmware", 4),
    0xF2: _other(Kind.FIRMWARE, "firmware", 3),
}


@lru_cache(maxsize=16_384)
def observe(object_id: int, data: bytes) -> Observation:
    """The observation of one object of version 2: `data` is what follows id and length byte.

    Remembered, since sensors say the same few thousand things all day: this is the hot path.
    """
    field = FIELDS[object_id]
    if field.form == "number":
        return number(field, int.from_bytes(data, "little", signed=field.signed))
    return observe_other(field, data)


def observe_other(field: Field, data: bytes) -> Observation:
    """The observation of an object that is not a number."""
    match field.form:
        case "yes_no":
            return Observation(field.kind, 1.0 if any(data) else 0.0)
        case "button" | "command" | "dimmer":
            return _event(field, data)
        case "text":
            return _text(field.kind, data)
        case "firmware":
            version = ".".join(str(part) for part in reversed(data))
            return Observation(field.kind, details={"firmware": version})
        case _:
            return Observation(field.kind, details={"raw": data.hex()})


def number(field: Field, raw: int) -> Observation:
    """A number in the kind's unit, marked where it cannot be true."""
    value = raw * field.times / field.divided
    plausible = CATALOGUE[field.kind].plausible(value)
    return Observation(
        field.kind, value, quality=Quality.GOOD if plausible else Quality.IMPLAUSIBLE
    )


def _event(field: Field, data: bytes) -> Observation:
    """A press or a turn. The press's identity is put in later: another object may carry it."""
    code, rest = data[0], data[1:]
    names = {"button": BUTTON_EVENTS, "dimmer": DIMMER_EVENTS}.get(field.form, COMMANDS)
    quality = Quality.GOOD if code in names else Quality.UNKNOWN_CODE
    if field.form == "dimmer":
        return Observation(
            field.kind, float(int.from_bytes(rest, "little")), code=code, quality=quality
        )
    details = {"arguments": rest.hex()} if rest else {}
    return Observation(field.kind, code=code, quality=quality, details=details)


def _text(kind: Kind, data: bytes) -> Observation:
    """Text, or its bytes where it is none: U+0000 is refused by the database, so it is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return Observation(kind, quality=Quality.IMPLAUSIBLE, details={"raw": data.hex()})
    return Observation(kind, details={"text": text})

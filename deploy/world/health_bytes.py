"""What health devices say, as bytes, from the Bluetooth SIG's and IEEE 11073-20601's formats.

Written from the GATT Specification Supplement and apart from `adapters`, so that the two can be
held against each other. A number that is none is named by its word of the standard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntFlag
from typing import Literal

from deploy.world.frames import ieee_float

NoNumber = Literal["NaN", "NRes", "+INF", "-INF", "reserved"]
Number = Decimal | NoNumber
"""What a device measured, exact in every digit, or what it says instead."""

NO_USER = 255

_SFLOAT: dict[str, int] = {
    "NaN": 0x07FF,
    "NRes": 0x0800,
    "+INF": 0x07FE,
    "-INF": 0x0802,
    "reserved": 0x0801,
}
_FLOAT: dict[str, int] = {
    "NaN": 0x007FFFFF,
    "NRes": 0x00800000,
    "+INF": 0x007FFFFE,
    "-INF": 0x00800002,
    "reserved": 0x00800001,
}
_LARGEST_MANTISSA = 2045  # beyond are the words above
_EXPONENTS = range(-8, 8)
_KILOGRAMS, _POUNDS = Decimal("0.005"), Decimal("0.01")


def sfloat(number: Number) -> bytes:
    """SFLOAT: 12 bits of mantissa, 4 of decimal exponent. ValueError: more digits than it holds."""
    if isinstance(number, str):
        return _octets(_SFLOAT[number], 2)
    sign, digits, exponent = number.as_tuple()
    mantissa, power = int("".join(map(str, digits))), int(exponent)
    while mantissa > _LARGEST_MANTISSA and mantissa % 10 == 0:
        mantissa, power = mantissa // 10, power + 1
    if mantissa > _LARGEST_MANTISSA or power not in _EXPONENTS:
        raise ValueError(f"{number} has more digits than an SFLOAT holds")
    signed = -mantissa if sign else mantissa
    return _octets((power & 0xF) << 12 | signed & 0xFFF, 2)


def float32(number: Number) -> bytes:
    """FLOAT: 24 bits of mantissa, 8 of decimal exponent. ValueError as `sfloat`."""
    return _octets(_FLOAT[number], 4) if isinstance(number, str) else ieee_float(number)


def date_time(at: datetime | None) -> bytes:
    """The seven octets of Date Time: local time as the device shows it; zeros while it is unset."""
    if at is None:
        return bytes(7)
    return _octets(at.year, 2) + bytes((at.month, at.day, at.hour, at.minute, at.second))


class CuffStatus(IntFlag):
    """Measurement Status of Blood Pressure Measurement; the pulse's range has two bits."""

    BODY_MOVED = 1 << 0
    CUFF_LOOSE = 1 << 1
    IRREGULAR_PULSE = 1 << 2
    PULSE_HIGH = 1 << 3
    PULSE_LOW = 2 << 3
    WRONG_POSITION = 1 << 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """Blood Pressure Measurement 0x2A35; mm[Hg] or kPa, pulse a minute."""

    systolic: Number
    diastolic: Number
    mean: Number = "NaN"
    pulse: Number | None = None
    at: datetime | None = None
    user: int | None = None
    status: int | None = None
    kilopascal: bool = False
    dated: bool = True
    """Whether the device has a clock; `at` None is then a clock that was never set."""

    def octets(self) -> bytes:
        """As it is indicated."""
        return _fields(
            1,
            int(self.kilopascal),
            sfloat(self.systolic) + sfloat(self.diastolic) + sfloat(self.mean),
            (
                (1, date_time(self.at) if self.dated else None),
                (2, None if self.pulse is None else sfloat(self.pulse)),
                (3, None if self.user is None else bytes((self.user,))),
                (4, None if self.status is None else _octets(self.status, 2)),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """Weight Measurement 0x2A9D; kg in steps of 5 g, or pounds in hundredths; height in mm."""

    weight: Decimal | None
    at: datetime | None = None
    user: int | None = None
    bmi: Decimal | None = None
    height: int = 0
    pounds: bool = False

    def octets(self) -> bytes:
        """As it is indicated. ValueError: a weight between the steps."""
        shape = None
        if self.bmi is not None:
            shape = _octets(int(self.bmi * 10), 2) + _octets(self.height, 2)
        return _fields(
            1,
            int(self.pounds),
            _mass(self.weight, pounds=self.pounds),
            (
                (1, date_time(self.at)),
                (2, None if self.user is None else bytes((self.user,))),
                (3, shape),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """Body Composition Measurement 0x2A9C; masses in kg in steps of 5 g, fat in per cent.

    Without `fat` the measurement was unsuccessful, and nothing but time and user may follow.
    """

    fat: Decimal | None
    at: datetime | None = None
    user: int | None = None
    muscle: Decimal | None = None
    water: Decimal | None = None
    weight: Decimal | None = None

    def octets(self) -> bytes:
        """As it is indicated. ValueError: a mass between the steps."""
        masses = ((5, self.muscle), (8, self.water), (10, self.weight))
        return _fields(
            2,
            0,
            _octets(0xFFFF if self.fat is None else int(self.fat * 10), 2),
            (
                (1, date_time(self.at)),
                (2, None if self.user is None else bytes((self.user,))),
                *((bit, None if mass is None else _mass(mass)) for bit, mass in masses),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotCheck:
    """PLX Spot-Check Measurement 0x2A5E; per cent and pulse a minute."""

    saturation: Number
    pulse: Number
    at: datetime | None = None
    status: int | None = None
    sensor: int | None = None
    amplitude: Number | None = None
    clock_set: bool = True

    def octets(self) -> bytes:
        """As it is indicated."""
        return _fields(
            1,
            0 if self.clock_set else 1 << 4,
            sfloat(self.saturation) + sfloat(self.pulse),
            (
                (0, date_time(self.at)),
                (1, None if self.status is None else _octets(self.status, 2)),
                (2, None if self.sensor is None else _octets(self.sensor, 3)),
                (3, None if self.amplitude is None else sfloat(self.amplitude)),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Glucose:
    """Glucose Measurement 0x2A18: mol/L, or kg/L; `offset` is what the user moved the clock by."""

    number: int
    at: datetime | None
    concentration: Number | None = None
    kilograms: bool = False
    kind: int = 1
    place: int = 1
    offset: int | None = None
    status: int | None = None
    context: "GlucoseContext | None" = None

    def octets(self) -> bytes:
        """As it is notified. `context` follows in a notification of its own."""
        said = None
        if self.concentration is not None:
            said = sfloat(self.concentration) + bytes((self.kind | self.place << 4,))
        molar = said is not None and not self.kilograms
        return _fields(
            1,
            int(molar) << 2 | int(self.context is not None) << 4,
            _octets(self.number, 2) + date_time(self.at),
            (
                (0, None if self.offset is None else _octets(self.offset & 0xFFFF, 2)),
                (1, said),
                (3, None if self.status is None else _octets(self.status, 2)),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseContext:
    """Glucose Measurement Context 0x2A34: food in kg, meal by its number."""

    carbohydrate: tuple[int, Number] | None = None
    meal: int | None = None

    def octets(self, number: int) -> bytes:
        """As it is notified after the record with this number."""
        food = self.carbohydrate
        return _fields(
            1,
            0,
            _octets(number, 2),
            (
                (0, None if food is None else bytes((food[0],)) + sfloat(food[1])),
                (1, None if self.meal is None else bytes((self.meal,))),
            ),
        )


def temperature(
    celsius: Number, *, at: datetime | None = None, dated: bool = True, place: int | None = None
) -> bytes:
    """Temperature Measurement 0x2A1C in degrees Celsius; `place` is a Temperature Type."""
    return _fields(
        1,
        0,
        float32(celsius),
        (
            (1, date_time(at) if dated else None),
            (2, None if place is None else bytes((place,))),
        ),
    )


def heart_rate(
    rate: int, *, contact: bool | None = None, intervals: Sequence[Decimal] = ()
) -> bytes:
    """Heart Rate Measurement 0x2A37; times between beats in seconds."""
    wide = rate > 0xFF  # noqa: PLR2004 - what one octet holds
    flags = int(wide)
    if contact is not None:
        flags |= 0b100 | int(contact) << 1
    beats = b"".join(_octets(round(one * 1024), 2) for one in intervals)
    return _fields(1, flags, _octets(rate, 1 + wide), ((4, beats or None),))


def _fields(
    width: int, flags: int, first: bytes, more: Sequence[tuple[int, bytes | None]]
) -> bytes:
    """Flags, what always stands, and each further field that is there, its bit set."""
    for bit, field in more:
        flags |= int(field is not None) << bit
    return _octets(flags, width) + first + b"".join(field or b"" for _, field in more)


def _mass(mass: Decimal | None, *, pounds: bool = False) -> bytes:
    if mass is None:
        return _octets(0xFFFF, 2)
    steps = mass / (_POUNDS if pounds else _KILOGRAMS)
    if steps != steps.to_integral_value():
        raise ValueError(f"{mass} lies between two steps")
    return _octets(int(steps), 2)


def _octets(number: int, length: int) -> bytes:
    return number.to_bytes(length, "little")

"""The frames that simulated and recorded sensors send: each as its own kind of device would."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal

from adapters.frame import Frame, Lane
from deploy.world.payloads import BTHOME, DOOR, MOTION, OPENING, bthome_payload

TEMPERATURE_MEASUREMENT = "2a1c"
"""The characteristic of a health thermometer (GATT Specification Supplement)."""

_CELSIUS_WITH_TYPE = 0x04
_BODY, _ARMPIT = 2, 1
"""Temperature types of 0x2A1D: the armpit is the one place on the list that is skin."""
_MANTISSA_LIMIT = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounding:
    """How one kind of recorded sensor speaks, and where it is placed."""

    lane: Lane
    role: str
    model: str
    object: int | None = None
    """The BTHome object that carries its 1; None for a thermometer that is read over GATT."""


SOUNDINGS = {
    "motion": Sounding(lane="bulk", role="motion", model="bthome", object=MOTION),
    "door": Sounding(lane="urgent", role="door", model="bthome", object=DOOR),
    "contact": Sounding(lane="bulk", role="contact", model="bthome", object=OPENING),
    "body_temperature": Sounding(lane="bulk", role="thermometer", model="thermometer"),
    "skin_temperature": Sounding(lane="bulk", role="thermometer", model="thermometer"),
}
"""By the kinds of the recordings. A recorded 1 of a door or a cupboard is an opening."""


def static_address(*names: str) -> str:
    """A random static address (top bits 11, Core Specification 6.B 1.3.2.1), the same each time."""
    octets = bytearray(hashlib.sha256("\n".join(names).encode()).digest()[:6])
    octets[0] |= 0xC0
    return ":".join(f"{octet:02X}" for octet in octets)


def frame(kind: str, address: str, *, at: int, value: Decimal, uptime: float = 0.0) -> Frame:
    """One reading as its device's frame, heard at `at` milliseconds. KeyError: unknown kind."""
    sounding = SOUNDINGS[kind]
    if sounding.object is None:
        return Frame(
            device=address,
            heard="characteristic",
            at=at,
            uptime=uptime,
            address_type="random",
            uuid=TEMPERATURE_MEASUREMENT,
            value=temperature_measurement(value, _BODY if kind == "body_temperature" else _ARMPIT),
        )
    said = bthome_payload([(sounding.object, bytes([value != 0]))])
    return advertisement(address, at=at, uptime=uptime, data={BTHOME: said})


def advertisement(
    address: str,
    *,
    at: int,
    uptime: float,
    data: dict[str, bytes] | None = None,
    manufacturer: dict[int, bytes] | None = None,
) -> Frame:
    """An advertisement of a device with a random static address, at the strength of a next room."""
    return Frame(
        device=address,
        heard="advertisement",
        at=at,
        uptime=uptime,
        rssi=-67,
        address_type="random",
        data=data or {},
        manufacturer=manufacturer or {},
    )


def temperature_measurement(celsius: Decimal, place: int) -> bytes:
    """Characteristic 0x2A1C in Celsius with a temperature type, without a time of its own."""
    return bytes((_CELSIUS_WITH_TYPE,)) + ieee_float(celsius) + bytes((place,))


def ieee_float(number: Decimal) -> bytes:
    """IEEE 11073-20601 FLOAT-Type: 24-bit mantissa, 8-bit decimal exponent, little endian.

    Every digit is kept. Raises ValueError for a number with more digits than it holds.
    """
    sign, digits, exponent = number.as_tuple()
    mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
    # the four largest mantissas of either sign mean NaN, NRes and infinities
    if not isinstance(exponent, int) or abs(mantissa) > _MANTISSA_LIMIT - 4:
        raise ValueError(f"{number} has more digits than a FLOAT holds")
    return mantissa.to_bytes(3, "little", signed=True) + exponent.to_bytes(1, signed=True)

"""What the devices of a home say, as bytes: BTHome v2 (bthome.io/format) and our call button.

Written from the formats and apart from `adapters`, so that the two can be held against each other.
"""

import struct
from collections.abc import Sequence
from enum import IntFlag

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

BTHOME = "fcd2"
"""The 16-bit UUID of BTHome's service data."""
COMPANY = 0xFFFF
"""The call button's company id: the one the Bluetooth SIG keeps for internal tests."""

Objects = Sequence[tuple[int, bytes]]
"""BTHome objects: id and little-endian content."""

PACKET_ID, BATTERY, TEMPERATURE, HUMIDITY = 0x00, 0x01, 0x02, 0x03
OPENING, DOOR, MOTION, OCCUPANCY, WINDOW, BUTTON = 0x11, 0x1A, 0x21, 0x23, 0x2D, 0x3A

_ENCRYPTED, _TRIGGERED, _VERSION_2 = 0x01, 0x04, 0x40
_TAG_LENGTH = 4


def bthome_payload(
    objects: Objects, packet_id: int | None = None, *, triggered: bool = True
) -> bytes:
    """Service data for the UUID fcd2, not encrypted. The packet id counts modulo 256.

    `triggered` marks a device that speaks when something happens, not at regular times.
    """
    return bytes([_information(triggered=triggered)]) + _content(objects, packet_id)


def bthome_encrypted(
    objects: Objects,
    packet_id: int | None = None,
    *,
    key: bytes,
    address: str,
    counter: int,
    triggered: bool = True,
) -> bytes:
    """Service data for the UUID fcd2 under a key of 16 bytes (bthome.io/encryption).

    `counter` must never be used twice with the same key. The nonce is address, UUID, device
    information and counter; the tag has four bytes.
    """
    information = bytes([_information(triggered=triggered) | _ENCRYPTED])
    count = counter.to_bytes(4, "little")
    place = bytes.fromhex(address.replace(":", "")) + bytes.fromhex(BTHOME)[::-1]
    nonce = place + information + count
    cipher = AESCCM(key, tag_length=_TAG_LENGTH)
    sealed = cipher.encrypt(nonce, _content(objects, packet_id), None)
    return information + sealed[:-_TAG_LENGTH] + count + sealed[-_TAG_LENGTH:]


def motion_object(*, moving: bool) -> tuple[int, bytes]:
    """Movement was seen, or has ended."""
    return MOTION, bytes([moving])


def door_object(*, is_open: bool) -> tuple[int, bytes]:
    """A door."""
    return DOOR, bytes([is_open])


def opening_object(*, is_open: bool) -> tuple[int, bytes]:
    """A cupboard, a drawer, a refrigerator."""
    return OPENING, bytes([is_open])


def occupancy_object(*, occupied: bool) -> tuple[int, bytes]:
    """Somebody lies in the bed or sits in the chair."""
    return OCCUPANCY, bytes([occupied])


def temperature_object(celsius: float) -> tuple[int, bytes]:
    """Degrees Celsius, kept to 0.01; -327.68 to 327.67."""
    return TEMPERATURE, round(celsius * 100).to_bytes(2, "little", signed=True)


def humidity_object(percent: float) -> tuple[int, bytes]:
    """Relative humidity in per cent, kept to 0.01."""
    return HUMIDITY, round(percent * 100).to_bytes(2, "little")


def battery_object(percent: int) -> tuple[int, bytes]:
    """The battery's charge in per cent."""
    return BATTERY, bytes([percent])


def button_object(event: int = 0x01) -> tuple[int, bytes]:
    """A button's event: 1 press, 2 double, 3 triple, 4 long press."""
    return BUTTON, bytes([event])


def motion_frame_bytes(*, moving: bool, packet_id: int) -> bytes:
    """What a motion sensor says."""
    return bthome_payload([motion_object(moving=moving)], packet_id)


def door_frame_bytes(*, is_open: bool, packet_id: int) -> bytes:
    """What a door sensor says."""
    return bthome_payload([door_object(is_open=is_open)], packet_id)


def opening_frame_bytes(*, is_open: bool, packet_id: int) -> bytes:
    """What the sensor of a cupboard or a refrigerator says."""
    return bthome_payload([opening_object(is_open=is_open)], packet_id)


def bed_frame_bytes(*, occupied: bool, packet_id: int) -> bytes:
    """What a bed sensor says."""
    return bthome_payload([occupancy_object(occupied=occupied)], packet_id)


def climate_frame_bytes(*, celsius: float, percent: float, packet_id: int) -> bytes:
    """What a sensor of temperature and humidity says."""
    objects = [temperature_object(celsius), humidity_object(percent)]
    return bthome_payload(objects, packet_id, triggered=False)


class CallFlag(IntFlag):
    """Flags of the call button."""

    PRESSED = 0b001
    BATTERY_LOW = 0b010
    TEST = 0b100


def call_button_bytes(flags: CallFlag, *, counter: int, battery: int) -> bytes:
    """The call button's manufacturer data without the company id; battery in per cent."""
    return struct.pack("<2sBBHB", b"TP", 1, flags, counter & 0xFFFF, battery)


def _information(*, triggered: bool) -> int:
    return _VERSION_2 | (_TRIGGERED if triggered else 0)


def _content(objects: Objects, packet_id: int | None) -> bytes:
    """The objects in the order of their ids, which the format asks for."""
    numbered = [] if packet_id is None else [(PACKET_ID, bytes([packet_id & 0xFF]))]
    ordered = sorted((*numbered, *objects), key=lambda entry: entry[0])
    return b"".join(bytes([number]) + content for number, content in ordered)

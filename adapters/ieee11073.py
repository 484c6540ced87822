"""The two decimal number formats of health devices, IEEE 11073-20601: FLOAT and SFLOAT.

A number is a signed mantissa times ten to a signed exponent: 24 and 8 bits in FLOAT, 12 and 4 in
SFLOAT, little-endian on the air. Five values with exponent 0 are no numbers at all (their meaning
stands in the standard and in the Bluetooth SIG's Personal Health Devices Transcoding White Paper).
"""

from enum import Enum


class Special(Enum):
    """What a device says when it has no number to say."""

    NOT_A_NUMBER = "NaN"
    NOT_AT_THIS_RESOLUTION = "NRes"
    PLUS_INFINITY = "+INF"
    MINUS_INFINITY = "-INF"
    RESERVED = "reserved"


FLOAT_LENGTH = 4
SFLOAT_LENGTH = 2

_FLOAT_SPECIALS = {
    0x007FFFFF: Special.NOT_A_NUMBER,
    0x00800000: Special.NOT_AT_THIS_RESOLUTION,
    0x007FFFFE: Special.PLUS_INFINITY,
    0x00800002: Special.MINUS_INFINITY,
    0x00800001: Special.RESERVED,
}
_SFLOAT_SPECIALS = {
    0x07FF: Special.NOT_A_NUMBER,
    0x0800: Special.NOT_AT_THIS_RESOLUTION,
    0x07FE: Special.PLUS_INFINITY,
    0x0802: Special.MINUS_INFINITY,
    0x0801: Special.RESERVED,
}


def float_value(data: bytes) -> float | Special:
    """The number in four bytes of FLOAT. Raises ValueError for another length."""
    return _value(data, FLOAT_LENGTH, 24, _FLOAT_SPECIALS)


def sfloat_value(data: bytes) -> float | Special:
    """The number in two bytes of SFLOAT. Raises ValueError for another length."""
    return _value(data, SFLOAT_LENGTH, 12, _SFLOAT_SPECIALS)


def _value(
    data: bytes, length: int, mantissa_bits: int, specials: dict[int, Special]
) -> float | Special:
    if len(data) != length:
        raise ValueError(f"{length} bytes make the number, not {len(data)}")
    special = specials.get(int.from_bytes(data, "little"))
    if special is not None:
        return special
    whole = int.from_bytes(data, "little", signed=True)
    exponent = whole >> mantissa_bits
    mantissa = _signed(whole & (1 << mantissa_bits) - 1, mantissa_bits)
    return float(mantissa * 10**exponent) if exponent >= 0 else mantissa / 10**-exponent


def _signed(number: int, bits: int) -> int:
    """Two's complement of so many bits."""
    return number - (1 << bits) if number >> bits - 1 else number

"""What the characteristics of health devices share: fields, numbers that are none, flags, clocks.

Source of all of them: Bluetooth SIG, GATT Specification Supplement, and the services named there.
A device's clock is local time without a zone: it stands in `details` as `timestamp`, as the device
said it, and who knows the home's zone makes a moment of it (`gateway.ingest.dated`). Flags are
kept as words in the order of their bits; a bit that is reserved is kept by its number.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from adapters.catalogue import CATALOGUE
from adapters.errors import UnreadableFrame
from adapters.ieee11073 import SFLOAT_LENGTH, Special, sfloat_value
from adapters.observation import Kind, Observation, Quality

POUND: Final = 0.45359237  # kg, by definition
INCH: Final = 0.0254  # m, by definition
UNKNOWN_USER: Final = 0xFF

_DATE_TIME: Final = struct.Struct("<HBBBBB")
_UNKNOWN_16: Final = 0xFFFF
_DECIMALS: Final = 4


class Fields:
    """The bytes of a value, from the front. Raises UnreadableFrame where they end too soon."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self._at = 0

    def take(self, length: int) -> bytes:
        """So many bytes."""
        data = self._value[self._at : self._at + length]
        if len(data) != length:
            wanted = self._at + length
            raise UnreadableFrame(f"{len(self._value)} bytes where the flags say {wanted} or more")
        self._at += length
        return data

    def number(self, length: int, *, signed: bool = False) -> int:
        """A whole number of so many bytes."""
        return int.from_bytes(self.take(length), "little", signed=signed)

    def sfloat(self) -> float | Special:
        """A number of a health device."""
        return sfloat_value(self.take(SFLOAT_LENGTH))

    def time(self) -> str:
        """The device's own clock: ISO 8601 without a zone; a part it does not know is zero."""
        return local_time(self.take(_DATE_TIME.size))

    @property
    def left(self) -> int:
        return len(self._value) - self._at

    def end(self) -> None:
        """Nothing may follow. Raises UnreadableFrame."""
        if self.left:
            raise UnreadableFrame(f"{len(self._value)} bytes where the flags say {self._at}")


def local_time(data: bytes) -> str:
    """The seven bytes of a date and time as the device says it."""
    year, month, day, hour, minute, second = _DATE_TIME.unpack(data)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"


def measured(
    kind: Kind,
    number: float | Special,
    details: Mapping[str, str],
    *,
    factor: float = 1.0,
    code: int | None = None,
    record: int | None = None,
) -> Observation:
    """A number in the kind's unit, or that there is none and what the device said instead.

    `factor` is how much of the kind's unit one of the device's is; the product is rounded to four
    decimals, which is finer than any of these devices.
    """
    if isinstance(number, Special):
        infinite = number in (Special.PLUS_INFINITY, Special.MINUS_INFINITY)
        quality = Quality.INFINITE if infinite else Quality.NOT_A_NUMBER
        said = {**details, "special": number.value}
        return Observation(kind, code=code, quality=quality, record=record, details=said)
    value = number if factor == 1 else round(number * factor, _DECIMALS)
    plausible = CATALOGUE[kind].plausible(value)
    quality = Quality.GOOD if plausible else Quality.IMPLAUSIBLE
    return Observation(
        kind, value, code=code, quality=quality, record=record, details=dict(details)
    )


def whole(
    kind: Kind, raw: int, details: Mapping[str, str], *, times: int = 1, divided: int = 1
) -> Observation:
    """A number of 16 bits with the decimals of its unit; 0xFFFF says that measuring failed."""
    if raw == _UNKNOWN_16:
        said = {**details, "special": "unsuccessful"}
        return Observation(kind, quality=Quality.NOT_A_NUMBER, details=said)
    return measured(kind, raw * times / divided, details)


def flags(bits: int, names: Sequence[str]) -> str:
    """The words of the bits that are set, in their order."""
    said = [
        (names[bit] if bit < len(names) else "") or f"bit_{bit}"
        for bit in range(bits.bit_length())
        if bits >> bit & 1
    ]
    return " ".join(said)

"""Body analysis scales: Body Composition Measurement 0x2A9C.

Source: Bluetooth SIG, GATT Specification Supplement and Body Composition Service. Fields follow in
the order of their flags; a measurement too long for one packet comes in two, which are read alone.
"""

from typing import Final

from adapters.frame import Frame
from adapters.health import UNKNOWN_USER, Fields, whole
from adapters.observation import Kind, Observation
from adapters.weight_scale import height, mass

NAME: Final = "body_composition"
MEASUREMENT: Final = "2a9c"

_IMPERIAL, _TIME, _USER = 1 << 0, 1 << 1, 1 << 2
_BASAL, _MUSCLE_SHARE, _IMPEDANCE, _WEIGHT, _HEIGHT = 1 << 3, 1 << 4, 1 << 9, 1 << 10, 1 << 11
_MASSES: Final = (
    (1 << 5, Kind.MUSCLE_MASS),
    (1 << 6, Kind.FAT_FREE_MASS),
    (1 << 7, Kind.SOFT_LEAN_MASS),
    (1 << 8, Kind.BODY_WATER_MASS),
)


def read(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The body's fat and whatever more the scale says, with its time and user in `details`.

    Raises UnreadableFrame when the value is not as long as its flags say.
    """
    del frame, key
    fields = Fields(value)
    said = fields.number(2)
    fat = fields.number(2)
    details: dict[str, str] = {}
    if said & _TIME:
        details["timestamp"] = fields.time()
    if said & _USER and (user := fields.number(1)) != UNKNOWN_USER:
        details["user_id"] = str(user)
    found = [whole(Kind.BODY_FAT, fat, details, divided=10), *_more(fields, said, details)]
    fields.end()
    return tuple(found)


def _more(fields: Fields, said: int, details: dict[str, str]) -> list[Observation]:
    imperial = bool(said & _IMPERIAL)
    found: list[Observation] = []
    if said & _BASAL:
        found.append(whole(Kind.BASAL_METABOLISM, fields.number(2), details))
    if said & _MUSCLE_SHARE:
        found.append(whole(Kind.MUSCLE_SHARE, fields.number(2), details, divided=10))
    found += [
        mass(kind, fields.number(2), details, imperial=imperial)
        for bit, kind in _MASSES
        if said & bit
    ]
    if said & _IMPEDANCE:
        found.append(whole(Kind.IMPEDANCE, fields.number(2), details, divided=10))
    if said & _WEIGHT:
        found.append(mass(Kind.BODY_WEIGHT, fields.number(2), details, imperial=imperial))
    if said & _HEIGHT:
        found.append(height(fields.number(2), details, imperial=imperial))
    return found

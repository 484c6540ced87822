"""Heart rate sensors: Heart Rate Measurement 0x2A37.

Source: Bluetooth SIG, GATT Specification Supplement and Heart Rate Service. Times between beats are
in 1/1024 s; of several in one value the second and later have their place (2, 3, …) as `code`.
"""

from typing import Final

from adapters.frame import Frame
from adapters.health import Fields, measured
from adapters.observation import Kind, Observation

NAME: Final = "heart_rate"
MEASUREMENT: Final = "2a37"

_TWO_BYTES, _CONTACT, _KNOWS_CONTACT, _ENERGY, _INTERVALS = 0b00001, 0b00010, 0b00100, 0b01000, 0x10
_DECIMALS: Final = 6


def read(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The heart rate, with whether the sensor touches skin in `details`; energy; times of beats.

    Raises UnreadableFrame when the value is not as long as its flags say.
    """
    del frame, key
    fields = Fields(value)
    said = fields.number(1)
    details: dict[str, str] = {}
    if said & _KNOWS_CONTACT:
        details["sensor_contact"] = "true" if said & _CONTACT else "false"
    rate = float(fields.number(2 if said & _TWO_BYTES else 1))
    found = [measured(Kind.HEART_RATE, rate, details)]
    if said & _ENERGY:
        found.append(measured(Kind.ENERGY_EXPENDED, float(fields.number(2)), {}))
    place = 0
    while said & _INTERVALS and fields.left:
        place += 1
        seconds = round(fields.number(2) / 1024, _DECIMALS)
        found.append(measured(Kind.BEAT_INTERVAL, seconds, {}, code=place if place > 1 else None))
    fields.end()
    return tuple(found)

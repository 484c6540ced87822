"""Scales: Weight Measurement 0x2A9D, with body mass index and height where the scale knows them.

Source: Bluetooth SIG, GATT Specification Supplement and Weight Scale Service. The scale says
kilograms in steps of 5 g or pounds in hundredths, and 0xFFFF when it could not weigh.
"""

from typing import Final

from adapters.frame import Frame
from adapters.health import INCH, POUND, UNKNOWN_USER, Fields, measured, whole
from adapters.observation import Kind, Observation, Quality

NAME: Final = "weight_scale"
MEASUREMENT: Final = "2a9d"

_IMPERIAL, _TIME, _USER, _BMI_AND_HEIGHT = 0b0001, 0b0010, 0b0100, 0b1000
_FAILED: Final = 0xFFFF


def read(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The weight, with the scale's time and user in `details`; then index and height.

    Raises UnreadableFrame when the value is not as long as its flags say.
    """
    del frame, key
    fields = Fields(value)
    said = fields.number(1)
    weight = fields.number(2)
    imperial = bool(said & _IMPERIAL)
    details: dict[str, str] = {}
    if said & _TIME:
        details["timestamp"] = fields.time()
    if said & _USER and (user := fields.number(1)) != UNKNOWN_USER:
        details["user_id"] = str(user)
    found = [mass(Kind.BODY_WEIGHT, weight, details, imperial=imperial)]
    if said & _BMI_AND_HEIGHT:
        found.append(whole(Kind.BMI, fields.number(2), details, divided=10))
        found.append(height(fields.number(2), details, imperial=imperial))
    fields.end()
    return tuple(found)


def mass(kind: Kind, raw: int, details: dict[str, str], *, imperial: bool) -> Observation:
    """A mass in steps of 5 g, or of a hundredth of a pound."""
    if raw == _FAILED or not imperial:
        return whole(kind, raw, details, times=5, divided=1000)
    return measured(kind, raw / 100, details, factor=POUND)


def height(raw: int, details: dict[str, str], *, imperial: bool) -> Observation:
    """A height in millimetres, or in tenths of an inch; zero where nobody entered one."""
    if not raw:
        said = {**details, "special": "not_entered"}
        return Observation(Kind.BODY_HEIGHT, quality=Quality.NOT_A_NUMBER, details=said)
    if raw == _FAILED or not imperial:
        return whole(Kind.BODY_HEIGHT, raw, details, divided=1000)
    return measured(Kind.BODY_HEIGHT, raw / 10, details, factor=INCH)

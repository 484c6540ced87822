"""Continuous glucose monitors: CGM Measurement 0x2AA7, one or more records in a value.

Source: Bluetooth SIG, GATT Specification Supplement and Continuous Glucose Monitoring Service. The
concentration is in mg/dL and is told in mmol/L; the time is minutes since the session's start,
which only a connection can ask for. A check sum may follow; it is not looked at, since a lower
layer of the link has one of its own.
"""

from typing import Final

from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.glucose import MILLIMOLES_IN_A_KILOGRAM
from adapters.health import Fields, flags, measured
from adapters.ieee11073 import Special
from adapters.observation import Kind, Observation

NAME: Final = "glucose_monitor"
MEASUREMENT: Final = "2aa7"

STATUS: Final = (
    "session_stopped",
    "battery_low",
    "wrong_sensor",
    "sensor_malfunction",
    "device_alert",
    "general_fault",
    *("", ""),
    "time_synchronisation_required",
    "calibration_not_allowed",
    "calibration_recommended",
    "calibration_required",
    "too_warm",
    "too_cold",
    *("", ""),
    "lower_than_the_wearers_low",
    "higher_than_the_wearers_high",
    "lower_than_hypoglycaemia",
    "higher_than_hyperglycaemia",
    "falls_too_fast",
    "rises_too_fast",
    "lower_than_the_monitor_can_measure",
    "higher_than_the_monitor_can_measure",
)

_TREND, _QUALITY = 0b1, 0b10
_STATUS_OCTETS: Final = ((1 << 7, 0), (1 << 6, 8), (1 << 5, 16))  # flag, and the octet's first bit
_SHORTEST, _CHECK_SUM = 6, 2
_MILLIGRAM_PER_DECILITRE: Final = MILLIMOLES_IN_A_KILOGRAM / 100_000


def read(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """Glucose and its trend, record by record, with minutes, flags and quality in `details`.

    Raises UnreadableFrame, with the records before, for one that is not as long as it says.
    """
    del frame, key
    fields, found = Fields(value), list[Observation]()
    if not value:
        raise UnreadableFrame("0 bytes where a record is expected")
    while fields.left:
        try:
            found += _record(fields.take(max(fields.number(1), _SHORTEST) - 1))
        except UnreadableFrame as unreadable:
            raise UnreadableFrame(str(unreadable), partial=tuple(found)) from None
    return tuple(found)


def _record(data: bytes) -> list[Observation]:
    fields = Fields(data)
    said, glucose, minutes = fields.number(1), fields.sfloat(), fields.number(2)
    details = {"time_offset_minutes": str(minutes)}
    status = 0
    for flag, first in _STATUS_OCTETS:
        if said & flag:
            status |= fields.number(1) << first
    if status:
        details["sensor_status"] = flags(status, STATUS)
    trend = [fields.sfloat()] if said & _TREND else []
    if said & _QUALITY:
        quality = fields.sfloat()
        details["quality_percent"] = quality.value if isinstance(quality, Special) else f"{quality}"
    if fields.left == _CHECK_SUM:
        fields.take(_CHECK_SUM)
    fields.end()
    factor = _MILLIGRAM_PER_DECILITRE
    found = [measured(Kind.TISSUE_GLUCOSE, glucose, details, factor=factor)]
    return found + [measured(Kind.GLUCOSE_TREND, one, details, factor=factor) for one in trend]

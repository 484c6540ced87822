"""Pulse oximeters: PLX Spot-Check Measurement 0x2A5E and PLX Continuous Measurement 0x2A5F.

Source: Bluetooth SIG, Pulse Oximeter Service 1.0 and GATT Specification Supplement. The continuous
one may say three averages: the normal, a fast (1 as `code`) and a slow one (2).
"""

from typing import Final

from adapters.frame import Frame
from adapters.health import Fields, flags, measured
from adapters.observation import Kind, Observation

NAME: Final = "pulse_oximeter"
SPOT_CHECK: Final = "2a5e"
CONTINUOUS: Final = "2a5f"

MEASUREMENT_STATUS: Final = (
    *("", "", "", "", ""),
    "measurement_ongoing",
    "early_estimate",
    "validated",
    "fully_qualified",
    "from_storage",
    "for_demonstration",
    "for_testing",
    "calibration_ongoing",
    "measurement_unavailable",
    "questionable_measurement",
    "invalid_measurement",
)
SENSOR_STATUS: Final = (
    "extended_display_update_ongoing",
    "equipment_malfunction",
    "signal_processing_irregularity",
    "inadequate_signal",
    "poor_signal",
    "low_perfusion",
    "erratic_signal",
    "nonpulsatile_signal",
    "questionable_pulse",
    "signal_analysis_ongoing",
    "sensor_interference",
    "sensor_unconnected_to_user",
    "unknown_sensor",
    "sensor_displaced",
    "sensor_malfunctioning",
    "sensor_disconnected",
)

_TIME, _STATUS, _SENSOR, _AMPLITUDE, _CLOCK_NOT_SET = 0b00001, 0b00010, 0b00100, 0b01000, 0b10000
_FAST, _SLOW = 0b00001, 0b00010
_AVERAGES = ((None, ""), (1, "fast"), (2, "slow"))


def read(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """Saturation, pulse and the pulse's strength of a spot check, with time and flags in `details`.

    Raises UnreadableFrame when the value is not as long as its flags say.
    """
    del frame, key
    fields = Fields(value)
    said = fields.number(1)
    oxygen, pulse = fields.sfloat(), fields.sfloat()
    details: dict[str, str] = {}
    if said & _TIME:
        details["timestamp"] = fields.time()
    if said & _CLOCK_NOT_SET:
        details["clock"] = "not_set"
    amplitude = _rest(fields, said, details)
    found = (measured(Kind.SPO2, oxygen, details), measured(Kind.HEART_RATE, pulse, details))
    return (*found, *amplitude)


def read_continuous(
    value: bytes, frame: Frame, key: bytes | None = None
) -> tuple[Observation, ...]:
    """The same of what is measured all the time, in one to three averages. Raises as `read`."""
    del frame, key
    fields = Fields(value)
    said = fields.number(1)
    wanted = (True, said & _FAST, said & _SLOW)
    numbers = [(fields.sfloat(), fields.sfloat()) if one else None for one in wanted]
    details: dict[str, str] = {}
    amplitude = _rest(fields, said >> 1, details)
    found: list[Observation] = []
    for (code, average), pair in zip(_AVERAGES, numbers, strict=True):
        if pair is not None:
            told = details | ({"average": average} if average else {})
            found.append(measured(Kind.SPO2, pair[0], told, code=code))
            found.append(measured(Kind.HEART_RATE, pair[1], told, code=code))
    return (*found, *amplitude)


def _rest(fields: Fields, said: int, details: dict[str, str]) -> tuple[Observation, ...]:
    """Both kinds' last fields: two sets of flags into `details`, and the pulse's strength."""
    if said & _STATUS and (status := fields.number(2)):
        details["measurement_status"] = flags(status, MEASUREMENT_STATUS)
    if said & _SENSOR and (status := fields.number(3)):
        details["device_and_sensor_status"] = flags(status, SENSOR_STATUS)
    found = ()
    if said & _AMPLITUDE:
        found = (measured(Kind.PULSE_AMPLITUDE, fields.sfloat(), details),)
    fields.end()
    return found

"""Glucose meters: Glucose Measurement 0x2A18 and Glucose Measurement Context 0x2A34.

Source: Bluetooth SIG, GATT Specification Supplement and Glucose Service. Both are stored records
with a number; the meter's time is its base time, and where the user moved the clock since, an
offset in minutes. The concentration is in kg/L or mol/L and is told in mmol/L; glucose has
180.156 g/mol. What was measured in control solution, to try the meter, is a kind of its own.
"""

from datetime import datetime, timedelta
from typing import Final

from adapters.frame import Frame
from adapters.health import Fields, flags, measured
from adapters.observation import Kind, Observation, Quality

NAME: Final = "glucose"
MEASUREMENT: Final = "2a18"
CONTEXT: Final = "2a34"

TYPES: Final = {
    1: "capillary_whole_blood",
    2: "capillary_plasma",
    3: "venous_whole_blood",
    4: "venous_plasma",
    5: "arterial_whole_blood",
    6: "arterial_plasma",
    7: "undetermined_whole_blood",
    8: "undetermined_plasma",
    9: "interstitial_fluid",
    10: "control_solution",
}
PLACES: Final = {
    1: "finger",
    2: "alternate_site",
    3: "earlobe",
    4: "control_solution",
    15: "not_available",
}
STATUS: Final = (
    "battery_low",
    "sensor_malfunction",
    "sample_too_small",
    "strip_insertion_error",
    "wrong_strip",
    "higher_than_the_meter_can_measure",
    "lower_than_the_meter_can_measure",
    "too_warm",
    "too_cold",
    "strip_pulled_too_soon",
    "general_fault",
    "time_fault",
)
CARBOHYDRATES: Final = (
    *("breakfast", "lunch", "dinner", "snack"),
    *("drink", "supper", "brunch"),
)
MEALS: Final = ("before_meal", "after_meal", "fasting", "casual", "bedtime")
TESTERS: Final = {1: "self", 2: "health_care_professional", 3: "laboratory", 15: "not_available"}
HEALTH: Final = {
    1: "minor_issues",
    2: "major_issues",
    3: "during_menses",
    4: "under_stress",
    5: "no_issues",
    15: "not_available",
}
MEDICATION: Final = ("rapid", "short", "intermediate", "long", "premixed")

MILLIMOLES_IN_A_KILOGRAM: Final = 1_000_000 / 180.156

_OFFSET, _CONCENTRATION, _MOLAR, _STATUS, _CONTEXT_FOLLOWS = 0b1, 0b10, 0b100, 0b1000, 0b10000
_CARBOHYDRATE, _MEAL, _TESTER_HEALTH, _EXERCISE = 0b1, 0b10, 0b100, 0b1000
_MEDICATION, _LITRES, _HBA1C, _EXTENDED = 0b10000, 0b100000, 0b1000000, 0b10000000
_CONTROL_TYPE, _CONTROL_PLACE, _TISSUE = 10, 4, 9
_OVERRUN: Final = 0xFFFF


def read(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The glucose of one stored record, with its number and, in `details`, its time and flags.

    A record without a concentration says why there is none. Raises UnreadableFrame when the value
    is not as long as its flags say.
    """
    del frame, key
    fields = Fields(value)
    said, number, base = fields.number(1), fields.number(2), fields.time()
    details = _times(base, fields.number(2, signed=True) if said & _OFFSET else None)
    concentration, sample = None, 0
    if said & _CONCENTRATION:
        concentration, sample = fields.sfloat(), fields.number(1)
        details["type"] = TYPES.get(sample & 0xF, f"unknown_{sample & 0xF}")
        details["sample_location"] = PLACES.get(sample >> 4, f"unknown_{sample >> 4}")
    if said & _STATUS and (status := fields.number(2)):
        details["sensor_status"] = flags(status, STATUS)
    if said & _CONTEXT_FOLLOWS:
        details["context_follows"] = "true"
    fields.end()
    kind = _kind(sample)
    if concentration is None:
        told = {**details, "special": "no_result"}
        return (Observation(kind, quality=Quality.NOT_A_NUMBER, record=number, details=told),)
    factor = 1000 if said & _MOLAR else MILLIMOLES_IN_A_KILOGRAM
    return (measured(kind, concentration, details, factor=factor, record=number),)


def read_context(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """What was noted to a record of the same number: meal, health, food, exercise, medicine.

    Raises UnreadableFrame when the value is not as long as its flags say.
    """
    del frame, key
    fields = Fields(value)
    said, number = fields.number(1), fields.number(2)
    if said & _EXTENDED:
        fields.take(1)
    details: dict[str, str] = {}
    amounts = _food(fields, said, number)
    if said & _MEAL:
        details["meal"] = _word(MEALS, fields.number(1))
    if said & _TESTER_HEALTH:
        both = fields.number(1)
        details["tester"] = TESTERS.get(both & 0xF, f"unknown_{both & 0xF}")
        details["health"] = HEALTH.get(both >> 4, f"unknown_{both >> 4}")
    amounts += _exercise_and_medicine(fields, said, number)
    fields.end()
    return (Observation(Kind.GLUCOSE_CONTEXT, record=number, details=details), *amounts)


def _food(fields: Fields, said: int, number: int) -> list[Observation]:
    if not said & _CARBOHYDRATE:
        return []
    details = {"carbohydrate": _word(CARBOHYDRATES, fields.number(1))}
    return [measured(Kind.CARBOHYDRATE, fields.sfloat(), details, record=number)]


def _exercise_and_medicine(fields: Fields, said: int, number: int) -> list[Observation]:
    found: list[Observation] = []
    if said & _EXERCISE:
        seconds, intensity = fields.number(2), fields.number(1)
        details = {"intensity_percent": str(intensity)}
        if seconds == _OVERRUN:
            details["special"] = "overrun"
            found.append(
                Observation(Kind.EXERCISE, quality=Quality.INFINITE, record=number, details=details)
            )
        else:
            found.append(measured(Kind.EXERCISE, float(seconds), details, record=number))
    if said & _MEDICATION:
        details = {"medication": _word(MEDICATION, fields.number(1))}
        kind = Kind.MEDICATION_VOLUME if said & _LITRES else Kind.MEDICATION_MASS
        found.append(measured(kind, fields.sfloat(), details, record=number))
    if said & _HBA1C:
        found.append(measured(Kind.HBA1C, fields.sfloat(), {}, record=number))
    return found


def _kind(sample: int) -> Kind:
    if sample & 0xF == _CONTROL_TYPE or sample >> 4 == _CONTROL_PLACE:
        return Kind.CONTROL_GLUCOSE
    return Kind.TISSUE_GLUCOSE if sample & 0xF == _TISSUE else Kind.GLUCOSE


def _times(base: str, offset: int | None) -> dict[str, str]:
    """The time that the meter's user would have read off it; and of what it was worked out."""
    if offset is None:
        return {"timestamp": base}
    told = {"base_time": base, "time_offset_minutes": str(offset)}
    try:
        moment = datetime.fromisoformat(base) + timedelta(minutes=offset)
    except (ValueError, OverflowError):  # a part that the meter does not know is zero
        return told
    return {"timestamp": moment.isoformat(), **told}


def _word(words: tuple[str, ...], number: int) -> str:
    """Numbered from one; what is reserved keeps its number."""
    return words[number - 1] if 1 <= number <= len(words) else f"unknown_{number}"

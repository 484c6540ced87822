"""Whether our observations say what a row of the GATT vectors says."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters import blood_pressure, glucose, glucose_monitor, pulse_oximeter
from adapters.observation import Kind, Observation, Quality

NUMBERS: Mapping[str, frozenset[Kind]] = {
    "battery": frozenset({Kind.BATTERY}),
    "bmi": frozenset({Kind.BMI}),
    "diastolic": frozenset({Kind.BP_DIASTOLIC}),
    "energy_expended": frozenset({Kind.ENERGY_EXPENDED}),
    "glucose": frozenset({Kind.GLUCOSE, Kind.TISSUE_GLUCOSE}),
    "heart_rate": frozenset({Kind.HEART_RATE}),
    "height": frozenset({Kind.BODY_HEIGHT}),
    "humidity": frozenset({Kind.HUMIDITY}),
    "mean_arterial_pressure": frozenset({Kind.BP_MEAN}),
    "pulse_amplitude_index": frozenset({Kind.PULSE_AMPLITUDE}),
    "pulse_rate": frozenset({Kind.HEART_RATE}),
    "spo2": frozenset({Kind.SPO2}),
    "systolic": frozenset({Kind.BP_SYSTOLIC}),
    "temperature": frozenset({Kind.TEMPERATURE, Kind.BODY_TEMPERATURE}),
    "trend": frozenset({Kind.GLUCOSE_TREND}),
    "weight": frozenset({Kind.BODY_WEIGHT}),
}
TO_OURS: Mapping[str, float] = {
    "kPa": 7.500616827,
    "kg/L": 1_000_000 / 180.156,
    "mg/dL": 10 / 180.156,
    "mg/dL/min": 10 / 180.156,
}
FLAGS: Mapping[str, Sequence[Sequence[str]]] = {
    "measurement_status": (blood_pressure.STATUS, pulse_oximeter.MEASUREMENT_STATUS),
    "device_and_sensor_status": (pulse_oximeter.SENSOR_STATUS,),
    "sensor_status": (glucose.STATUS,),
}
OCTETS: Mapping[str, int] = {"status": 0, "cal_temp": 8, "warning": 16}


def gatt_says(found: tuple[Observation, ...], metric: str, value: Any, unit: str | None) -> bool:
    if metric in NUMBERS:
        return _number(found, NUMBERS[metric], value, unit)
    if metric == "sequence_number":
        return all(one.record == value for one in found)
    if metric == "rr_intervals":
        return [one.value for one in found if one.kind is Kind.BEAT_INTERVAL] == value
    details = found[0].details
    if metric in FLAGS:
        return any(_bits(details.get(metric, ""), names) == value for names in FLAGS[metric])
    if metric in OCTETS:
        bits = _bits(details.get("sensor_status", ""), glucose_monitor.STATUS)
        return bits >> OCTETS[metric] & 0xFF == value
    return _words(details, metric, value)


def _number(
    found: tuple[Observation, ...], kinds: frozenset[Kind], value: Any, unit: str | None
) -> bool:
    same = [one for one in found if one.kind in kinds]
    if len(same) != 1:
        return False
    if isinstance(value, str):
        infinite = "INF" in value.upper()
        wanted = Quality.INFINITE if infinite else Quality.NOT_A_NUMBER
        return same[0].value is None and same[0].quality is wanted
    expected = (value - 32) * 5 / 9 if unit == "°F" else value * TO_OURS.get(str(unit), 1)
    return same[0].value is not None and abs(same[0].value - expected) < 1e-3


def _bits(words: str, names: Sequence[str]) -> int:
    """The bits whose words these are; -1 for a word of another set of flags."""
    bits = 0
    for word in words.split():
        if word in names:
            bits |= 1 << names.index(word)
        elif word.startswith("bit_"):
            bits |= 1 << int(word.removeprefix("bit_"))
        else:
            return -1
    return bits


def _words(details: Mapping[str, str], metric: str, value: Any) -> bool:
    match metric:
        case "type":
            wanted, said = glucose.TYPES[value], details["type"]
        case "sample_location":
            wanted, said = glucose.PLACES[value], details["sample_location"]
        case "time_offset":
            wanted, said = str(value), details["time_offset_minutes"]
        case "base_time":
            wanted, said = value, details.get("base_time", details.get("timestamp"))
        case "quality":
            wanted, said = str(value), details["quality_percent"]
        case "context_follows":
            wanted, said = value, "context_follows" in details
        case _:
            wanted = str(value).lower() if isinstance(value, bool) else str(value)
            said = details.get(metric)
    return said == wanted

"""Whether our observations say what another decoder says, in that decoder's words."""

from collections.abc import Mapping
from typing import Any

from adapters.bthome_objects import BUTTON_EVENTS
from adapters.catalogue import CATALOGUE
from adapters.observation import Kind, Observation, Quality

NUMBERS: Mapping[str, Kind] = {
    "acceleration": Kind.ACCELERATION,
    "battery": Kind.BATTERY,
    "carbon_dioxide": Kind.CO2,
    "co2": Kind.CO2,
    "conductivity": Kind.CONDUCTIVITY,
    "dewpoint": Kind.DEW_POINT,
    "dew_point": Kind.DEW_POINT,
    "heart_rate": Kind.HEART_RATE,
    "humidity": Kind.HUMIDITY,
    "illuminance": Kind.ILLUMINANCE,
    "impedance": Kind.IMPEDANCE,
    "mass": Kind.BODY_WEIGHT,
    "moisture": Kind.MOISTURE,
    "pm2.5": Kind.PM2_5,
    "pm25": Kind.PM2_5,
    "pm10": Kind.PM10,
    "pressure": Kind.PRESSURE,
    "pulse": Kind.HEART_RATE,
    "temperature": Kind.TEMPERATURE,
    "tvoc": Kind.TVOC,
    "voltage": Kind.VOLTAGE,
    "weight": Kind.BODY_WEIGHT,
}
YES_NO: Mapping[str, Kind] = {
    "battery_low": Kind.BATTERY_LOW,
    "door": Kind.DOOR,
    "light": Kind.LIGHT,
    "lock": Kind.UNLOCKED,
    "motion": Kind.MOTION,
    "occupancy": Kind.OCCUPANCY,
    "opening": Kind.OPENING,
    "presence": Kind.PRESENCE,
    "smoke": Kind.SMOKE,
    "tamper": Kind.TAMPERED,
    "vibration": Kind.VIBRATION,
    "wet": Kind.WET,
    "moisture_detected": Kind.WET,
    "window": Kind.OPENING,
}
FACTORS: Mapping[tuple[str, str], float] = {
    ("mbar", "hPa"): 1,
    ("lbs", "kg"): 0.45359237,
    ("mV", "V"): 0.001,
    ("mG", "m/s2"): 0.00980665,
}
SAME_WORD: Mapping[str, str] = {
    "non-stabilized_weight": "mass_non_stabilized",
    "method": "lock_method",
}
PRESSES: Mapping[str, str] = {"single press": "press", "short press": "press"}
TURNS: Mapping[str, int] = {"rotate left": 1, "rotate right": 2}
TWICE = frozenset({"one_btn_switch", "remote_single_press"})
"""What ble_monitor says of a press a second time."""
DOOR_ACTIONS: Mapping[str, int] = {"close the door": 0, "open the door": 1}
_NONE = frozenset({"error", "NaN", "unknown"})


def says(found: tuple[Observation, ...], metric: str, value: Any, unit: str | None = None) -> bool:
    """Whether they say `metric` with that value, in our kind and unit or in words."""
    name = metric.replace(" ", "_").lower()
    if name in TWICE:
        return any(one.kind is Kind.BUTTON for one in found)
    if name == "sensor_id":
        return all((one.code == 2) == (value == 1) for one in found)
    if name == "door_action":
        return _yes_no(found, "door", DOOR_ACTIONS.get(value))
    name = "button" if name == "button_switch" else name
    return (
        _number(found, name, value, unit)
        or _yes_no(found, name, value)
        or _press(found, name, value)
        or _words(found, name, value)
    )


def _number(found: tuple[Observation, ...], name: str, value: Any, unit: str | None) -> bool:
    stem, is_probe, place = name.partition("_probe_")
    kind, code = NUMBERS.get(stem if is_probe else name), int(place) if place.isdigit() else None
    if name.startswith("acceleration"):
        kind = Kind.ACCELERATION
        code = {"x": 1, "y": 2, "z": 3}.get(name[-1])
    if kind is None:
        return False
    kinds = {kind, Kind.BODY_TEMPERATURE} if kind is Kind.TEMPERATURE else {kind}
    same = [one for one in found if one.kind in kinds and one.code == code]
    if code is None and not same:
        same = [one for one in found if one.kind in kinds and "part" in one.details]
    if value in _NONE:
        return len(same) == 1 and same[0].quality is Quality.NOT_A_NUMBER
    if isinstance(value, bool) or not isinstance(value, int | float) or len(same) != 1:
        return False
    factor = FACTORS.get((str(unit), CATALOGUE[kind].unit or ""), 1)
    allowed = 0.01 if unit == "mG" else 1e-6 * max(1.0, abs(value))
    return same[0].value is not None and abs(same[0].value - value * factor) <= allowed


def _yes_no(found: tuple[Observation, ...], name: str, value: Any) -> bool:
    kind = YES_NO.get(name)
    if value == name:  # an event that is called as what happened
        value = 1
    same = [one for one in found if one.kind is kind]
    return value in (0, 1) and len(same) == 1 and same[0].value == value


def _press(found: tuple[Observation, ...], name: str, value: Any) -> bool:
    what, _, which = name.partition("_")
    wanted = str(value).replace("_", " ")
    if what == "dimmer" and wanted in TURNS:
        return any(one.kind is Kind.DIMMER and one.code == TURNS[wanted] for one in found)
    said = [
        BUTTON_EVENTS.get(one.code or 0, "").replace("_", " ")
        for one in found
        if one.kind is Kind.BUTTON and one.details.get("button", "") == which
    ]
    return what in ("button", "dimmer") and said == [PRESSES.get(wanted, wanted)]


def _words(found: tuple[Observation, ...], name: str, value: Any) -> bool:
    """What has no kind stands in words: a number before its unit, a yes or no as true or false."""
    names = {name, f"{name}_event", SAME_WORD.get(name, name)}
    texts = [text for one in found for at, text in one.details.items() if at in names]
    truth = str(bool(value)).lower() if value in (0, 1) else ""
    return any(text in (str(value), truth) or text.split(" ")[0] == str(value) for text in texts)

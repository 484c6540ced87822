"""What other decoders call what we observe: bthome-ble, ble_monitor and bleparser."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.bthome_objects import BUTTON_EVENTS, COMMANDS, DIMMER_EVENTS
from adapters.catalogue import CATALOGUE
from adapters.observation import Kind, Observation, Quality

NUMBERS: Mapping[str, Kind] = {
    "acceleration": Kind.ACCELERATION,
    "battery": Kind.BATTERY,
    "carbon_dioxide": Kind.CO2,
    "channel": Kind.CHANNEL,
    "co2": Kind.CO2,
    "conductivity": Kind.CONDUCTIVITY,
    "count": Kind.COUNT,
    "current": Kind.CURRENT,
    "dew_point": Kind.DEW_POINT,
    "dewpoint": Kind.DEW_POINT,
    "direction": Kind.DIRECTION,
    "distance": Kind.DISTANCE,
    "distance mm": Kind.DISTANCE,
    "duration": Kind.DURATION,
    "energy": Kind.ENERGY,
    "gas": Kind.GAS_VOLUME,
    "gyroscope": Kind.ANGULAR_SPEED,
    "humidity": Kind.HUMIDITY,
    "illuminance": Kind.ILLUMINANCE,
    "light_level": Kind.LIGHT_LEVEL,
    "mass": Kind.MASS,
    "moisture": Kind.MOISTURE,
    "pm10": Kind.PM10,
    "pm2.5": Kind.PM2_5,
    "pm25": Kind.PM2_5,
    "power": Kind.POWER,
    "precipitation": Kind.PRECIPITATION,
    "pressure": Kind.PRESSURE,
    "rotation": Kind.ROTATION,
    "rotational_speed": Kind.ROTATIONAL_SPEED,
    "settings_revision": Kind.SETTINGS_REVISION,
    "speed": Kind.SPEED,
    "temperature": Kind.TEMPERATURE,
    "timestamp": Kind.TIMESTAMP,
    "tvoc": Kind.TVOC,
    "uv index": Kind.UV_INDEX,
    "uv_index": Kind.UV_INDEX,
    "volatile_organic_compounds": Kind.TVOC,
    "voltage": Kind.VOLTAGE,
    "volume": Kind.VOLUME,
    "volume flow rate": Kind.VOLUME_FLOW,
    "volume mL": Kind.VOLUME,
    "volume_flow_rate": Kind.VOLUME_FLOW,
    "volume_storage": Kind.STORED_VOLUME,
    "water": Kind.WATER_VOLUME,
    "weight": Kind.MASS,
}
YES_NO: Mapping[str, Kind] = {
    "battery": Kind.BATTERY_LOW,
    "battery charging": Kind.BATTERY_CHARGING,
    "battery low": Kind.BATTERY_LOW,
    "battery_charging": Kind.BATTERY_CHARGING,
    "binary": Kind.GENERIC,
    "carbon monoxide": Kind.CARBON_MONOXIDE,
    "carbon_monoxide": Kind.CARBON_MONOXIDE,
    "cold": Kind.COLD,
    "connectivity": Kind.CONNECTED,
    "door": Kind.DOOR,
    "garage door": Kind.OPENING,
    "garage_door": Kind.OPENING,
    "gas": Kind.GAS_DETECTED,
    "gas detected": Kind.GAS_DETECTED,
    "generic": Kind.GENERIC,
    "heat": Kind.HEAT,
    "light": Kind.LIGHT,
    "lock": Kind.UNLOCKED,
    "moisture": Kind.WET,
    "moisture detected": Kind.WET,
    "motion": Kind.MOTION,
    "moving": Kind.MOVING,
    "occupancy": Kind.OCCUPANCY,
    "opening": Kind.OPENING,
    "plug": Kind.PLUGGED_IN,
    "power": Kind.POWER_ON,
    "presence": Kind.PRESENCE,
    "problem": Kind.PROBLEM,
    "running": Kind.RUNNING,
    "safety": Kind.SAFE,
    "smoke": Kind.SMOKE,
    "smoke detector": Kind.SMOKE,
    "sound": Kind.SOUND,
    "switch": Kind.POWER_ON,
    "tamper": Kind.TAMPERED,
    "vibration": Kind.VIBRATION,
    "window": Kind.OPENING,
}
EVENTS: Mapping[str, tuple[Kind, Mapping[int, str]]] = {
    "button": (Kind.BUTTON, BUTTON_EVENTS),
    "command": (Kind.COMMAND, COMMANDS),
    "dimmer": (Kind.DIMMER, DIMMER_EVENTS),
}
DETAILS = frozenset({"firmware", "raw", "text"})
UNITS: Mapping[tuple[str, str], float] = {
    ("%", "%"): 1,
    ("A", "A"): 1,
    ("L", "L"): 1,
    ("V", "V"): 1,
    ("W", "W"): 1,
    ("hPa", "hPa"): 1,
    ("kWh", "kW.h"): 1,
    ("kg", "kg"): 1,
    ("lb", "kg"): 0.45359237,
    ("lbs", "kg"): 0.45359237,
    ("lx", "lx"): 1,
    ("m", "m"): 1,
    ("m/s", "m/s"): 1,
    ("m/s²", "m/s2"): 1,
    ("mL", "L"): 0.001,
    ("mbar", "hPa"): 1,
    ("mm", "m"): 0.001,
    ("mm", "mm"): 1,
    ("m³", "m3"): 1,
    ("m³/h", "m3/h"): 1,
    ("ppm", "[ppm]"): 1,
    ("rpm", "/min"): 1,
    ("s", "s"): 1,
    ("°", "deg"): 1,
    ("°/s", "deg/s"): 1,
    ("°C", "Cel"): 1,
    ("µS/cm", "uS/cm"): 1,
    ("µg/m³", "ug/m3"): 1,
}
"""How much of our unit one of theirs is; a pair that is not here does not agree."""

_SPECIALS = {"NaN": Quality.NOT_A_NUMBER, "NRes": Quality.NOT_A_NUMBER}


def pick(found: tuple[Observation, ...], kind: Kind, place: int | None) -> Observation | None:
    """The observation of a kind at a place (1, 2, …; None: the last, as ble_monitor keeps it)."""
    of_kind = [one for one in found if one.kind is kind]
    if place is None:
        return of_kind[-1] if of_kind else None
    return of_kind[place - 1] if place <= len(of_kind) else None


def split(metric: str) -> tuple[str, int | None]:
    """`temperature_2` is the second temperature; `temperature` the only one."""
    name, _, place = metric.rpartition("_")
    return (name, int(place)) if place.isdigit() else (metric, None)


def number_in_our_unit(kind: Kind, value: Any, unit: str | None) -> float:
    if kind is Kind.TIMESTAMP and not isinstance(value, int | float):
        moment = datetime.fromisoformat(str(value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    ours = CATALOGUE[kind].unit
    factor = 1.0 if unit is None or ours is None else UNITS[str(unit).replace("μ", "µ"), ours]
    return float(value) * factor


def agrees(
    found: tuple[Observation, ...], metric: str, value: Any, unit: str | None, *, yes_no: bool
) -> bool:
    """Whether our observations say what another decoder calls `metric`."""
    name, place = split(metric)
    if name in EVENTS:
        return _event_agrees(found, name, place, value)
    if name == "steps":
        return any(one.value == value for one in found if one.kind is Kind.DIMMER)
    if name in DETAILS:
        return any(one.details.get(name) == str(value) for one in found)
    kind = (YES_NO if yes_no or name not in NUMBERS else NUMBERS)[name]
    observation = pick(found, kind, place)
    return observation is not None and _number_agrees(observation, value, unit)


def _number_agrees(observation: Observation, value: Any, unit: str | None) -> bool:
    if value in _SPECIALS:
        return observation.value is None and observation.quality is _SPECIALS[value]
    expected = number_in_our_unit(observation.kind, value, unit)
    allowed = 1e-9 * max(1.0, abs(expected))
    return observation.value is not None and abs(observation.value - expected) <= allowed


def _event_agrees(found: tuple[Observation, ...], name: str, place: int | None, value: Any) -> bool:
    kind, events = EVENTS[name]
    said = [
        one
        for one in found
        if one.kind is kind and one.details.get(name) == (None if place is None else str(place))
    ]
    if value in (0, None, "none"):
        return not said
    words = {
        event.replace("_", " ")
        for code, event in events.items()
        for one in said
        if one.code == code
    }
    codes = {one.code for one in said}
    return len(said) == 1 and (value in codes or str(value).replace("_", " ") in words)

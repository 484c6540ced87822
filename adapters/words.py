"""What the decoder libraries' words are in ours: their metric to our kind, their unit to ours.

Their vocabulary is that of the package sensor-state-data. A word that has no kind is not dropped:
it stands, with its unit, in the details of one observation of kind TEXT.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from typing import Final, Protocol

from adapters.adapter import readable
from adapters.bthome_objects import BUTTON_EVENTS, DIMMER_EVENTS
from adapters.catalogue import CATALOGUE
from adapters.observation import Kind, Observation, Quality

NUMBERS: Final[Mapping[str, Kind]] = {
    "battery": Kind.BATTERY,
    "carbon_dioxide": Kind.CO2,
    "conductivity": Kind.CONDUCTIVITY,
    "count": Kind.COUNT,
    "dew_point": Kind.DEW_POINT,
    "heart_rate": Kind.HEART_RATE,
    "humidity": Kind.HUMIDITY,
    "illuminance": Kind.ILLUMINANCE,
    "impedance": Kind.IMPEDANCE,
    "mass": Kind.BODY_WEIGHT,  # of the libraries here only body scales say a mass
    "moisture": Kind.MOISTURE,
    "pm10": Kind.PM10,
    "pm25": Kind.PM2_5,
    "pressure": Kind.PRESSURE,
    "temperature": Kind.TEMPERATURE,
    "volatile_organic_compounds": Kind.TVOC,
    "voltage": Kind.VOLTAGE,
}
AXES: Final[Mapping[str, int | None]] = {
    "acceleration_total": None,
    "acceleration_x": 1,
    "acceleration_y": 2,
    "acceleration_z": 3,
}
YES_NO: Final[Mapping[str, Kind]] = {
    "battery": Kind.BATTERY_LOW,
    "charging": Kind.BATTERY_CHARGING,
    "door": Kind.DOOR,
    "light": Kind.LIGHT,
    "lock": Kind.UNLOCKED,
    "moisture": Kind.WET,
    "motion": Kind.MOTION,
    "occupancy": Kind.OCCUPANCY,
    "opening": Kind.OPENING,
    "power": Kind.POWER_ON,
    "presence": Kind.PRESENCE,
    "problem": Kind.PROBLEM,
    "smoke": Kind.SMOKE,
    "tamper": Kind.TAMPERED,
    "vibration": Kind.VIBRATION,
    "window": Kind.OPENING,
}
UNITS: Final[Mapping[tuple[str, str], float]] = {
    ("mV", "V"): 0.001,
    ("Pa", "hPa"): 0.01,
    ("mbar", "hPa"): 1.0,
    ("lb", "kg"): 0.45359237,
    ("lbs", "kg"): 0.45359237,
}
"""How much of our unit one of theirs is; the units of one name, and those below, are the same."""
SAME: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("%", "%"),
        ("V", "V"),
        ("bpm", "/min"),
        ("hPa", "hPa"),
        ("kg", "kg"),
        ("lx", "lx"),
        ("m/s²", "m/s2"),
        ("ohm", "Ohm"),
        ("ppm", "[ppm]"),
        ("°C", "Cel"),
        ("Ω", "Ohm"),
        ("µS/cm", "uS/cm"),
        ("µg/m³", "ug/m3"),
    }
)
BODY_THERMOMETERS: Final = frozenset({"MMC-W505", "MMC-T201-1"})
"""Models for people, whose temperature is not the room's."""
_FIRST_PART: Final = "primary"
_SILENT: Final = frozenset({"signal_strength", "packet_id"})
_PRESSED: Final = frozenset({"button", "dimmer"})  # a knob that is pressed is a button
_EVENTS = {event.replace("_", " "): code for code, event in BUTTON_EVENTS.items()}
_TURNS = {event.replace("_", " "): code for code, event in DIMMER_EVENTS.items()}


class Key(Protocol):
    """What a metric is called, and the part of the device that it is of."""

    @property
    def key(self) -> object: ...
    @property
    def device_id(self) -> str | None: ...


class Described(Protocol):
    @property
    def native_unit_of_measurement(self) -> object: ...


class Value(Protocol):
    @property
    def native_value(self) -> object: ...


class Event(Protocol):
    @property
    def event_type(self) -> str: ...
    @property
    def event_properties(self) -> Mapping[str, object] | None: ...


class Model(Protocol):
    model: str | None


class Update(Protocol):
    """The parts of `sensor_state_data.SensorUpdate` that are read here, without loading it."""

    @property
    def devices(self) -> Mapping[str | None, Model]: ...
    @property
    def entity_descriptions(self) -> Mapping[Key, Described]: ...
    @property
    def entity_values(self) -> Mapping[Key, Value]: ...
    @property
    def binary_entity_values(self) -> Mapping[Key, Value]: ...
    @property
    def events(self) -> Mapping[Key, Event]: ...


def observations(update: Update, identity: int) -> tuple[Observation, ...]:
    """What an update says. `identity` names the packet: it is a press's value."""
    found: list[Observation] = []
    rest: dict[str, str] = {}
    units = {key: one.native_unit_of_measurement for key, one in update.entity_descriptions.items()}
    for key, one in update.entity_values.items():
        word, value, unit = _word(key), one.native_value, _plain(units.get(key))
        if word in _SILENT:
            continue
        number = _number(word, value, unit)
        if number is None:
            rest[_name(key)] = _text(value, unit)
        else:
            found.append(_of_a_part(number, key.device_id))
    for key, one in update.binary_entity_values.items():
        kind = YES_NO.get(_name(key))
        if kind is None or one.native_value is None:
            rest[_name(key)] = str(one.native_value).lower()
        else:
            found.append(Observation(kind, 1.0 if one.native_value else 0.0))
    for key, event in update.events.items():
        found += _event(_name(key), event, identity, rest)
    if rest:
        found.append(Observation(Kind.TEXT, details=rest))
    if any(one.model in BODY_THERMOMETERS for one in update.devices.values()):
        found = [_of_a_body(one) for one in found]
    return tuple(found)


def _of_a_body(one: Observation) -> Observation:
    """A room's temperature from a thermometer for people is theirs."""
    if one.kind is not Kind.TEMPERATURE:
        return one
    plausible = one.value is not None and CATALOGUE[Kind.BODY_TEMPERATURE].plausible(one.value)
    quality = Quality.IMPLAUSIBLE if one.value is not None and not plausible else one.quality
    return replace(one, kind=Kind.BODY_TEMPERATURE, quality=quality)


def _of_a_part(one: Observation, part: str | None) -> Observation:
    """A second part's readings have 2 as `code`: the outdoor sensor is not the room's."""
    if part is None or part == _FIRST_PART:
        return one
    return replace(one, code=one.code or 2, details={**one.details, "part": readable(part)})


def _word(key: Key) -> str:
    """`temperature`, whatever kind of text the library makes of it."""
    return str(_plain(key.key))


def _name(key: Key) -> str:
    """The word, and the part of the device where it is said."""
    return _word(key) if key.device_id is None else f"{_word(key)}_{key.device_id}"


def _plain(word: object) -> object:
    """The value of an enumeration's member; anything else as it is."""
    return word.value if isinstance(word, Enum) else word


def _number(name: str, value: object, unit: object) -> Observation | None:
    """A number that has a kind, in that kind's unit; None for any other."""
    kind, code = _kind(name)
    if kind is None:
        return None
    factor = _factor(str(unit), CATALOGUE[kind].unit or "")
    if factor is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        details = {"special": _text(value, None)} if value is not None else {}
        return Observation(kind, code=code, quality=Quality.NOT_A_NUMBER, details=details)
    number = float(value) if factor == 1 else round(float(value) * factor, 6)
    plausible = CATALOGUE[kind].plausible(number)
    quality = Quality.GOOD if plausible else Quality.IMPLAUSIBLE
    return Observation(kind, number, code=code, quality=quality)


def _kind(name: str) -> tuple[Kind | None, int | None]:
    """The kind, and as `code` the probe or axis where the device has several."""
    if name in AXES:
        return Kind.ACCELERATION, AXES[name]
    stem, is_probe, place = name.partition("_probe_")
    if is_probe and place.isdigit() and len(place) == 1:
        return NUMBERS.get(stem), int(place)
    return NUMBERS.get(name), None


def _factor(theirs: str, ours: str) -> float | None:
    theirs = theirs.replace("μ", "µ")
    return 1.0 if (theirs, ours) in SAME or theirs == "None" else UNITS.get((theirs, ours))


def _event(name: str, event: Event, identity: int, rest: dict[str, str]) -> Iterator[Observation]:
    """A press, a turn, or something that happened; what has no kind goes to the rest."""
    said = str(event.event_type).replace("_", " ")
    what, _, which = name.partition("_")
    if what in _PRESSED and said in _EVENTS:
        details = {"button": which} if which else {}
        yield Observation(Kind.BUTTON, float(identity), code=_EVENTS[said], details=details)
    elif what == "dimmer" and said in _TURNS:
        steps = (event.event_properties or {}).get("steps")
        value = float(steps) if isinstance(steps, int) else None
        details = {"dimmer": which} if which else {}
        yield Observation(Kind.DIMMER, value, code=_TURNS[said], details=details)
    elif name == event.event_type and name in YES_NO:
        yield Observation(YES_NO[name], 1.0)
    else:
        rest[f"{name}_event" if name in rest else name] = _text(event.event_type, None)


def _text(value: object, unit: object) -> str:
    return readable(f"{value}" if unit is None else f"{value} {unit}")

"""Which adapter reads which frame; one line per device family.

The choice is by content (service uuid, company id, characteristic uuid), never by a model that
somebody typed in, so that a frame of an unplaced device reads the same as one of a placed device.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from adapters import (
    battery,
    blood_pressure,
    bluemaestro,
    body_composition,
    bthome,
    bthome_v1,
    call_button,
    dispenser,
    environment,
    glucose,
    glucose_monitor,
    govee,
    heart_rate,
    inkbird,
    makers,
    oralb,
    plugins,
    pulse_oximeter,
    qingping,
    ruuvi,
    sensorpush,
    thermometer,
    thermopro,
    weight_scale,
    xiaomi,
)
from adapters.adapter import NAME_LENGTH, Adapter
from adapters.errors import MissingKey, UnknownFormat, UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Kind, Observation

VERSION: Final = "2"
"""Rises with every change in what an adapter reads; kept beside what was set aside."""

Reader = Callable[[bytes, Frame, bytes | None], tuple[Observation, ...]]

SERVICE_DATA: Mapping[str, Reader] = {
    bthome.SERVICE: bthome.read,
    bthome_v1.SERVICE: bthome_v1.read,
    bthome_v1.SERVICE_ENCRYPTED: bthome_v1.read_encrypted,
    dispenser.SERVICE: dispenser.read_advertisement,
}
PLAIN: Mapping[str, Callable[[bytes], tuple[Observation, ...] | None]] = {
    bthome.SERVICE: bthome.read_plain,
}
"""Of those, the ones whose data says the same whoever sends it, as long as it is not encrypted."""
MANUFACTURERS: Mapping[int, Reader] = {
    call_button.COMPANY: call_button.read,
}
CHARACTERISTICS: Mapping[str, Reader] = {
    thermometer.MEASUREMENT: thermometer.read,
    thermometer.INTERMEDIATE: thermometer.read_intermediate,
    battery.LEVEL: battery.read,
    blood_pressure.MEASUREMENT: blood_pressure.read,
    blood_pressure.CUFF: blood_pressure.read_cuff,
    pulse_oximeter.SPOT_CHECK: pulse_oximeter.read,
    pulse_oximeter.CONTINUOUS: pulse_oximeter.read_continuous,
    weight_scale.MEASUREMENT: weight_scale.read,
    body_composition.MEASUREMENT: body_composition.read,
    glucose.MEASUREMENT: glucose.read,
    glucose.CONTEXT: glucose.read_context,
    glucose_monitor.MEASUREMENT: glucose_monitor.read,
    heart_rate.MEASUREMENT: heart_rate.read,
    environment.TEMPERATURE: environment.read_temperature,
    environment.HUMIDITY: environment.read_humidity,
    dispenser.EVENT: dispenser.read_record,
    dispenser.STATUS: dispenser.read_status,
}

FAMILIES: Final = (
    bluemaestro.ADAPTER,
    govee.ADAPTER,
    inkbird.ADAPTER,
    oralb.ADAPTER,
    qingping.ADAPTER,
    ruuvi.ADAPTER,
    sensorpush.ADAPTER,
    thermopro.ADAPTER,
    xiaomi.ADAPTER,
    makers.ADAPTER,  # the last resort
)
"""Vendors' own formats, read as a whole frame, where none of the tables above knows it."""


def _taken() -> Mapping[plugins.Claim, str]:
    """What is read already, and by which adapter."""
    taken: dict[plugins.Claim, str] = {}
    tables = (("data", SERVICE_DATA), ("manufacturers", MANUFACTURERS))
    for where, table in (*tables, ("characteristics", CHARACTERISTICS)):
        for what, reader in table.items():
            taken[where, what] = reader.__module__.removeprefix("adapters.")
    for family in FAMILIES:
        taken |= dict.fromkeys(plugins.claims(family), family.name)
    return taken


_FOUND = plugins.found(_taken())
PLUGINS: Final = tuple(_FOUND.adapters)
"""Adapters that vendors ship, as they were installed when this program started."""
SET_ASIDE: Final[Mapping[str, str]] = _FOUND.aside
"""Plug-ins that are not used, by name, with the reason."""
PLANNED: Final[Mapping[str, Adapter]] = {
    adapter.name: adapter for adapter in (*FAMILIES, *PLUGINS) if adapter.plan is not None
}
"""By the model of their devices: adapters that say how a box connects to them."""


class Asked:
    """Which of some whole-frame adapters may know a frame: one look in a table for each sign."""

    def __init__(self, adapters: Iterable[Adapter]) -> None:
        self._by: dict[plugins.Claim, tuple[Adapter, ...]] = {}
        self._place: dict[str, int] = {}
        for place, adapter in enumerate(adapters):
            self._place[adapter.name] = place
            for claim in plugins.claims(adapter):
                self._by[claim] = (*self._by.get(claim, ()), adapter)

    def candidates(self, frame: Frame) -> list[Adapter]:
        """Each adapter once, in the order in which they were given."""
        if frame.heard != "advertisement":
            return list(self._by.get(("characteristics", frame.uuid or ""), ()))
        signs: list[plugins.Claim] = [
            *(("data", uuid) for uuid in frame.data),
            *(("manufacturers", company) for company in frame.manufacturer),
            *(("services", uuid) for uuid in frame.services),
            ("names", (frame.name or "")[:NAME_LENGTH].lower()),
        ]
        found: dict[str, Adapter] = {}
        for sign in signs:
            found |= {adapter.name: adapter for adapter in self._by.get(sign, ())}
        return sorted(found.values(), key=lambda adapter: self._place[adapter.name])

    def read(self, frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
        """What the first adapter that knows the frame reads.

        Raises UnknownFormat when none knows it, MissingKey, or UnreadableFrame with the part that
        an adapter could read.
        """
        refused: UnreadableFrame | None = None
        for adapter in self.candidates(frame):
            try:
                return adapter.asked(frame, key)
            except MissingKey:
                raise
            except UnreadableFrame as unreadable:
                if unreadable.partial:
                    raise
                if refused is None or isinstance(refused, UnknownFormat):
                    refused = unreadable
        raise refused or UnknownFormat(_unknown(frame))


_ASKED = Asked((*FAMILIES[:-1], *PLUGINS, *FAMILIES[-1:]))


def read(frame: Frame, *, key: bytes | None = None) -> tuple[Observation, ...]:
    """What the frame says. `key` is the device's encryption key, where it has one.

    An advertisement that carries no data says nothing: the answer is empty.
    Raises UnknownFormat when no adapter knows the frame, MissingKey, or UnreadableFrame with the
    part that could be read.
    """
    if frame.heard == "advertisement":
        return _advertisement(frame, key)
    reader = CHARACTERISTICS.get(frame.uuid or "") if frame.heard == "characteristic" else None
    if reader is None:
        return _ASKED.read(frame, key)
    return reader(frame.value, frame, key)


def plain(uuid: str, payload: bytes) -> tuple[Observation, ...] | None:
    """What service data says whoever sends it: what `read` says of a frame with nothing else.

    None where the device or its key matters. Raises as `read` does.
    """
    reader = PLAIN.get(uuid)
    return None if reader is None else reader(payload)


def is_call(frame: Frame) -> bool:
    """Whether somebody pressed: what is not encrypted says so without a key."""
    try:
        observations = read(frame)
    except UnreadableFrame as unreadable:
        observations = unreadable.partial
    return any(observation.kind in _CALLS for observation in observations)


_CALLS = frozenset({Kind.BUTTON, Kind.CALL_PRESSED, Kind.CALL_TEST})


def _advertisement(frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
    parts = _parts(frame)
    if len(parts) == 1:
        reader, payload = parts[0]
        try:
            return reader(payload, frame, key)
        except UnknownFormat:
            # company ids are anybody's: a family may know the frame by its name
            if not _ASKED.candidates(frame):
                raise
            return _ASKED.read(frame, key)
    if not parts and (frame.data or frame.manufacturer):
        return _ASKED.read(frame, key)
    return _together(parts, frame, key)


def _parts(frame: Frame) -> list[tuple[Reader, bytes]]:
    """The parts of an advertisement that an adapter knows, each with its adapter."""
    parts: list[tuple[Reader, bytes]] = []
    for uuid, payload in frame.data.items():
        if (reader := SERVICE_DATA.get(uuid)) is not None:
            parts.append((reader, payload))
    for company, payload in frame.manufacturer.items():
        if (reader := MANUFACTURERS.get(company)) is not None:
            parts.append((reader, payload))
    return parts


def _together(
    parts: list[tuple[Reader, bytes]], frame: Frame, key: bytes | None
) -> tuple[Observation, ...]:
    """Several parts read as one; a part that fails does not take the others with it.

    A part in no format of ours counts only when it stands alone: many devices say something of
    their maker's besides.
    """
    found: list[Observation] = []
    failed: list[UnreadableFrame] = []
    for reader, payload in parts:
        try:
            found += reader(payload, frame, key)
        except UnreadableFrame as unreadable:
            found += unreadable.partial
            failed.append(unreadable)
    grave = [one for one in failed if not isinstance(one, UnknownFormat)]
    if grave or (failed and len(failed) == len(parts)):
        worst = (grave or failed)[0]
        raise type(worst)(str(worst), partial=tuple(found))
    return tuple(found)


def _unknown(frame: Frame) -> str:
    if frame.heard != "advertisement":
        return f"no adapter reads {frame.heard} {frame.uuid}"
    said = [*frame.data, *(f"company {company:04x}" for company in frame.manufacturer)]
    return f"no adapter reads {', '.join(said)}"

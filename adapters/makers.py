"""Thermometers, air monitors and scales of many makers without a library of their own: bleparser.

Among them are thermometers with the ATC firmware, RuuviTags of formats 2 to 4, Sensirion, Relsib,
Switchbot, Air Mentor and Thermoplus. The library is asked last, and only about what no
other adapter reads. It takes advertising structures as they were on the air, which are put together
again here; its parser is made anew for every frame, since it remembers. What it says has no
units: they stand in its documentation and in `WORDS`.
"""

import contextlib
import importlib
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Protocol

from adapters.adapter import Adapter, readable
from adapters.catalogue import CATALOGUE
from adapters.errors import UnknownFormat
from adapters.frame import Frame
from adapters.observation import Kind, Observation, Quality

STANDARD_GRAVITY: Final = 9.80665  # m/s², by definition

WORDS: Final[Mapping[str, tuple[Kind, float, int | None]]] = {
    "acceleration": (Kind.ACCELERATION, STANDARD_GRAVITY / 1000, None),
    "acceleration x": (Kind.ACCELERATION, STANDARD_GRAVITY / 1000, 1),
    "acceleration y": (Kind.ACCELERATION, STANDARD_GRAVITY / 1000, 2),
    "acceleration z": (Kind.ACCELERATION, STANDARD_GRAVITY / 1000, 3),
    "battery": (Kind.BATTERY, 1, None),
    "co2": (Kind.CO2, 1, None),
    "dewpoint": (Kind.DEW_POINT, 1, None),
    "humidity": (Kind.HUMIDITY, 1, None),
    "illuminance": (Kind.ILLUMINANCE, 1, None),
    "impedance": (Kind.IMPEDANCE, 1, None),
    "moisture": (Kind.MOISTURE, 1, None),
    "motion": (Kind.MOTION, 1, None),
    "pm10": (Kind.PM10, 1, None),
    "pm2.5": (Kind.PM2_5, 1, None),
    "pressure": (Kind.PRESSURE, 1, None),
    "pulse": (Kind.HEART_RATE, 1, None),
    "temperature": (Kind.TEMPERATURE, 1, None),
    "tvoc": (Kind.TVOC, 1, None),
    "voltage": (Kind.VOLTAGE, 1, None),
    **{f"temperature probe {place}": (Kind.TEMPERATURE, 1, place) for place in range(1, 7)},
}
"""Their word to our kind, how much of our unit one of theirs is, and probe or axis as `code`."""

_WEIGHT_UNITS: Final = {"kg": 1.0, "lbs": 0.45359237, "jin": 0.5}
_OF_THE_PACKET: Final = frozenset(
    {"mac", "rssi", "packet", "firmware", "type", "data", "weight unit", "status"}
)
_LONGEST: Final = 251  # an advertising structure says its length in a byte, and its type and uuid
_SHORT: Final = 4
_EDDYSTONE: Final = "feaa"
_KKM_LENGTH: Final = 15


class Parser(Protocol):
    """A `bleparser.BleParser`, fresh."""

    def parse_advertisement(  # noqa: PLR0917 - bleparser named its parameters
        self,
        mac: bytes,
        rssi: int,
        uuid16: int | None,
        uuid128: bytes | None,
        name: str,
        service_data: list[bytes],
        manufacturer_data: list[bytes],
    ) -> tuple[Mapping[str, object] | None, object]: ...


def _read(frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
    """Raises UnknownFormat for what the library does not know, or a structure too long for air."""
    del key  # what is encrypted has an adapter of its own
    if len(frame.data.get(_EDDYSTONE, b"")) == _KKM_LENGTH:
        raise UnknownFormat("a KKM sensor: bleparser gives it other temperatures than ble_monitor")
    structures = [*frame.data.values(), *frame.manufacturer.values()]
    if any(len(payload) > _LONGEST for payload in structures):
        raise UnknownFormat(f"longer than the {_LONGEST} bytes of an advertising structure")
    said, _ = _parser()().parse_advertisement(
        _address(frame.device),
        frame.rssi or 0,
        _swapped(frame.services),
        _long(frame.services),
        frame.name or "",
        [
            _structure(0x16, bytes.fromhex(uuid)[::-1] + payload)
            for uuid, payload in frame.data.items()
            if len(uuid) == _SHORT
        ],
        [
            _structure(0xFF, company.to_bytes(2, "little") + payload)
            for company, payload in frame.manufacturer.items()
        ],
    )
    if not said or not said.get("data", True):
        raise UnknownFormat("makers: bleparser reads nothing in it")
    return _observations(said)


def _observations(said: Mapping[str, object]) -> tuple[Observation, ...]:
    found: list[Observation] = []
    rest: dict[str, str] = {}
    for name, value in said.items():
        if name == "weight":
            found += _weight(value, said.get("weight unit", "kg"))
        elif name in WORDS and isinstance(value, int | float):
            kind, factor, code = WORDS[name]
            found.append(_number(kind, value * factor if factor != 1 else float(value), code))
        elif name not in _OF_THE_PACKET and value is not None:
            rest[readable(name.replace(" ", "_"))] = readable(str(value))
    if rest:
        found.append(Observation(Kind.TEXT, details=rest))
    return tuple(found)


def _weight(value: object, unit: object) -> list[Observation]:
    factor = _WEIGHT_UNITS.get(str(unit))
    if factor is None or not isinstance(value, int | float):
        return [Observation(Kind.TEXT, details={"weight": readable(f"{value} {unit}")})]
    return [_number(Kind.BODY_WEIGHT, value * factor, None)]


def _number(kind: Kind, value: float, code: int | None) -> Observation:
    plausible = CATALOGUE[kind].plausible(value)
    quality = Quality.GOOD if plausible else Quality.IMPLAUSIBLE
    return Observation(kind, value, code=code, quality=quality)


def load() -> None:
    """Load the library now; if it does not load, its frames will say why."""
    with contextlib.suppress(Exception):
        _parser()


@lru_cache(maxsize=1)
def _parser() -> Callable[[], Parser]:
    logging.getLogger("bleparser").setLevel(logging.CRITICAL)  # a frame is no event
    return importlib.import_module("bleparser").BleParser


def _structure(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def _address(device: str) -> bytes:
    digits = device.replace(":", "")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return bytes(6)


def _swapped(services: tuple[str, ...]) -> int | None:
    """The first short service, with its bytes in the order in which the library reads them."""
    short = next((uuid for uuid in services if len(uuid) == _SHORT), None)
    return None if short is None else int.from_bytes(bytes.fromhex(short), "little")


def _long(services: tuple[str, ...]) -> bytes | None:
    long = next((uuid for uuid in services if len(uuid) > _SHORT), None)
    return None if long is None else bytes.fromhex(long.replace("-", ""))[::-1]


ADAPTER: Final = Adapter(
    name="makers",
    read=_read,
    data=frozenset({"181a", "aa20", "aa22", "fd3d", "0d00", "feaa", "fee0", "2a6e", "2a6f"}),
    manufacturers=frozenset(
        {0x06E8, 0x06D5, 0x01AE, 0x0499, 0x0133, 0x1000, 0x094F, 0xAA55}
        | {0x2111, 0x2112, 0x2121, 0x2122, 0xACC0}
    ),
    services=frozenset({"fff0"}),
)

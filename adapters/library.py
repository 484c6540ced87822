"""Reads a frame by one of the well-kept decoder libraries, each fenced in.

They are made for a program that hears one device for a long time: they remember. Here a parser is
made anew for every frame, so the same bytes always say the same, whatever was heard before, and
is told a time that never moves. A library is loaded when the first frame of its family comes, or
before by `load`: all of them lead to a Bluetooth stack that is never started here, and cost a
third of a second together and 20 MB.
"""

import contextlib
import importlib
import logging
import zlib
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import Protocol, cast

from adapters.adapter import Adapter
from adapters.errors import MissingKey, UnknownFormat
from adapters.frame import Frame
from adapters.observation import Observation
from adapters.words import Update, observations

_BASE = "-0000-1000-8000-00805f9b34fb"
_SHORT = 4
_PARSERS: list[str] = []
"""Those of all families, noted as each is made."""


class Decoder(Protocol):
    """A `bluetooth_sensor_state_data.BluetoothData`, fresh."""

    def update(self, data: object) -> Update: ...


class Keyed(Decoder, Protocol):
    """One that says afterwards whether the frame was encrypted and whether its key fitted."""

    @property
    def encryption_scheme(self) -> Enum: ...
    @property
    def bindkey_verified(self) -> bool: ...


def family(
    name: str,
    parser: str,
    *,
    data: frozenset[str] = frozenset(),
    manufacturers: frozenset[int] = frozenset(),
    services: frozenset[str] = frozenset(),
    names: frozenset[str] = frozenset(),
    takes_key: bool = False,
) -> Adapter:
    """A family that `parser` ("module:class") reads: a `BluetoothData` of its library."""
    _PARSERS.append(parser)

    def read(frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
        made = _parser(parser)
        decoder = made(bindkey=key) if takes_key else made()
        found = observations(decoder.update(_heard(frame)), _identity(frame))
        if found:
            return found
        if takes_key and _is_closed(cast("Keyed", decoder)):
            raise MissingKey(f"encrypted, and {_no_key(key)}")
        raise UnknownFormat(f"{name}: {parser.partition('.')[0]} reads nothing in it")

    return Adapter(
        name=name,
        read=read,
        data=data,
        manufacturers=manufacturers,
        services=services,
        names=names,
    )


def load() -> None:
    """Load the libraries of all families now; of one that does not load its frames will say why.

    May run in a thread of its own: an import holds up nothing but who needs the same module.
    """
    for path in _PARSERS:
        with contextlib.suppress(Exception):
            _parser(path)
    with contextlib.suppress(Exception):
        _info()


def full(uuid: str) -> str:
    """A UUID in full, as the libraries know it."""
    return f"0000{uuid}{_BASE}" if len(uuid) == _SHORT else uuid


@lru_cache(maxsize=64)
def _parser(path: str) -> Callable[..., Decoder]:
    module, _, name = path.partition(":")
    logging.getLogger(module.partition(".")[0]).setLevel(logging.CRITICAL)  # a frame is no event
    return getattr(importlib.import_module(module), name)


@lru_cache(maxsize=1)
def _info() -> Callable[..., object]:
    return importlib.import_module("habluetooth").BluetoothServiceInfoBleak


def _is_closed(decoder: Keyed) -> bool:
    return decoder.encryption_scheme.value != "none" and not decoder.bindkey_verified


def _heard(frame: Frame) -> object:
    """The frame as the libraries want it; they know no device without a name or strength."""
    return _info()(
        name=frame.name or frame.device,
        address=frame.device,
        rssi=frame.rssi or 0,
        manufacturer_data=dict(frame.manufacturer),
        service_data={full(uuid): payload for uuid, payload in frame.data.items()},
        service_uuids=[full(uuid) for uuid in frame.services],
        source="",
        device=None,
        advertisement=None,
        connectable=False,
        time=0.0,
        tx_power=None,
    )


def _identity(frame: Frame) -> int:
    """A checksum over all that was said: the packet's name where it has no number of its own."""
    said = b"".join(frame.data.values()) + b"".join(frame.manufacturer.values())
    return zlib.crc32(said)


def _no_key(key: bytes | None) -> str:
    return "no key of the device is known" if key is None else "the key does not open it"

"""Which devices to hear and how, as the gateway tells it; read strictly, kept on disk."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from adapters.frame import LANES, Frame, Lane
from edge.fields import BadFields, Fields
from edge.files import write_atomically

FORMAT = 1
"""The version of the configuration that this module reads."""
CONFIG = "config.json"
"""The file's name in the box's home folder."""

_log = logging.getLogger(__name__)
_ADDRESS = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")
_UUID = re.compile(r"[0-9a-f]{4}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAY = 86_400

When = Literal["advertised", "every"]
DeviceClock = Literal["unix32le", "current_time"]
_WHEN: tuple[When, ...] = ("advertised", "every")
_CLOCKS: tuple[DeviceClock, ...] = ("unix32le", "current_time")


class BadConfig(ValueError):
    """Not a configuration. The last good one is followed on; the text says where it is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterLast:
    """Where a value takes the number of the last stored record, and where records have theirs.

    Both are byte offsets of an unsigned 32-bit little-endian number: `offset` in the value that
    is written, `record_offset` in the values that the device notifies. The last record itself is
    asked for again, for its bytes tell whether the device still counts on; 1 when there is none.
    """

    offset: int
    record_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One value to write; `clock` is the time to put behind its bytes."""

    uuid: str
    value: bytes
    clock: DeviceClock | None = None
    after_last: AfterLast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a connection goes: subscribe, write, read, listen for so many seconds, leave.

    `advertised`: when its advertisement has news (other bytes, or the first after ten seconds of
    silence), `seconds` apart at least; `every`: each `seconds`.
    """

    when: When
    seconds: float = 60
    read: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    write: tuple[Write, ...] = ()
    listen_seconds: float = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device placed in this home: its lane, whether its advertisements are kept, its plan."""

    address: str
    lane: Lane
    advertisement: bool
    connect: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The class of our call devices: leading bytes, under a mask, of what they advertise."""

    manufacturer: int | None
    service_data: str | None
    data: bytes
    mask: bytes

    def matches(self, frame: Frame) -> bool:
        said = (
            frame.manufacturer.get(self.manufacturer)
            if self.manufacturer is not None
            else frame.data.get(self.service_data or "")
        )
        if said is None or len(said) < len(self.data):
            return False
        return all(
            (heard ^ want) & mask == 0
            for heard, want, mask in zip(said, self.data, self.mask, strict=False)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of it. Version 0 is a box that has not been told anything: it hears nothing."""

    version: int = 0
    keepalive: int = 60
    devices: Mapping[str, Device] = field(default_factory=dict[str, Device])
    calls: tuple[Call, ...] = ()

    def lane(self, frame: Frame) -> Lane | None:
        """The lane of an advertisement that is to be kept; None for one that is not ours."""
        if any(call.matches(frame) for call in self.calls):
            return "urgent"
        device = self.devices.get(frame.device)
        return device.lane if device is not None and device.advertisement else None


class ConfigFile:
    """The configuration that is followed; a bad one changes nothing but `refused`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.refused: str | None = None
        self.current = self._kept()

    def take(self, payload: bytes) -> Config | None:
        """Follow what the gateway sent; None, with the reason in `refused`, when it is bad."""
        try:
            config = read_config(payload)
        except BadConfig as bad:
            self.refused = str(bad)
            _log.warning(
                "a configuration was refused, version %d stays: %s", self.current.version, bad
            )
            return None
        self.refused = None
        if config != self.current:  # it comes again with every connection: spare the card
            self._keep(payload)
            self.current = config
        return config

    def _keep(self, payload: bytes) -> None:
        try:
            write_atomically(self._path, payload)
        except OSError as full:  # followed all the same: it comes again with every connection
            _log.warning("%s: the configuration could not be kept: %s", self._path, full)

    def _kept(self) -> Config:
        try:
            return read_config(self._path.read_bytes())
        except FileNotFoundError:
            return Config()
        except BadConfig as bad:
            _log.warning("%s: %s; waiting for the gateway's", self._path, bad)
            return Config()


def read_config(payload: bytes) -> Config:
    """Raises BadConfig with the place in the text. Fields that it does not name are left alone."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"not JSON: {error}") from error
    try:
        return _config(Fields(said, "config"))
    except BadFields as bad:
        raise BadConfig(str(bad)) from bad


def _config(top: Fields) -> Config:
    if top.whole("format", 0, 1 << 31) != FORMAT:
        raise top.bad("format", f"only {FORMAT} is known here")
    devices = top.several("devices", _device)
    return Config(
        version=top.whole("version", 0, 1 << 53),
        keepalive=top.whole("keepalive", 5, 120),
        devices={device.address: device for device in devices},
        calls=top.several("calls", _call),
    )


def _device(fields: Fields) -> Device:
    return Device(
        address=fields.text("address", _ADDRESS),
        lane=fields.word("lane", LANES),
        advertisement=fields.yes("advertisement"),
        connect=fields.perhaps("connect", _plan),
    )


def _plan(fields: Fields) -> Plan:
    return Plan(
        when=fields.word("when", _WHEN),
        seconds=fields.number("seconds", 1, _DAY, default=60),
        read=fields.texts("read", _UUID),
        subscribe=fields.texts("subscribe", _UUID),
        write=fields.several("write", _write),
        listen_seconds=fields.number("listen_seconds", 0, 600, default=20),
    )


def _write(fields: Fields) -> Write:
    write = Write(
        uuid=fields.text("uuid", _UUID),
        value=fields.octets("value"),
        clock=fields.word_or_none("clock", _CLOCKS),
        after_last=fields.perhaps("after_last", _after_last),
    )
    if write.after_last is not None and write.after_last.offset > len(write.value):
        raise fields.bad("after_last", "its offset lies behind the end of the value")
    return write


def _after_last(fields: Fields) -> AfterLast:
    return AfterLast(
        offset=fields.whole("offset", 0, 500),
        record_offset=fields.whole("record_offset", 0, 500, default=0),
    )


def _call(fields: Fields) -> Call:
    data, mask = fields.octets("data"), fields.octets("mask")
    by_company = "manufacturer" in fields
    if by_company == ("service_data" in fields):
        raise fields.bad("manufacturer", "either this or service_data")
    if len(data) != len(mask):
        raise fields.bad("mask", "not as long as data")
    return Call(
        manufacturer=fields.whole("manufacturer", 0, 0xFFFF) if by_company else None,
        service_data=None if by_company else fields.text("service_data", _UUID),
        data=data,
        mask=mask,
    )

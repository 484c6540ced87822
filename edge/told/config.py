"""Which devices to hear and how, as the gateway tells it; read strictly, kept on disk."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

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
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
_DAY = 86_400
_LARGEST = 65_536  # bytes: the broker carries no more
_MOST_SAID = 200  # letters of a reason: the gateway keeps no more
ZONE = "Europe/Copenhagen"
"""The zone of a home of which the gateway says none."""
RACP = "2a52"
"""Record Access Control Point (Bluetooth SIG, Assigned Numbers)."""

When = Literal["advertised", "every"]
DeviceClock = Literal["unix32le", "current_time"]
ClockForm = Literal["current_time", "date_time"]
_WHEN: tuple[When, ...] = ("advertised", "every")
_CLOCKS: tuple[DeviceClock, ...] = ("unix32le", "current_time")
_FORMS: tuple[ClockForm, ...] = ("current_time", "date_time")


class BadConfig(ValueError):
    """Not a configuration. The last good one is followed on; the text says where it is wrong.

    It begins with the place, as `config.devices[2].lane: `, and holds nothing of what stands there.
    """


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
class Numbered:
    """Which record has a number: 16 bits, little-endian, at a byte offset of its value.

    What else is notified with the same number at the same place belongs to that record.
    """

    record: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Racp:
    """Stored records that are asked for by the Record Access Control Point of a service.

    Without a number all of them are asked for each time. `quiet_seconds` of silence amid a
    download, or `seconds` of it in all, end it; the rest is asked for at the next visit.
    """

    service: str
    records: tuple[str, ...]
    control: str = RACP
    number: Numbered | None = None
    quiet_seconds: float = 30
    seconds: float = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SetClock:
    """The characteristic of a device's clock, and how the time is written there."""

    uuid: str
    form: ClockForm


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a connection goes.

    In this order: pair, subscribe, stored records, write, read, listen for so many seconds, set
    the device's clock, leave. `quiet_seconds` after the last value the listening ends early; 0
    is never. The clock comes last, so that all records of a visit are of one clock.

    `advertised`: when its advertisement has news (other bytes, or the first after ten seconds of
    silence), `seconds` apart at least; `every`: each `seconds`.
    """

    when: When
    seconds: float = 60
    read: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    write: tuple[Write, ...] = ()
    listen_seconds: float = 20
    quiet_seconds: float = 0
    pair: bool = False
    racp: Racp | None = None
    set_clock: SetClock | None = None

    @property
    def longest(self) -> float:
        """Seconds that a visit takes beyond its single steps, at most."""
        return self.listen_seconds + (0 if self.racp is None else self.racp.seconds)


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
    zone: str = ZONE

    def lane(self, frame: Frame) -> Lane | None:
        """The lane of an advertisement that is to be kept; None for one that is not ours."""
        if any(call.matches(frame) for call in self.calls):
            return "urgent"
        device = self.devices.get(frame.device)
        return device.lane if device is not None and device.advertisement else None


class ConfigFile:
    """The configuration that is followed; a bad one changes nothing but `refused`.

    An empty message is none: somebody took back what the broker had kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.refused: str | None = None
        self.current = self._kept()

    def take(self, payload: bytes) -> Config | None:
        """Follow what the gateway sent; None, with the reason in `refused`, when it is bad."""
        if not payload:
            return None
        try:
            config = read_config(payload)
        except BadConfig as bad:
            self.refused = str(bad)[:_MOST_SAID]
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
        except (BadConfig, OSError) as bad:  # of root, by a run by hand; or the card fails
            _log.warning("%s: %s; waiting for the gateway's", self._path, bad)
            return Config()


def read_config(payload: bytes) -> Config:
    """Raises BadConfig with the place in the text. Fields that it does not name are left alone."""
    if len(payload) > _LARGEST:
        raise BadConfig(f"config: larger than {_LARGEST} bytes")
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"config: not JSON: {_where(error)}") from error
    try:
        return _config(Fields(said, "config"))
    except BadFields as bad:
        raise BadConfig(str(bad)) from bad


def _where(error: Exception) -> str:
    """The place alone: what stands there may be anything."""
    known = isinstance(error, json.JSONDecodeError)
    return f"line {error.lineno}, column {error.colno}" if known else type(error).__name__


def _config(top: Fields) -> Config:
    if top.whole("format", 0, 1 << 31) != FORMAT:
        raise top.bad("format", f"only {FORMAT} is known here")
    devices = top.several("devices", _device)
    return Config(
        version=top.whole("version", 0, 1 << 53),
        keepalive=top.whole("keepalive", 5, 120),
        devices={device.address: device for device in devices},
        calls=top.several("calls", _call),
        zone=_zone(top),
    )


def _zone(top: Fields) -> str:
    """A zone that this box knows; where it knows none at all, every one is let pass."""
    if "zone" not in top:
        return ZONE
    zone = top.text("zone", _ZONE)
    if not is_zone(zone) and is_zone(ZONE):
        raise top.bad("zone", f"no time zone is called {zone}")
    return zone


def is_zone(name: str) -> bool:
    """Whether the system's zone files know this name."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


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
        quiet_seconds=fields.number("quiet_seconds", 0, 120, default=0),
        pair="pair" in fields and fields.yes("pair"),
        racp=fields.perhaps("racp", _racp),
        set_clock=fields.perhaps("set_clock", _set_clock),
    )


def _racp(fields: Fields) -> Racp:
    racp = Racp(
        service=fields.text("service", _UUID),
        records=fields.texts("records", _UUID),
        control=fields.text("control", _UUID) if "control" in fields else RACP,
        number=fields.perhaps("number", _numbered),
        quiet_seconds=fields.number("quiet_seconds", 1, 120, default=30),
        seconds=fields.number("seconds", 5, 3_600, default=300),
    )
    if not racp.records:
        raise fields.bad("records", "is empty: nothing would be downloaded")
    if racp.number is not None and racp.number.record not in racp.records:
        raise fields.bad("number.record", "not one of the records")
    return racp


def _numbered(fields: Fields) -> Numbered:
    return Numbered(
        record=fields.text("record", _UUID),
        offset=fields.whole("offset", 0, 500),
    )


def _set_clock(fields: Fields) -> SetClock:
    return SetClock(uuid=fields.text("uuid", _UUID), form=fields.word("form", _FORMS))


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

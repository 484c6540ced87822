"""Devices over HTTP: registered, listed, and what they observed."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, StringConstraints, TypeAdapter, WithJsonSchema

from adapters.catalogue import CATALOGUE
from adapters.observation import ClockQuality, Kind, Quality
from gateway.api.access import Asking
from gateway.api.desk import Desk, Here
from gateway.api.etags import Matching, stale_problem, tag
from gateway.api.placements import PlacementBody, SetAsideBody, placement_body, set_aside_body
from gateway.api.problems import ALWAYS, Conflict, NotFound, Problem, answers
from gateway.api.texts import Limit, Time
from gateway.reads import devices as reads
from gateway.reads.signal import Signal
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.homes import InTheWay, add_device, change_device, give_key
from gateway.store.looks import looked
from gateway.store.versions import Stale

router = APIRouter(tags=["devices"], responses=ALWAYS)

_DAY = timedelta(days=1)
_MOST_SKIPPED = 1_000_000
_NOT_OURS = Problem(
    HTTPStatus.BAD_REQUEST, "`after` is not a `next` of ours.", kind="not-a-continuation"
)

_EDITED = answers(
    HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED
)
_KINDS = [kind.name.lower() for kind in Kind]
_UNKNOWN = "unknown"


def _kind(name: str) -> str:
    if name not in _KINDS:
        raise ValueError("is not a kind of observation")
    return name


KindName = Annotated[str, AfterValidator(_kind), WithJsonSchema({"type": "string", "enum": _KINDS})]


Key = Annotated[
    str,
    StringConstraints(pattern="^([0-9a-fA-F]{24}|[0-9a-fA-F]{32})$"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^([0-9a-fA-F]{24}|[0-9a-fA-F]{32})$",
            "description": "16 bytes in hexadecimal, or the 12 of an older Xiaomi (MiBeacon 2, 3)",
        }
    ),
]


class NewDevice(BaseModel):
    """`model` chooses how boxes hear the device; `key` is the BLE key."""

    address: Annotated[
        str, StringConstraints(to_upper=True, pattern="^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")
    ]
    model: Annotated[str, StringConstraints(max_length=40, pattern="^[a-z0-9_-]*$")] = ""
    key: Key | None = None


class DeviceChange(BaseModel):
    """The whole of what may be edited: a device with another address is another device."""

    model: Annotated[str, StringConstraints(max_length=40, pattern="^[a-z0-9_-]*$")]


class NewKey(BaseModel):
    """`key` is the BLE key, 16 bytes in hexadecimal or 12."""

    key: Key


class BatteryBody(BaseModel):
    """What was said of the battery last: `percent`, `volts` (V), and whether it is `low`.

    `said` is the hour in which the newest of it came.
    """

    percent: float | None
    volts: float | None
    low: bool
    said: datetime


class DeviceSignal(BaseModel):
    """`heard`: the hour in which the device was heard last, at most 30 days back."""

    heard: datetime
    battery: BatteryBody | None


class DeviceBody(BaseModel):
    """A device; without a placement it lies in the depot. `keyed`: its BLE key is known.

    `version` counts changes of the device and its key, and stands in the ETag too.

    `readable` false: frames of it were set aside lately. An encrypted device without its key
    calls nobody, placed or not.

    `signal` is null where it was not heard since it was placed where it is (or put away), and for
    callers without the right to signals.
    """

    id: UUID
    address: str
    model: str
    keyed: bool
    readable: bool
    set_aside: SetAsideBody | None
    signal: DeviceSignal | None
    placement: PlacementBody | None
    version: int


class DevicesBody(BaseModel):
    """`next` is what to give as `after` for the following ones; null at the end."""

    devices: list[DeviceBody]
    next: UUID | None


@dataclass(slots=True, kw_only=True)
class ObservationBody:
    """`value` in `unit` (UCUM); `clock` says how sure `occurred` is.

    `kind` is `unknown` where a newer version of the gateway stored it.
    """

    occurred: datetime
    received: datetime
    kind: Annotated[str, WithJsonSchema({"type": "string", "enum": [*_KINDS, _UNKNOWN]})]
    value: float | None
    unit: str | None
    code: int | None
    quality: str
    clock: str
    role: str
    room: str


class ObservationsBody(BaseModel):
    """Oldest first. `next` is what to give as `after` for the following ones; null at the end."""

    observations: list[ObservationBody]
    next: str | None


@router.get("/devices")
async def list_devices(
    caller: Asking,
    desk: Here,
    after: Annotated[UUID | None, Query(description="the `next` of the answer before")] = None,
    limit: Limit = 50,
) -> DevicesBody:
    """The devices placed in the caller's districts; for who registers them, the depot's too."""
    now = desk.clock.now()
    async with asking(desk.pool, caller) as db:
        found = await reads.devices(db, caller, after=after, limit=limit + 1, now=now)
        shown = found[:limit]
        seen = [device.placement.citizen for device in shown if device.placement]
        await looked(db, caller, "devices.listed", seen, now)
    return DevicesBody(
        devices=[_device(device) for device in shown],
        next=shown[-1].public if len(found) > limit else None,
    )


@router.post("/devices", status_code=HTTPStatus.CREATED, responses=answers(HTTPStatus.CONFLICT))
async def new_device(caller: Asking, desk: Here, device: NewDevice, answer: Response) -> DeviceBody:
    """A device that is ours from now on, in the depot until it is placed."""
    now = desk.clock.now()
    try:
        public = await add_device(
            desk.pool,
            caller,
            address=device.address,
            model=device.model,
            key=bytes.fromhex(device.key) if device.key else None,
            now=now,
        )
    except InTheWay as refused:
        raise Conflict("in-the-way", str(refused)) from refused
    return await _as_it_is(desk, caller, public, answer)


@router.get("/devices/{public}", responses=answers(HTTPStatus.NOT_FOUND))
async def one_device(public: UUID, caller: Asking, desk: Here, answer: Response) -> DeviceBody:
    """One device: where it is placed, and whether it is understood; and its ETag."""
    now = desk.clock.now()
    async with asking(desk.pool, caller) as db:
        try:
            found = await reads.device(db, caller, public, now)
        except LookupError as error:
            raise NotFound from error
        seen = [found.placement.citizen] if found.placement else []
        await looked(db, caller, "device.seen", seen, now)
    tag(answer, found.version)
    return _device(found)


@router.put("/devices/{public}", responses=_EDITED)
async def edit_device(
    *,
    public: UUID,
    caller: Asking,
    desk: Here,
    matching: Matching,
    wanted: DeviceChange,
    answer: Response,
) -> DeviceBody:
    """Another model: boxes hear the device in another way."""
    try:
        await change_device(
            desk.pool, caller, public, wanted.model, desk.clock.now(), versions=matching
        )
        return await _as_it_is(desk, caller, public, answer)
    except LookupError as error:
        raise NotFound from error
    except Stale as stale:
        raise stale_problem() from stale


@router.put("/devices/{public}/key", responses=_EDITED)
async def new_key(
    *,
    public: UUID,
    caller: Asking,
    desk: Here,
    matching: Matching,
    wanted: NewKey,
    answer: Response,
) -> DeviceBody:
    """The device's BLE key, the first or another one, for what comes from now on.

    What was heard before is kept and read by the command `gateway reread --device ADDRESS`.
    """
    now, key = desk.clock.now(), bytes.fromhex(wanted.key)
    try:
        await give_key(desk.pool, caller, public, key, now, versions=matching)
        return await _as_it_is(desk, caller, public, answer)
    except LookupError as error:
        raise NotFound from error
    except Stale as stale:
        raise stale_problem() from stale


@router.get("/devices/{public}/observations", responses=answers(HTTPStatus.NOT_FOUND))
async def list_observations(
    *,
    public: UUID,
    caller: Asking,
    desk: Here,
    since: Annotated[Time | None, Query(alias="from", description="24 h before `to`")] = None,
    until: Annotated[Time | None, Query(alias="to", description="excluded; now")] = None,
    kind: Annotated[list[KindName] | None, Query(max_length=50)] = None,
    after: Annotated[
        str | None, Query(max_length=100, description="the `next` of the answer before")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> ObservationsBody:
    """What the device observed while it was placed with the caller's citizens, oldest first."""
    until = until or desk.clock.now()
    since = since or until - _DAY
    start, skip = _position(after) if after else (since, 0)
    async with asking(desk.pool, caller) as db:
        try:
            found = await reads.observations(
                db,
                caller,
                public,
                since=max(start, since),
                until=until,
                kinds=[Kind[name.upper()] for name in kind] if kind else None,
                limit=limit + 1,
                skip=skip,
            )
        except LookupError as error:
            raise NotFound from error
        shown = found[:limit]
        seen = [one.citizen for one in shown]
        await looked(db, caller, "observations.seen", seen, desk.clock.now())
    more = _continuation(shown, start, skip) if len(found) > limit else None
    return ObservationsBody(observations=[observation_body(one) for one in shown], next=more)


async def _as_it_is(desk: Desk, caller: Caller, public: UUID, answer: Response) -> DeviceBody:
    async with asking(desk.pool, caller) as db:
        found = await reads.device(db, caller, public, desk.clock.now())
    tag(answer, found.version)
    return _device(found)


def _continuation(shown: list[reads.Observed], start: datetime, skip: int) -> str:
    """Where to go on: the last time given, and how many of that time have been given."""
    last = shown[-1].occurred
    given = sum(one.occurred == last for one in shown) + (skip if last == start else 0)
    return base64.urlsafe_b64encode(f"{last.isoformat()} {given}".encode()).decode()


def _position(after: str) -> tuple[datetime, int]:
    try:
        at, skip = base64.urlsafe_b64decode(after).decode().split(" ")
        start, given = TypeAdapter(Time).validate_python(at), int(skip)
    except ValueError as error:
        raise _NOT_OURS from error
    if not 0 <= given <= _MOST_SKIPPED:
        raise _NOT_OURS
    return start, given


def _device(device: reads.Device) -> DeviceBody:
    return DeviceBody(
        id=device.public,
        address=device.address,
        model=device.model,
        keyed=device.keyed,
        readable=device.set_aside is None,
        set_aside=set_aside_body(device.set_aside),
        signal=device.signal and _signal(device.signal),
        placement=device.placement and placement_body(device.placement),
        version=device.version,
    )


def _signal(signal: Signal) -> DeviceSignal:
    battery = signal.battery
    return DeviceSignal(heard=signal.heard, battery=battery and BatteryBody(**asdict(battery)))


def observation_body(one: reads.Observed) -> ObservationBody:
    return ObservationBody(
        occurred=one.occurred,
        received=one.received,
        kind=_KIND_NAMES.get(one.kind, _UNKNOWN),
        value=one.value,
        unit=_UNITS.get(one.kind),
        code=one.code,
        quality=_QUALITIES.get(one.quality, _UNKNOWN),
        clock=_CLOCKS.get(one.clock, _UNKNOWN),
        role=one.role,
        room=one.room,
    )


# A day of a device has hundreds of rows: what a number means is looked up, not worked out.
_KIND_NAMES: Mapping[int, str] = {kind: kind.name.lower() for kind in Kind}
_UNITS: Mapping[int, str | None] = {kind: CATALOGUE[kind].unit for kind in Kind}
_QUALITIES: Mapping[int, str] = {quality: quality.name.lower() for quality in Quality}
_CLOCKS: Mapping[int, str] = {clock: clock.name.lower() for clock in ClockQuality}

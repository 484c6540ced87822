"""The devices a caller may see and where they are placed, and what they observed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from gateway.reads.signal import Signal, signals
from gateway.store.caller import Caller
from gateway.store.pool import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A dose; `at` is local time, the others minutes."""

    slot: int
    at: time
    window_minutes: int
    grace_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DosePlan:
    """The newest version of a placement's dose plan."""

    version: int
    zone: str
    valid_from: datetime
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a device is or was. `citizen_name` is None for callers who work with ids.

    `legal_basis` is a word of gateway/store/register/lines.py; None: placed before it was asked.
    """

    id: int
    public: UUID
    device: UUID
    citizen: int
    citizen_public: UUID
    citizen_name: str | None
    role: str
    room: str
    legal_basis: str | None
    since: datetime
    until: datetime | None
    version: int
    plan: DosePlan | None = None


LATELY = timedelta(hours=24)
"""How long frames that could not be read speak against a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Frames of a device that were not understood lately; `reason` is the last one's."""

    count: int
    last: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of the municipality, in the depot when it has no placement.

    `set_aside` counts since its key was given, at most back to LATELY. `signal` is None where it
    was not heard, and for who may not see that.
    """

    public: UUID
    address: str
    model: str
    keyed: bool
    set_aside: SetAside | None
    signal: Signal | None
    placement: Placement | None
    version: int


class Observed(NamedTuple):
    """One observation; kind, quality and clock are the numbers of `adapters.observation`.

    The fields are the columns of `_OBSERVED` in their order: a row becomes one as it is.
    """

    occurred: datetime
    received: datetime
    kind: int
    value: float | None
    code: int | None
    quality: int
    clock: int
    role: str
    room: str
    citizen: int


_DEVICES = """
    SELECT d.id, d.public, d.address, d.model, d.version, s.device IS NOT NULL AS keyed,
           a.count, a.last, a.reason
    FROM device d
    LEFT JOIN device_secret s ON s.municipality = d.municipality AND s.device = d.id
    LEFT JOIN LATERAL (
        SELECT count(*) AS count, max(q.last_at) AS last,
               (array_agg(q.reason ORDER BY q.last_at DESC))[1] AS reason
        FROM quarantine q
        WHERE q.municipality = d.municipality AND q.device = d.address AND q.sequence IS NOT NULL
          AND q.state = 'aside'
          AND q.reason IN ('missing_key', 'sealed_key', 'unreadable')
          AND q.last_at > GREATEST($4, s.given)
        ) a ON true
    LEFT JOIN placement p ON p.municipality = d.municipality AND p.device = d.id AND p."to" IS NULL
    WHERE d.municipality = $1 AND (p.id IS NOT NULL OR ($2 AND NOT is_placed(d.id)))
      AND ($3::uuid IS NULL OR {which} $3)
    ORDER BY d.public LIMIT $5
"""
_PLACEMENT = """
    SELECT p.id, p.public, d.public AS device, p.citizen, c.public AS citizen_public,
           CASE WHEN $2 THEN i.name END AS citizen_name,
           p.role, p.room, p.legal_basis, p."from" AS since, p."to" AS until,
           p.version + COALESCE((SELECT max(v.version) FROM dose_plan v
                                 WHERE v.municipality = p.municipality AND v.placement = p.id), 0)
               AS version
    FROM placement p
    JOIN device d ON d.municipality = p.municipality AND d.id = p.device
    JOIN citizen c ON c.municipality = p.municipality AND c.id = p.citizen
    LEFT JOIN identity.citizen i ON i.municipality = c.municipality AND i.citizen = c.id
    WHERE p.municipality = $1
"""
_PRESENT = f"""{_PLACEMENT} AND p."to" IS NULL AND d.public = ANY ($3::uuid[])"""
_ONE = f"{_PLACEMENT} AND p.public = $3"
_SLOTS = """
    SELECT v.placement, v.version, v.zone, v.valid_from,
           s.slot, s.at, s.window_minutes, s.grace_minutes
    FROM (SELECT DISTINCT ON (placement) * FROM dose_plan
          WHERE municipality = $1 AND placement = ANY ($2::integer[])
          ORDER BY placement, version DESC) v
    LEFT JOIN dose_plan_slot s ON s.municipality = v.municipality AND s.plan = v.id
    ORDER BY v.placement, s.at, s.slot
"""
_DEVICE = """
    SELECT d.id FROM device d
    WHERE d.municipality = $1 AND d.public = $2
      AND EXISTS (SELECT FROM placement p
                  WHERE p.municipality = d.municipality AND p.device = d.id)
"""
_OBSERVED = """
    SELECT o.occurred, o.received, o.kind, o.value, o.code, o.quality, o.clock, o.role, o.room,
           o.citizen
    FROM placed_observation o
    WHERE o.municipality = $1 AND o.device = $2 AND o.occurred >= $3 AND o.occurred < $4
      AND ($5::smallint[] IS NULL OR o.kind = ANY ($5))
    ORDER BY o.occurred, o.kind, o.code, o.value, o.received LIMIT $6 OFFSET $7
"""


async def devices(
    db: Connection, caller: Caller, *, after: UUID | None, limit: int, now: datetime
) -> list[Device]:
    """At most `limit` devices in the order of their ids, those after `after`."""
    return await _devices(db, caller, "d.public >", public=after, limit=limit, now=now)


async def device(db: Connection, caller: Caller, public: UUID, now: datetime) -> Device:
    """One device. Raises LookupError when it is not there for this caller."""
    found = await _devices(db, caller, "d.public =", public=public, limit=1, now=now)
    if not found:
        raise LookupError(str(public))
    return found[0]


async def _devices(
    db: Connection, caller: Caller, which: str, *, public: UUID | None, limit: int, now: datetime
) -> list[Device]:
    depot, lately = caller.may("device", "all"), now - LATELY
    query = _DEVICES.format(which=which)
    rows = await db.fetch(query, caller.municipality, depot, public, lately, limit)
    present = await db.fetch(
        _PRESENT,
        caller.municipality,
        caller.sees_names,
        [row["public"] for row in rows],
    )
    placed = {one.device: one for one in await _whole(db, caller, present)}
    heard = await signals(db, caller, [row["id"] for row in rows])
    return [_device(row, placed.get(row["public"]), heard.get(row["id"])) for row in rows]


def _device(row: Row, placement: Placement | None, signal: Signal | None) -> Device:
    aside = SetAside(count=row["count"], last=row["last"], reason=row["reason"])
    return Device(
        public=row["public"],
        address=row["address"],
        model=row["model"],
        keyed=row["keyed"],
        set_aside=aside if row["count"] else None,
        signal=signal,
        placement=placement,
        version=row["version"],
    )


async def placement(db: Connection, caller: Caller, public: UUID) -> Placement:
    """One placement, present or past. Raises LookupError when it is not there for this caller."""
    rows = await db.fetch(_ONE, caller.municipality, caller.sees_names, public)
    if not rows:
        raise LookupError(str(public))
    return (await _whole(db, caller, rows))[0]


async def _whole(db: Connection, caller: Caller, rows: Sequence[Row]) -> list[Placement]:
    ids = [row["id"] for row in rows]
    slots = await db.fetch(_SLOTS, caller.municipality, ids)
    planned = {number: list(same) for number, same in groupby(slots, lambda row: row["placement"])}
    return [_placement(caller, row, _plan(planned.get(row["id"], ()))) for row in rows]


def _placement(caller: Caller, row: Row, plan: DosePlan | None) -> Placement:
    name = caller.opens(row["citizen_name"], "citizen", row["citizen"], "name")
    return replace(Placement(**dict(row), plan=plan), citizen_name=name)


def _plan(rows: Sequence[Row]) -> DosePlan | None:
    if not rows:
        return None
    first = rows[0]
    slots = tuple(
        Slot(
            slot=row["slot"],
            at=row["at"],
            window_minutes=row["window_minutes"],
            grace_minutes=row["grace_minutes"],
        )
        for row in rows
        if row["slot"] is not None
    )
    return DosePlan(
        version=first["version"], zone=first["zone"], valid_from=first["valid_from"], slots=slots
    )


async def observations(
    db: Connection,
    caller: Caller,
    device: UUID,
    *,
    since: datetime,
    until: datetime,
    kinds: list[int] | None,
    limit: int,
    skip: int = 0,
) -> list[Observed]:
    """What the device observed in [since, until) for citizens of this caller, oldest first.

    `skip` leaves out that many of the first: a continuation goes on at the last time given.
    Raises LookupError when the device never spoke for any of the caller's citizens.
    """
    number = await db.fetchval(_DEVICE, caller.municipality, device)
    if number is None:
        raise LookupError(str(device))
    rows = await db.fetch(
        _OBSERVED,
        caller.municipality,
        number,
        since,
        until,
        kinds,
        limit,
        skip,
    )
    return [Observed._make(row) for row in rows]

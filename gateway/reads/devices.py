"""The devices a caller may see and where they are placed, and what they observed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.store.caller import Caller
from gateway.store.pool import Connection, Pool, Row

_DEPOT = frozenset({"planner", "technician", "administrator", "robot"})
"""The roles that see devices which are not placed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A dose of the plan that holds now; `at` is local time, the others minutes."""

    slot: int
    at: str
    window_minutes: int
    grace_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a device is now. `citizen_name` is None for callers who work with ids."""

    public: UUID
    citizen: int
    citizen_public: UUID
    citizen_name: str | None
    role: str
    room: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of the municipality, in the depot when it has no placement."""

    public: UUID
    address: str
    model: str
    placement: Placement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One observation; kind, quality and clock are the numbers of `adapters.observation`."""

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
    SELECT d.public, d.address, d.model, p.public AS placement, p.citizen, p.role, p.room,
           p."from" AS since, c.public AS citizen_public,
           CASE WHEN $3 THEN i.name END AS citizen_name
    FROM device d
    LEFT JOIN placement p ON p.municipality = d.municipality AND p.device = d.id AND p."to" IS NULL
    LEFT JOIN citizen c ON c.municipality = p.municipality AND c.id = p.citizen
    LEFT JOIN identity.citizen i ON i.municipality = c.municipality AND i.citizen = c.id
    WHERE d.municipality = $1
      AND (($2::integer[] IS NULL AND c.id IS NOT NULL) OR c.district = ANY ($2)
           OR ($4 AND c.id IS NULL))
      AND ($5::uuid IS NULL OR d.public > $5)
    ORDER BY d.public LIMIT $6
"""
_DEVICE = """
    SELECT d.id FROM device d
    WHERE d.municipality = $1 AND d.public = $3
      AND EXISTS (SELECT FROM placement p
                  JOIN citizen c ON c.municipality = p.municipality AND c.id = p.citizen
                  WHERE p.municipality = d.municipality AND p.device = d.id
                    AND ($2::integer[] IS NULL OR c.district = ANY ($2)))
"""
_OBSERVED = """
    SELECT o.occurred, o.received, o.kind, o.value, o.code, o.quality, o.clock, o.role, o.room,
           o.citizen
    FROM placed_observation o
    JOIN citizen c ON c.municipality = o.municipality AND c.id = o.citizen
    WHERE o.municipality = $1 AND ($2::integer[] IS NULL OR c.district = ANY ($2))
      AND o.device = $3 AND o.occurred >= $4 AND o.occurred < $5
      AND ($6::smallint[] IS NULL OR o.kind = ANY ($6))
    ORDER BY o.occurred, o.kind, o.code, o.value, o.received LIMIT $7 OFFSET $8
"""


async def devices(
    db: Pool | Connection, caller: Caller, *, after: UUID | None, limit: int
) -> list[Device]:
    """At most `limit` devices in the order of their ids, those after `after`."""
    rows = await db.fetch(
        _DEVICES,
        caller.municipality,
        caller.within,
        caller.sees_names,
        caller.role in _DEPOT,
        after,
        limit,
    )
    return [_device(row) for row in rows]


async def observations(
    db: Pool | Connection,
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
    number = await db.fetchval(_DEVICE, caller.municipality, caller.within, device)
    if number is None:
        raise LookupError(str(device))
    rows = await db.fetch(
        _OBSERVED,
        caller.municipality,
        caller.within,
        number,
        since,
        until,
        kinds,
        limit,
        skip,
    )
    return [Observed(**dict(row)) for row in rows]


def _device(row: Row) -> Device:
    found: Mapping[str, Any] = row
    return Device(
        public=found["public"],
        address=found["address"],
        model=found["model"],
        placement=None if found["placement"] is None else _placement(row),
    )


def _placement(row: Row) -> Placement:
    return Placement(
        public=row["placement"],
        citizen=row["citizen"],
        citizen_public=row["citizen_public"],
        citizen_name=row["citizen_name"],
        role=row["role"],
        room=row["room"],
        since=row["since"],
    )

"""What ingest must know of boxes and devices: whose they are, from when to when, which key."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from gateway.store import copy
from gateway.store.device_keys import DeviceKeys
from gateway.store.pool import Connection, Pool, Row

_START = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)

Address: TypeAlias = tuple[int, str]
"""A device by its municipality and its radio address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A box, and the citizens of the home it stands in."""

    municipality: int
    id: int
    name: str
    citizens: frozenset[int]
    zone: str | None = None
    """The home's IANA time zone."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A placement: from (included) to (excluded)."""

    citizen: int
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A walk test that this device is under: times in milliseconds since 1970, `until` excluded."""

    municipality: int
    test: int
    placement: int
    since: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of ours, placed or in the depot.

    `shut`: it has a key, which does not open; `key` is then one that fits nothing. `trials` are
    the walk tests that run.
    """

    id: int
    key: bytes | None
    stays: tuple[Stay, ...]
    shut: bool = False
    trials: tuple[Trial, ...] = ()
    head: bytes = field(init=False)
    """How each of its rows begins."""
    _spans: tuple[tuple[int, float, int], ...] = field(init=False)
    """The placements in milliseconds since 1970."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "head", copy.device(self.id))
        object.__setattr__(self, "_spans", tuple(_span(stay) for stay in self.stays))

    def citizen(self, at: int) -> int | None:
        """Whom it spoke for at that time (milliseconds since 1970); None when it was not placed."""
        for since, until, whose in self._spans:
            if since <= at < until:
                return whose
        return None


def citizen(stays: Iterable[Stay], at: datetime) -> int | None:
    """For whom a device with these placements spoke at that time; None when it was not placed."""
    for stay in stays:
        if stay.since <= at and (stay.until is None or at < stay.until):
            return stay.citizen
    return None


def _span(stay: Stay) -> tuple[int, float, int]:
    until = math.inf if stay.until is None else _milliseconds(stay.until)
    return _milliseconds(stay.since), until, stay.citizen


def _milliseconds(moment: datetime) -> int:
    """Rounded up: whole milliseconds are then before and after the same as the moment itself."""
    return -((_START - moment) // _MILLISECOND)


_EDGES = """
    SELECT e.municipality, e.id, e.name, min(h.zone) AS zone,
           COALESCE(array_agg(c.id) FILTER (WHERE c.id IS NOT NULL), '{}') AS citizens
    FROM edge e
    LEFT JOIN home h ON h.municipality = e.municipality AND h.id = e.home
    LEFT JOIN citizen c ON c.municipality = e.municipality AND c.home = e.home
    WHERE e.name = ANY ($1)
    GROUP BY e.municipality, e.id
"""
_DEVICES = """
    SELECT d.municipality, d.id, d.address, s.key
    FROM unnest($1::integer[], $2::text[]) AS w (municipality, address)
    JOIN device d ON d.municipality = w.municipality AND d.address = w.address
    LEFT JOIN device_secret s ON s.municipality = d.municipality AND s.device = d.id
"""
_STAYS = """
    SELECT p.device, p.citizen, p."from", p."to"
    FROM unnest($1::integer[], $2::integer[]) AS w (municipality, device)
    JOIN placement p ON p.municipality = w.municipality AND p.device = w.device
    ORDER BY p."from" DESC
"""
# Few tests run at a time: the index of those is where this begins.
_TRIALS = """
    SELECT p.device, t.municipality, t.id, p.id AS placement, t.started, t.until
    FROM walk_test t
    JOIN walk_device d ON d.municipality = t.municipality AND d.test = t.id
    JOIN placement p ON p.municipality = d.municipality AND p.id = d.placement
    JOIN unnest($1::integer[], $2::integer[]) AS w (municipality, device)
        ON w.municipality = p.municipality AND w.device = p.device
    WHERE t.ended IS NULL
"""


_LOCK = """
    SELECT d.id
    FROM unnest($1::integer[], $2::integer[]) AS w (municipality, device)
    JOIN device d ON d.municipality = w.municipality AND d.id = w.device
    ORDER BY d.municipality, d.id
    FOR SHARE OF d
"""


async def edges(db: Connection | Pool, names: Collection[str]) -> dict[str, Edge]:
    """Those of the boxes that exist."""
    rows = await db.fetch(_EDGES, list(names))
    return {row["name"]: _edge(row) for row in rows}


async def devices(
    db: Connection | Pool, addresses: Collection[Address], keys: DeviceKeys
) -> dict[Address, Device]:
    """Those of the devices that are ours."""
    asked = [list(column) for column in zip(*addresses, strict=True)]
    rows = await db.fetch(_DEVICES, *asked)
    ours = [row["municipality"] for row in rows], [row["id"] for row in rows]
    placed = _by_device(await db.fetch(_STAYS, *ours))
    tried = _trials(await db.fetch(_TRIALS, *ours))
    return {
        (row["municipality"], row["address"]): _device(
            row, placed[row["id"]], tried[row["id"]], keys
        )
        for row in rows
    }


def _device(row: Row, stays: Iterable[Stay], trials: Iterable[Trial], keys: DeviceKeys) -> Device:
    key = keys.open(row["municipality"], row["id"], row["key"])
    return Device(
        id=row["id"],
        key=key,
        stays=tuple(stays),
        shut=key == keys.none_fits,
        trials=tuple(trials),
    )


def _trials(rows: Iterable[Row]) -> defaultdict[int, list[Trial]]:
    tried = defaultdict[int, list[Trial]](list)
    for device, municipality, test, placement, started, until in rows:
        span = _milliseconds(started), _milliseconds(until)
        tried[device].append(Trial(municipality, test, placement, *span))
    return tried


async def stays(
    db: Connection, devices: Collection[tuple[int, int]]
) -> Mapping[int, Sequence[Stay]]:
    """The placements of devices (municipality, number), fixed until this transaction has ended.

    Who places a device locks its row too. A statement of its own reads them: it sees what was
    committed while the lock was waited for.
    """
    asked = [list(column) for column in zip(*devices, strict=True)]
    await db.execute(_LOCK, *asked)
    return _by_device(await db.fetch(_STAYS, *asked))


def _edge(row: Row) -> Edge:
    return Edge(
        municipality=row["municipality"],
        id=row["id"],
        name=row["name"],
        citizens=frozenset(row["citizens"]),
        zone=row["zone"],
    )


def _by_device(rows: Iterable[Row]) -> defaultdict[int, list[Stay]]:
    """Newest first, for that is the one asked for."""
    placed = defaultdict[int, list[Stay]](list)
    for row in rows:
        placed[row["device"]].append(Stay(row["citizen"], row["from"], row["to"]))
    return placed

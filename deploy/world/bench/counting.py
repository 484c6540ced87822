"""Compares what the sender says that it sent with what the database holds, and what watch found."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from deploy.world.bench.copying import Connection, connected
from deploy.world.bench.homes import CALL, SLOTS, address, edge_name
from deploy.world.bench.load import KINDS, Shape, stream_of
from deploy.world.bench.sending import Sent

_WIDTH = 1 + len(KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must be there: frames by stream, observations by device and kind, presses by box."""

    frames: Mapping[UUID, int]
    observations: Counter[tuple[str, int]]
    presses: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many observations are stored, and where that differs from what was sent.

    `lost` are observations and frames of the ledger that are missing, whichever are more;
    `duplicated` what is there more often than it was sent.
    """

    stored: int
    lost: int
    duplicated: int
    findings: int
    findings_missing: int
    findings_surplus: int


def expected(loads: Iterable[tuple[Shape, Sent]]) -> Expected:
    """Add up all loads of a run."""
    frames: dict[UUID, int] = {}
    observations: Counter[tuple[str, int]] = Counter()
    presses: Counter[str] = Counter()
    for shape, sent in loads:
        frames |= {stream_of(shape, home): count for home, count in sent.frames.items() if count}
        for home, tally in sent.tallies.items():
            presses[edge_name(home)] += tally[CALL * _WIDTH]
            _add(observations, home, tally)
    return Expected(frames=frames, observations=observations, presses=presses)


def with_presses(
    wanted: Expected,
    pressed: Iterable[int],
    kept: Mapping[int, "array[int]"],
) -> Expected:
    """The same and the presses of real boxes, by home, with what they had kept before."""
    observations, presses = Counter(wanted.observations), Counter(wanted.presses)
    for home in pressed:
        observations[address(home, CALL), int(SLOTS[CALL].kind)] += 1
        presses[edge_name(home)] += 1
    for home, tally in kept.items():
        _add(observations, home, tally)
    return Expected(frames=wanted.frames, observations=observations, presses=presses)


def _add(observations: Counter[tuple[str, int]], home: int, tally: "array[int]") -> None:
    for slot, about in enumerate(SLOTS):
        device = address(home, slot)
        for place, kind in enumerate((about.kind, *KINDS)):
            if said := tally[slot * _WIDTH + place]:
                observations[device, int(kind)] += said


async def count(dsn: str, wanted: Expected) -> Count:
    """Look at the database as its owner. Other homes' rows than these are left out."""
    async with connected(dsn) as db:
        stored = await _stored(db, {device for device, _ in wanted.observations})
        short, over = await _ledger(db, wanted.frames)
        found = await _found(db, set(wanted.presses))
    missing, surplus = wanted.observations - stored, stored - wanted.observations
    return Count(
        stored=stored.total(),
        lost=max(missing.total(), short),
        duplicated=max(surplus.total(), over),
        findings=found.total(),
        findings_missing=(wanted.presses - found).total(),
        findings_surplus=(found - wanted.presses).total(),
    )


async def _stored(db: Connection, devices: set[str]) -> Counter[tuple[str, int]]:
    rows = await db.fetch(
        """
        SELECT d.address, o.kind, o.times
        FROM (SELECT device, kind, count(*) AS times FROM observation GROUP BY 1, 2) o
        JOIN device d ON d.id = o.device
        WHERE d.address = ANY ($1)
        """,
        list(devices),
    )
    return Counter({(row["address"], row["kind"]): row["times"] for row in rows})


async def _ledger(db: Connection, frames: Mapping[UUID, int]) -> tuple[int, int]:
    """How many numbers of the streams the ledger does not have, and how many it has besides."""
    rows = await db.fetch(
        """
        SELECT w.uuid, coalesce(sum(upper(r) - lower(r)), 0)::bigint AS received,
               coalesce(sum(upper(r * w.range) - lower(r * w.range)), 0)::bigint AS right
        FROM (SELECT uuid, int8range(1, frames + 1) AS range
              FROM unnest($1::uuid[], $2::bigint[]) AS u (uuid, frames)) w
        LEFT JOIN stream s ON s.uuid = w.uuid
        LEFT JOIN LATERAL unnest(s.received) r ON true
        GROUP BY w.uuid
        """,
        list(frames),
        list(frames.values()),
    )
    right = sum(row["right"] for row in rows)
    return sum(frames.values()) - right, sum(row["received"] for row in rows) - right


async def _found(db: Connection, edges: set[str]) -> Counter[str]:
    """Presses that watch has found, by box; the ones withdrawn again are none."""
    rows = await db.fetch(
        """
        SELECT e.name, count(*) AS times
        FROM finding f
        JOIN citizen c ON c.municipality = f.municipality AND c.id = f.citizen
        JOIN edge e ON e.municipality = c.municipality AND e.home = c.home
        WHERE f.rule = 'call_pressed' AND f.state <> 'withdrawn' AND e.name = ANY ($1)
        GROUP BY e.name
        """,
        list(edges),
    )
    return Counter({row["name"]: row["times"] for row in rows})


@dataclass(frozen=True, slots=True)
class Progress:
    """Frames in the ledger and frames that are judged, of some streams; batches still to judge."""

    received: int
    watched: int
    pending: int


async def progress(db: Connection, streams: Sequence[UUID]) -> Progress:
    """How far ingest and watch are with these streams, however many others there are.

    A sum over all of them takes seconds where there are millions, on the cores that are measured.
    """
    row = await db.fetchrow(
        """
        WITH ours AS (
            SELECT municipality, id, received FROM stream WHERE uuid = ANY ($1::uuid[])
        )
        SELECT (SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint
                FROM ours, unnest(received) r) AS received,
               (SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint
                FROM ours o
                JOIN watched w ON w.municipality = o.municipality AND w.stream = o.id,
                     unnest(w.watched) r) AS watched,
               (SELECT count(*) FROM pending) AS pending
        """,
        streams,
    )
    if row is None:
        raise RuntimeError("a SELECT without FROM gives one row")
    return Progress(row["received"], row["watched"], row["pending"])

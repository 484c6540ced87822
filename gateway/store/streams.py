"""The ledger: which sequence numbers of which stream are stored. Twice is once because of it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gateway.store.pool import Connection, Pool, Row, ranges
from gateway.store.ranges import Range, text


@dataclass(frozen=True, slots=True)
class StreamKey:
    """One stream as a box names it; the lane is the session's.

    Two boxes may name the same one: a box that has joined anew under another id still sends the
    streams that its card kept.
    """

    municipality: int
    edge: int
    uuid: UUID


@dataclass(slots=True, kw_only=True)
class Stream:
    """One row of the ledger, locked. `gone` holds what this transaction adds to it."""

    key: StreamKey
    id: int
    received: list[Range]
    gone: list[Range] = field(default_factory=list[Range])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A range of a stream that is stored and not yet judged."""

    municipality: int
    stream: int
    range: Range
    batch: int
    earliest: datetime
    latest: datetime
    citizens: Collection[int]


# NO KEY: watch's own row of the stream refers to this one, and must not wait for it.
_LOCK = """
    SELECT s.municipality, w.edge, s.uuid, s.id, s.received
    FROM unnest($1::integer[], $2::integer[], $3::uuid[]) AS w (municipality, edge, uuid)
    JOIN stream s ON s.uuid = w.uuid AND s.lane = $4 AND s.municipality = w.municipality
    JOIN edge e ON e.municipality = w.municipality AND e.id = w.edge
    JOIN edge b ON b.municipality = s.municipality AND b.id = s.edge
    WHERE b.id = e.id OR b.home = e.home OR b.home IS NULL
    ORDER BY s.id
    FOR NO KEY UPDATE OF s
"""
_BEGIN = """
    INSERT INTO stream (municipality, edge, uuid, lane)
    SELECT w.*, $4
    FROM unnest($1::integer[], $2::integer[], $3::uuid[]) AS w (municipality, edge, uuid)
    ORDER BY w.uuid, w.municipality, w.edge
    ON CONFLICT (uuid, lane) DO NOTHING
"""
_ADVANCE = """
    WITH advanced AS (
        UPDATE stream s
        SET received = w.received::int8multirange, gone = s.gone + w.gone::int8multirange
        FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::text[])
            AS w (municipality, id, received, gone)
        WHERE s.municipality = w.municipality AND s.id = w.id
    )
    INSERT INTO pending (lane, municipality, stream, range, batch, earliest, latest, citizens)
    SELECT $5, w.municipality, w.stream, int8range(w.first, w.last, '[]'), w.batch,
           w.earliest, w.latest, w.citizens::integer[]
    FROM unnest($6::integer[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
                $11::timestamptz[], $12::timestamptz[], $13::text[])
        AS w (municipality, stream, first, last, batch, earliest, latest, citizens)
"""


async def lock(db: Connection, lane: str, keys: Collection[StreamKey]) -> dict[StreamKey, Stream]:
    """Lock the ledger's rows in ascending id, beginning those that are new.

    Of one stream that two boxes name there is one Stream. Left out is what the box of another
    home or municipality has begun: nobody fills another's ledger.
    """
    locked = _streams(await db.fetch(_LOCK, *_columns(keys), lane))
    if missing := [key for key in keys if key not in locked]:
        await db.execute(_BEGIN, *_columns(missing), lane)
        locked = _streams(await db.fetch(_LOCK, *_columns(keys), lane))
    return locked


async def advance(
    db: Connection, lane: str, streams: Sequence[Stream], pending: Sequence[Pending]
) -> None:
    """Write the ledger and what is now left to judge, and wake watch."""
    await db.execute(
        _ADVANCE,
        [stream.key.municipality for stream in streams],
        [stream.id for stream in streams],
        [text(stream.received) for stream in streams],
        [text(stream.gone) for stream in streams],
        lane,
        [one.municipality for one in pending],
        [one.stream for one in pending],
        [one.range[0] for one in pending],
        [one.range[1] for one in pending],
        [one.batch for one in pending],
        [one.earliest for one in pending],
        [one.latest for one in pending],
        ["{" + ",".join(map(str, sorted(one.citizens))) + "}" for one in pending],
    )
    await db.execute("NOTIFY pending")


async def epoch(db: Connection | Pool) -> UUID:
    """Which life of the store this is."""
    found: UUID = await db.fetchval("SELECT epoch FROM store")
    return found


async def batch_numbers(db: Connection | Pool, count: int) -> list[int]:
    """New numbers for batches; the one sequence of all lanes."""
    rows = await db.fetch("SELECT nextval('batch') AS n FROM generate_series(1, $1)", count)
    return [row["n"] for row in rows]


def _streams(rows: Iterable[Row]) -> dict[StreamKey, Stream]:
    found: dict[StreamKey, Stream] = {}
    by_id: dict[int, Stream] = {}
    for row in rows:
        key = StreamKey(row["municipality"], row["edge"], row["uuid"])
        one = Stream(key=key, id=row["id"], received=ranges(row["received"]))
        found[key] = by_id.setdefault(row["id"], one)
    return found


def _columns(keys: Collection[StreamKey]) -> tuple[list[int], list[int], list[UUID]]:
    return (
        [key.municipality for key in keys],
        [key.edge for key in keys],
        [key.uuid for key in keys],
    )

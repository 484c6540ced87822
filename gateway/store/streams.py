"""The ledger: which sequence numbers of which stream are stored. Twice is once because of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from asyncpg.pgproto import pgproto

from gateway.store.pool import Connection, Pool, Row, ranges
from gateway.store.ranges import Range, text


class StreamKey(NamedTuple):
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
# By uuid and lane alone: of a join the planner makes a scan of every stream there is.
_LOCK = """
    SELECT s.municipality, s.edge, s.uuid, s.id, s.received
    FROM stream s
    WHERE s.uuid = ANY ($1::text::uuid[]) AND s.lane = $2
    ORDER BY s.id
    FOR NO KEY UPDATE
"""
_SAME_HOME = """
    SELECT w.stream, w.edge
    FROM unnest($1::integer[], $2::bigint[], $3::integer[]) AS w (municipality, stream, edge)
    JOIN stream s ON s.municipality = w.municipality AND s.id = w.stream
    JOIN edge e ON e.municipality = w.municipality AND e.id = w.edge
    JOIN edge b ON b.municipality = s.municipality AND b.id = s.edge
    WHERE b.home = e.home OR b.home IS NULL
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
        FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::text[], $4::text::text[])
            AS w (municipality, id, received, gone)
        WHERE s.municipality = w.municipality AND s.id = w.id
    ), added AS (
        INSERT INTO pending (lane, municipality, stream, range, batch, earliest, latest, citizens)
        SELECT $5, w.municipality, w.stream, int8range(w.first, w.last, '[]'), w.batch,
               w.earliest, w.latest, w.citizens::integer[]
        FROM unnest($6::text::integer[], $7::text::bigint[], $8::text::bigint[],
                    $9::text::bigint[], $10::text::bigint[], $11::text::timestamptz[],
                    $12::text::timestamptz[], $13::text::text[])
            AS w (municipality, stream, first, last, batch, earliest, latest, citizens)
    )
    SELECT pg_notify('pending', $5) WHERE $14
"""


async def lock(db: Connection, lane: str, keys: Collection[StreamKey]) -> dict[StreamKey, Stream]:
    """Lock the ledger's rows in ascending id, beginning those that are new.

    Of one stream that two boxes name there is one Stream. Left out is what the box of another
    home or municipality has begun: nobody fills another's ledger.
    """
    uuids = _array({key.uuid for key in keys})
    locked = _streams(await db.fetch(_LOCK, uuids, lane))
    if missing := [key for key in keys if key.uuid not in locked]:
        await db.execute(_BEGIN, *_columns(missing), lane)
        locked = _streams(await db.fetch(_LOCK, uuids, lane))
    found = {key: locked[key.uuid] for key in keys if key.uuid in locked}
    others = {key: one for key, one in found.items() if one.key != key}
    if others:
        same = await _of_the_same_home(db, others)
        found = {key: one for key, one in found.items() if key not in others or key in same}
    return found


async def _of_the_same_home(
    db: Connection, others: Mapping[StreamKey, Stream]
) -> Collection[StreamKey]:
    """Those whose stream was begun by another box of the home, or by one that has none now."""
    ours = [key for key, one in others.items() if one.key.municipality == key.municipality]
    asked = [key.municipality for key in ours], [others[key].id for key in ours]
    rows = await db.fetch(_SAME_HOME, *asked, [key.edge for key in ours])
    same = {(row["stream"], row["edge"]) for row in rows}
    return {key for key in ours if (others[key].id, key.edge) in same}


async def advance(
    db: Connection,
    lane: str,
    streams: Sequence[Stream],
    pending: Sequence[Pending],
    *,
    wake: bool = True,
) -> None:
    """Write the ledger and what is now left to judge; `wake` watch, which else looks by itself.

    Transactions that wake somebody are committed one after another, all through the server.
    """
    await db.execute(
        _ADVANCE,
        _array(stream.key.municipality for stream in streams),
        _array(stream.id for stream in streams),
        _texts(text(stream.received) for stream in streams),
        _texts(text(stream.gone) for stream in streams),
        lane,
        _array(one.municipality for one in pending),
        _array(one.stream for one in pending),
        _array(one.range[0] for one in pending),
        _array(one.range[1] for one in pending),
        _array(one.batch for one in pending),
        _array(one.earliest.isoformat() for one in pending),
        _array(one.latest.isoformat() for one in pending),
        _texts(_array(sorted(one.citizens)) for one in pending),
        wake,
    )


def uuid_of(said: str) -> UUID:
    """As UUID(said), of a kind that is made and compared faster. Raises ValueError."""
    try:
        return pgproto.UUID(said)
    except ValueError:
        return pgproto.UUID(UUID(said).bytes)


async def epoch(db: Connection | Pool) -> UUID:
    """Which life of the store this is."""
    found: UUID = await db.fetchval("SELECT epoch FROM store")
    return found


async def batch_numbers(db: Connection | Pool, count: int) -> list[int]:
    """New numbers for batches; the one sequence of all lanes."""
    rows = await db.fetch("SELECT nextval('batch') AS n FROM generate_series(1, $1)", count)
    return [row["n"] for row in rows]


def _streams(rows: Iterable[Row]) -> dict[UUID, Stream]:
    return {
        uuid: Stream(key=StreamKey(municipality, edge, uuid), id=number, received=ranges(received))
        for municipality, edge, uuid, number, received in rows
    }


def _columns(keys: Collection[StreamKey]) -> tuple[list[int], list[int], list[UUID]]:
    return (
        [key.municipality for key in keys],
        [key.edge for key in keys],
        [key.uuid for key in keys],
    )


def _array(values: Iterable[object]) -> str:
    """An array as text, of values that need no quotes: the driver looks at each value ten times."""
    return "{" + ",".join(map(str, values)) + "}"


def _texts(values: Iterable[str]) -> str:
    """An array of texts that hold neither quotes nor backslashes."""
    return "{" + ",".join([f'"{value}"' for value in values]) + "}"

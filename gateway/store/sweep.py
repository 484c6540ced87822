"""Finds what is stored and was never judged, and puts it among what is left to judge again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from gateway.store.pool import Connection, Pool, Row, ranges

Key: TypeAlias = tuple[int, int]
"""A stream by its municipality and number; streams are swept in this order."""

START: Key = (0, 0)
OLDEST = timedelta(days=7)
"""How far back is judged when no message tells it: raw messages are kept for as long."""

# One statement, so one view of the ledger: ingest adds to `received` and to `pending` in one
# transaction, watch takes from `pending` and adds to `watched` in another.
_FOUND = """
    behind AS MATERIALIZED (
        SELECT s.municipality, s.id, s.lane, s.edge,
               s.received - COALESCE(w.watched, '{}') AS missing
        FROM swept s
        LEFT JOIN watched w ON w.municipality = s.municipality AND w.stream = s.id
        WHERE s.received <> COALESCE(w.watched, '{}')
    ), waiting AS MATERIALIZED (
        SELECT p.municipality, p.stream, range_agg(p.range) AS ranges
        FROM pending p WHERE p.stream IN (SELECT id FROM behind)
        GROUP BY p.municipality, p.stream
    ), found AS (
        SELECT b.municipality, b.id, b.lane, b.edge,
               b.missing - COALESCE(w.ranges, '{}') AS missing
        FROM behind b
        LEFT JOIN waiting w ON w.municipality = b.municipality AND w.stream = b.id
        WHERE b.missing - COALESCE(w.ranges, '{}') <> '{}'
    )
"""
_NEXT = f"""
    WITH swept AS MATERIALIZED (
        SELECT municipality, id, lane, edge, received FROM stream
        WHERE (municipality, id) > ($1, $2) ORDER BY municipality, id LIMIT $3
    ), {_FOUND}
    SELECT f.*, true AS found FROM found f
    UNION ALL
    (SELECT municipality, id, lane, edge, received, false FROM swept
     ORDER BY municipality DESC, id DESC LIMIT 1)
"""  # noqa: S608 - our own text
_NEWEST = f"""
    WITH swept AS MATERIALIZED (
        SELECT s.* FROM municipality m
        CROSS JOIN LATERAL (
            SELECT municipality, id, lane, edge, received FROM stream
            WHERE municipality = m.id ORDER BY id DESC LIMIT $1
        ) s
    ), {_FOUND}
    SELECT * FROM found
"""  # noqa: S608 - our own text
# Nothing tells which of the stream's batches they came in: to judge too many changes nothing.
_ABOUT = """
    WITH said AS MATERIALIZED (
        SELECT o.device, o.occurred FROM observation o
        WHERE o.batch = ANY (ARRAY(SELECT m.batch FROM message m WHERE m.stream = $2))
    )
    SELECT min(earliest) AS earliest, COALESCE(array_agg(DISTINCT citizen)
           FILTER (WHERE citizen IS NOT NULL), '{}') AS citizens
    FROM (
        SELECT (SELECT min(occurred) FROM said) AS earliest, c.id AS citizen
        FROM (SELECT) one
        LEFT JOIN edge e ON e.municipality = $1 AND e.id = $3
        LEFT JOIN citizen c ON c.municipality = e.municipality AND c.home = e.home
        UNION ALL
        SELECT s.occurred, p.citizen FROM said s
        JOIN device d ON d.id = s.device
        JOIN placement p ON p.municipality = d.municipality AND p.device = d.id
                        AND p."from" <= s.occurred AND s.occurred < COALESCE(p."to", 'infinity')
        WHERE d.municipality = $1
    ) a
"""
_REPAIRED = """
    INSERT INTO pending (municipality, lane, stream, range, batch, earliest, latest, citizens)
    SELECT $1, $2, $3, int8range(w.first, w.last, '[]'), 0, $6, $7, $8
    FROM unnest($4::bigint[], $5::bigint[]) AS w (first, last)
"""
_WAKE = "NOTIFY pending"


@dataclass(frozen=True, slots=True)
class Swept:
    """Where to go on, and how many sequence numbers were found that nobody would have judged."""

    after: Key
    repaired: int


async def sweep(pool: Pool, after: Key, limit: int, now: datetime) -> Swept:
    """Look at the next streams by key; after the last one begin anew."""
    async with pool.acquire() as db, db.transaction():
        rows = await db.fetch(_NEXT, *after, limit)
        last = [(row["municipality"], row["id"]) for row in rows if not row["found"]]
        repaired = [await _repair(db, row, now) for row in rows if row["found"]]
    return Swept(last[0] if last else START, sum(repaired))


async def sweep_newest(pool: Pool, limit: int, now: datetime) -> int:
    """Look at the newest streams of each municipality; how many numbers were found."""
    async with pool.acquire() as db, db.transaction():
        return sum([await _repair(db, row, now) for row in await db.fetch(_NEWEST, limit)])


async def _repair(db: Connection, row: Row, now: datetime) -> int:
    municipality, stream = row["municipality"], row["id"]
    lane: Literal["urgent", "bulk"] = row["lane"]
    missing = ranges(row["missing"])
    about = await db.fetchrow(_ABOUT, municipality, stream, row["edge"])
    earliest = about["earliest"] if about else None
    await db.execute(
        _REPAIRED,
        municipality,
        lane,
        stream,
        [first for first, _ in missing],
        [last for _, last in missing],
        min(now, earliest or now - OLDEST),
        now,
        about["citizens"] if about else [],
    )
    await db.execute(_WAKE)
    return sum(last - first + 1 for first, last in missing)

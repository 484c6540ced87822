"""Finds what is stored and was never judged, and puts it among what is left to judge again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from gateway.store.pool import Connection, Pool, Row, ranges

Key: TypeAlias = tuple[int, int]
"""A stream by its municipality and number; streams are swept in this order."""

START: Key = (0, 0)
MOST = 100
"""Streams repaired at a time: to learn whom they are about, raw messages are searched."""
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
# Nothing tells which of a stream's batches they came in: to judge too many changes nothing.
_ABOUT = """
    WITH came AS MATERIALIZED (
        SELECT DISTINCT m.stream, m.batch FROM message m WHERE m.stream = ANY ($2::bigint[])
    ), said AS MATERIALIZED (
        SELECT c.stream, o.device, o.occurred
        FROM observation o JOIN came c ON c.batch = o.batch
        WHERE o.batch = ANY (ARRAY(SELECT batch FROM came))
    )
    SELECT w.stream,
           (SELECT min(s.occurred) FROM said s WHERE s.stream = w.stream) AS earliest,
           ARRAY(
               SELECT c.id FROM edge e
               JOIN citizen c ON c.municipality = e.municipality AND c.home = e.home
               WHERE e.municipality = w.municipality AND e.id = w.edge
               UNION
               SELECT p.citizen FROM said s
               JOIN device d ON d.municipality = w.municipality AND d.id = s.device
               JOIN placement p ON p.municipality = d.municipality AND p.device = d.id
                               AND p."from" <= s.occurred
                               AND s.occurred < COALESCE(p."to", 'infinity')
               WHERE s.stream = w.stream
           ) AS citizens
    FROM unnest($1::integer[], $2::bigint[], $3::integer[]) AS w (municipality, stream, edge)
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
        found = [row for row in rows if row["found"]]
        keys = [_key(row) for row in rows if not row["found"]]
        if len(found) > MOST:
            found = sorted(found, key=_key)[:MOST]
            keys = [_key(found[-1])]
        repaired = await _repair(db, found, now)
    return Swept(keys[0] if keys else START, repaired)


async def sweep_newest(pool: Pool, limit: int, now: datetime) -> int:
    """Look at the newest streams of each municipality; how many numbers were found."""
    async with pool.acquire() as db, db.transaction():
        found = await db.fetch(_NEWEST, limit)
        return await _repair(db, found[:MOST], now)


async def _repair(db: Connection, found: Sequence[Row], now: datetime) -> int:
    if not found:
        return 0
    columns = ([row[name] for row in found] for name in ("municipality", "id", "edge"))
    about = {row["stream"]: row for row in await db.fetch(_ABOUT, *columns)}
    for row in found:
        await _put_back(db, row, about[row["id"]], now)
    await db.execute(_WAKE)
    missing = (part for row in found for part in ranges(row["missing"]))
    return sum(last - first + 1 for first, last in missing)


async def _put_back(db: Connection, row: Row, about: Row, now: datetime) -> None:
    missing = ranges(row["missing"])
    await db.execute(
        _REPAIRED,
        row["municipality"],
        row["lane"],
        row["id"],
        [first for first, _ in missing],
        [last for _, last in missing],
        min(now, about["earliest"] or now - OLDEST),
        now,
        about["citizens"],
    )


def _key(row: Row) -> Key:
    return row["municipality"], row["id"]

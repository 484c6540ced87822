"""Fills a benchmark's store to a size, by the database itself: history that nobody reads again."""

from collections.abc import Callable
from datetime import datetime, timedelta

from deploy.world.bench.copying import connected

_HISTORY = timedelta(days=350)
_BEFORE = timedelta(days=20)
"""History ends so long before the load's own times begin."""
_AT_ONCE = 1_000_000

# Oldest first, as it would have come; of the first homes, whose devices then have long histories.
_ROWS = """
    WITH placed AS (
        SELECT device, row_number() OVER (ORDER BY device) - 1 AS place
        FROM (SELECT device FROM placement ORDER BY device LIMIT 20000) first
    )
    INSERT INTO observation (device, kind, occurred, received, clock, value, quality, batch)
    SELECT p.device, 1, w.at, w.at, 0, w.n % 2, 0, 0
    FROM (SELECT n, $3::timestamptz + (n - $1) * $4::interval AS at
          FROM generate_series($1::bigint, $2::bigint) n) w
    JOIN placed p ON p.place = w.n * 7919 % (SELECT count(*) FROM placed)
"""
_STREAMS = """
    WITH box AS (
        SELECT municipality, id, row_number() OVER (ORDER BY id) - 1 AS place FROM edge
    ), made AS (
        INSERT INTO stream (municipality, edge, uuid, lane, received)
        SELECT b.municipality, b.id, gen_random_uuid(),
               CASE WHEN n % 2 = 0 THEN 'urgent' ELSE 'bulk' END, '{[1,20000]}'
        FROM generate_series(1, $1::bigint) n
        JOIN box b ON b.place = n % (SELECT count(*) FROM box)
        RETURNING municipality, id, received
    )
    INSERT INTO watched (municipality, stream, watched) SELECT * FROM made
"""


async def add_rows(dsn: str, rows: int, *, until: datetime, say: Callable[[str], None]) -> None:
    """Observations up to so many, spread over the year before."""
    async with connected(dsn) as db:
        have = await db.fetchval("SELECT count(*) FROM observation")
        start, step = until - _BEFORE - _HISTORY, _HISTORY / max(1, rows - have)
        for first in range(0, rows - have, _AT_ONCE):
            last = min(first + _AT_ONCE, rows - have) - 1
            await db.execute(_ROWS, first, last, start + first * step, step, timeout=600)
            say(f"  {have + last + 1:,} observations")
        await db.execute("VACUUM ANALYZE observation", timeout=3_600)


async def add_streams(dsn: str, streams: int) -> None:
    """Streams up to so many, judged to their ends."""
    async with connected(dsn) as db:
        have = await db.fetchval("SELECT count(*) FROM stream")
        if streams > have:
            await db.execute(_STREAMS, streams - have, timeout=3_600)
        await db.execute("VACUUM ANALYZE stream, watched", timeout=3_600)

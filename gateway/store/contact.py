"""When each box was in contact: intervals, of which only changes are written."""

from datetime import datetime
from typing import Literal

from gateway.store.known import Edge
from gateway.store.pool import Connection, Pool

EndedBy = Literal["lost", "stopped", "stale"]

_OPEN = """
    INSERT INTO contact (municipality, edge, "from") VALUES ($1, $2, $3)
    ON CONFLICT (municipality, edge) WHERE "to" IS NULL DO NOTHING
    RETURNING id
"""
_CLOSE = """
    UPDATE contact SET "to" = GREATEST("from", $3), ended_by = $4, sure_from = $5
    WHERE municipality = $1 AND edge = $2 AND "to" IS NULL
    RETURNING id
"""
_JUDGE = """
    INSERT INTO deadline (municipality, citizen, due)
    SELECT $1, citizen, $3 FROM unnest($2::integer[]) AS citizen
    ORDER BY citizen
    ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(deadline.due, EXCLUDED.due)
"""
_IN_CONTACT = """
    SELECT e.name FROM contact c
    JOIN edge e ON e.municipality = c.municipality AND e.id = c.edge
    WHERE c."to" IS NULL
"""


async def begin(pool: Pool, edge: Edge, now: datetime) -> bool:
    """The box is in contact from now; False when it was already. Wakes watch for its citizens."""
    async with pool.acquire() as db, db.transaction():
        changed = await db.fetchval(_OPEN, edge.municipality, edge.id, now)
        if changed is not None:
            await _judge(db, edge, now)
    return changed is not None


async def end(
    pool: Pool, edge: Edge, now: datetime, ended_by: EndedBy, *, sure_from: datetime
) -> bool:
    """The box is not in contact from now; False when it was not before. Wakes watch."""
    async with pool.acquire() as db, db.transaction():
        changed = await db.fetchval(_CLOSE, edge.municipality, edge.id, now, ended_by, sure_from)
        if changed is not None:
            await _judge(db, edge, now)
    return changed is not None


async def in_contact(pool: Pool) -> set[str]:
    """The names of the boxes whose contact has not ended."""
    return {row["name"] for row in await pool.fetch(_IN_CONTACT)}


async def _judge(db: Connection, edge: Edge, now: datetime) -> None:
    await db.execute(_JUDGE, edge.municipality, sorted(edge.citizens), now)
    await db.execute("NOTIFY pending")

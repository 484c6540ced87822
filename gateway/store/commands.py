"""What people ask of boxes, and what the boxes answer: for who asked alone, and for an hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gateway.store.caller import Caller
from gateway.store.pool import Connection, Pool

KEPT = timedelta(hours=1)
"""How long a command and its answer stay: long enough to look at, with the box in the hand."""

BEGUN_WITHIN = timedelta(seconds=60)
"""How long a box that is not in contact may take to come back and begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a box is to be told; it must have begun by `until`."""

    public: UUID
    edge: str
    what: str
    seconds: int
    until: datetime


_ADD = """
    INSERT INTO command (municipality, edge, person, what, seconds, asked, until)
    SELECT municipality, id, $3, $4, $5, $6, $7 FROM edge WHERE municipality = $1 AND name = $2
    RETURNING public
"""
_OPEN = """
    SELECT c.public, e.name AS edge, c.what, c.seconds, c.until
    FROM command c JOIN edge e ON e.municipality = c.municipality AND e.id = c.edge
    WHERE c.asked > $1 AND c.until > $2 AND c.answered IS NULL
    ORDER BY c.id LIMIT $3
"""
_ANSWERED = """
    UPDATE command c SET answered = $3, error = $4, found = $5::text::jsonb FROM edge e
    WHERE c.public = $1 AND e.municipality = c.municipality AND e.id = c.edge AND e.name = $2
      AND c.answered IS NULL
    RETURNING c.id
"""


async def add(
    db: Connection,
    caller: Caller,
    edge: str,
    *,
    what: str,
    seconds: int,
    now: datetime,
) -> UUID:
    """Ask it of the box. Raises LookupError for a box that is not the caller's to see."""
    public = await db.fetchval(
        *(_ADD, caller.municipality, edge, caller.person),
        *(what, seconds, now, now + BEGUN_WITHIN),
    )
    if public is None:
        raise LookupError(edge)
    await db.execute("NOTIFY command")
    return public


async def waiting(db: Connection | Pool, now: datetime, *, most: int) -> Sequence[Command]:
    """Those that no box has answered and that may still be begun, the oldest first."""
    return [Command(**dict(row)) for row in await db.fetch(_OPEN, now - KEPT, now, most)]


async def sent(db: Connection | Pool, commands: Sequence[Command], now: datetime) -> None:
    """The broker has taken these."""
    await db.execute(
        "UPDATE command SET sent = $2 WHERE public = ANY ($1::uuid[])",
        sorted(one.public for one in commands),
        now,
    )


async def answered(
    db: Connection | Pool,
    edge: str,
    public: UUID,
    *,
    error: str | None,
    found: str | None,
    now: datetime,
) -> bool:
    """Keep the box's first answer (`found`: JSON); whether it is one to a command of that box."""
    return await db.fetchval(_ANSWERED, public, edge, now, error, found) is not None


async def sweep(db: Connection | Pool, now: datetime) -> None:
    """Delete what has been kept for its hour."""
    await db.execute("DELETE FROM command WHERE asked <= $1", now - KEPT)

"""What people ask of boxes, and what the boxes answer: for who asked alone, and for an hour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gateway.store.caller import Caller
from gateway.store.pool import Connection, Pool

KEPT = timedelta(hours=1)
"""How long a command and its answer stay: long enough to look at, with the box in the hand."""

BEGUN_WITHIN = timedelta(seconds=60)
"""How long a box that is not in contact may take to come back and begin."""


Word = Literal["discover", "rescan", "identify", "send_log", "restart"]
"""What a box can be asked; there is no other way in, and no shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For how many seconds a box may be asked to do it, and as what that stands in the log.

    `asked` is the deed of who asks, `seen` of who looks at the answer.
    """

    least: int
    usual: int
    most: int
    asked: str
    seen: str = "box.answer_seen"


TERMS: Mapping[Word, Terms] = {
    "discover": Terms(
        least=10, usual=30, most=120, asked="box.discovered", seen="box.discovery_seen"
    ),
    "rescan": Terms(least=10, usual=60, most=120, asked="box.rescanned"),
    "identify": Terms(least=5, usual=20, most=120, asked="box.identified"),
    "send_log": Terms(least=5, usual=10, most=60, asked="box.log_asked", seen="box.log_seen"),
    "restart": Terms(least=10, usual=60, most=120, asked="box.restarted"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a box said: `error` its word for why it did nothing; the others are JSON and text."""

    error: str | None = None
    found: str | None = None
    did: str | None = None
    log: str | None = None


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
    UPDATE command c SET answered = $3, error = $4, found = $5::text::jsonb,
                         did = $6::text::jsonb, log = $7
    FROM edge e
    WHERE c.public = $1 AND e.municipality = c.municipality AND e.id = c.edge AND e.name = $2
      AND c.answered IS NULL
    RETURNING c.id
"""


async def add(
    db: Connection,
    caller: Caller,
    edge: str,
    *,
    what: Word,
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
    db: Connection | Pool, edge: str, public: UUID, answer: Answer, now: datetime
) -> bool:
    """Keep the box's first answer; whether it is one to a command of that box."""
    kept = await db.fetchval(
        *(_ANSWERED, public, edge, now, answer.error),
        *(answer.found, answer.did, answer.log),
    )
    return kept is not None


async def sweep(db: Connection | Pool, now: datetime) -> None:
    """Delete what has been kept for its hour."""
    await db.execute("DELETE FROM command WHERE asked <= $1", now - KEPT)

"""Emergency opening: a citizen outside one's districts, for an hour, with a reason, followed up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gateway.store import looks
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.pool import Pool, Row

OPEN_FOR = timedelta(minutes=60)
OPENED = "emergency"
"""The channel that tells who opened somebody: municipality and person, inside numbers."""
SHORTEST_REASON = 10
"""Characters; the database refuses fewer."""


class FollowedUp(Exception):
    """The opening has been followed up already; what was written stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """A citizen opened in an emergency. `person` is the login; `followed` when a leader looked.

    `number` is the citizen's inside number.
    """

    public: UUID
    number: int
    citizen: UUID
    person: str
    role: str
    reason: str
    opened: datetime
    until: datetime
    followed: datetime | None
    followed_by: str | None
    followed_text: str


_EMERGENCIES = """
    SELECT e.public, e.citizen AS number, c.public AS citizen, p.login AS person, e.role,
           e.reason, e.opened, e.until, e.followed_at AS followed, f.login AS followed_by,
           e.followed_text
    FROM emergency e
    JOIN citizen c ON c.municipality = e.municipality AND c.id = e.citizen
    JOIN person p ON p.municipality = e.municipality AND p.id = e.person
    LEFT JOIN person f ON f.municipality = e.municipality AND f.id = e.followed_by
    WHERE e.municipality = $1
"""
_ONE = f"{_EMERGENCIES} AND e.public = $2"
_AFTER = """
      AND ($2::uuid IS NULL OR (e.followed_at IS NOT NULL, -e.id) >
           (SELECT a.followed_at IS NOT NULL, -a.id FROM emergency a
            WHERE a.municipality = $1 AND a.public = $2))
    ORDER BY e.followed_at IS NOT NULL, e.id DESC LIMIT $3
"""
_LIST = f"{_EMERGENCIES} {_AFTER}"


async def open_citizen(pool: Pool, caller: Caller, citizen: UUID, reason: str) -> Emergency:
    """The caller sees this citizen for an hour, wherever in the municipality they live.

    Raises LookupError for a citizen who is not the municipality's, or a caller who may open none.
    """
    now = _asked(caller)
    async with asking(pool, caller) as db:
        made = await db.fetchrow(
            "SELECT public, citizen FROM open_emergency($1, $2, $3, $4)",
            citizen,
            reason,
            now,
            now + OPEN_FOR,
        )
        if made is None:
            raise LookupError(str(citizen))
        await looks.changed(db, caller, "emergency.opened", made["citizen"], now)
        await db.execute(
            "SELECT pg_notify($1, $2)", OPENED, f"{caller.municipality} {caller.person}"
        )
        row = await db.fetchrow(_ONE, caller.municipality, made["public"])
    assert row is not None  # noqa: S101 - made a moment ago, and the citizen is open now
    return _emergency(row)


async def open_until(pool: Pool, caller: Caller) -> datetime | None:
    """When the last of the caller's openings ends; None without one that is not over yet."""
    async with asking(pool, caller) as db:
        return await db.fetchval(
            "SELECT max(until) FROM emergency "
            "WHERE municipality = $1 AND person = $2 AND role = $3 AND until > $4",
            caller.municipality,
            caller.person,
            caller.role,
            _asked(caller),
        )


async def emergencies(
    pool: Pool, caller: Caller, *, after: UUID | None, limit: int
) -> Sequence[Emergency]:
    """One's own openings; for a leader those of their districts too. Not followed up come first.

    Of one's own that are over only those stay whose citizen one sees anyway.
    """
    async with asking(pool, caller) as db:
        rows = await db.fetch(_LIST, caller.municipality, after, limit)
        seen = [row["number"] for row in rows]
        await looks.looked(db, caller, "emergencies.listed", seen, _asked(caller))
    return [_emergency(row) for row in rows]


async def follow_up(pool: Pool, caller: Caller, public: UUID, text: str) -> Emergency:
    """The leader has looked at it, and says what came of it.

    Raises LookupError when it is not there for this caller or is their own, and FollowedUp.
    """
    now = _asked(caller)
    async with asking(pool, caller) as db:
        row = await db.fetchrow(
            "SELECT followed_at, citizen FROM emergency WHERE municipality = $1 AND public = $2 "
            "FOR NO KEY UPDATE",
            caller.municipality,
            public,
        )
        if row is None:
            raise LookupError(str(public))
        if row["followed_at"] is not None:
            raise FollowedUp(f"it was followed up at {row['followed_at'].isoformat()}")
        await db.execute(
            "UPDATE emergency SET followed_by = $3, followed_at = $4, followed_text = $5 "
            "WHERE municipality = $1 AND public = $2",
            caller.municipality,
            public,
            caller.person,
            now,
            text,
        )
        await looks.changed(db, caller, "emergency.followed_up", row["citizen"], now)
        found = await db.fetchrow(_ONE, caller.municipality, public)
    assert found is not None  # noqa: S101 - seen a moment ago
    return _emergency(found)


def _asked(caller: Caller) -> datetime:
    if caller.asked is None:
        raise LookupError("whoever did not sign in opens nothing")
    return caller.asked


def _emergency(row: Row) -> Emergency:
    return Emergency(**dict(row))

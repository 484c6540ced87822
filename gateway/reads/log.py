"""Who looked at this citizen, and at whom this person looked: one query each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.store.pool import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One row of the access log. `number` orders them; ids are outside ones.

    No citizen's name: the log must not become one more register of them.
    """

    number: int
    at: datetime
    person: UUID | None
    login: str | None
    role: str | None
    citizen: UUID | None
    what: str
    purpose: str


# A name as a parameter, compared once, and rows by the index on (municipality, citizen, id).
_LOOKS = """
    SELECT l.id AS number, l.at, p.public AS person, p.login, l.role, c.public AS citizen, l.what,
           l.purpose
    FROM access_log l
    LEFT JOIN person p ON p.municipality = l.municipality AND p.id = l.person
    LEFT JOIN citizen c ON c.municipality = l.municipality AND c.id = l.citizen
    WHERE (l.municipality, l.{whose}) =
              (SELECT o.municipality, o.id FROM {whose} o WHERE o.public = $1)
      AND ($2::bigint IS NULL OR l.id < $2)
    ORDER BY l.id DESC LIMIT $3
"""
_OF_CITIZEN, _OF_PERSON = _LOOKS.format(whose="citizen"), _LOOKS.format(whose="person")


async def of_citizen(
    db: Connection, citizen: UUID, *, after: int | None = None, limit: int
) -> list[Look]:
    """Who saw or changed something of this citizen, newest first; none where that is not shown."""
    return [_look(row) for row in await db.fetch(_OF_CITIZEN, citizen, after, limit)]


async def of_person(
    db: Connection, person: UUID, *, after: int | None = None, limit: int
) -> list[Look]:
    """What this person saw, changed and signed in to, newest first; none where not shown."""
    return [_look(row) for row in await db.fetch(_OF_PERSON, person, after, limit)]


async def citizen_is_here(db: Connection, citizen: UUID) -> bool:
    """Whether whoever asks may know of this citizen."""
    return await db.fetchval("SELECT EXISTS (SELECT FROM citizen WHERE public = $1)", citizen)


async def person_by_login(db: Connection, login: str) -> UUID | None:
    """The person's outside id."""
    return await db.fetchval("SELECT public FROM person WHERE login = $1", login)


def _look(row: Row) -> Look:
    return Look(**dict(row))

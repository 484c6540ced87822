"""Who looked at this citizen, and at whom this person looked: one query each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.store.caller import Caller
from gateway.store.pool import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One row of the access log. `number` and `subject` (the citizen's) are inside numbers.

    No citizen's name: the log must not become one more register of them.
    """

    number: int
    subject: int | None
    at: datetime
    person: UUID | None
    login: str | None
    role: str | None
    citizen: UUID | None
    what: str
    purpose: str


Place = tuple[datetime, int]
"""Where a listing goes on: the time and the number of the last look shown."""

_LOOKS = """
    SELECT l.id AS number, l.citizen AS subject, l.at, p.public AS person, p.login, l.role,
           c.public AS citizen, l.what, l.purpose
    FROM access_log l
    LEFT JOIN person p ON p.municipality = l.municipality AND p.id = l.person
    LEFT JOIN citizen c ON c.municipality = l.municipality AND c.id = l.citizen
    WHERE (l.municipality, l.{whose}) =
              (SELECT o.municipality, o.id FROM {whose} o WHERE o.public = $1)
      AND ($2::timestamptz IS NULL OR (l.at, l.id) < ($2, $3))
    ORDER BY l.at DESC, l.id DESC LIMIT $4
"""
_OF_CITIZEN, _OF_PERSON = _LOOKS.format(whose="citizen"), _LOOKS.format(whose="person")


async def of_citizen(
    db: Connection, citizen: UUID, *, after: Place | None = None, limit: int
) -> list[Look]:
    """Who saw or changed something of this citizen, newest first; none where that is not shown."""
    return await _looks(db, _OF_CITIZEN, citizen, after, limit)


async def of_person(
    db: Connection, person: UUID, *, after: Place | None = None, limit: int
) -> list[Look]:
    """What this person saw, changed and signed in to, newest first; none where not shown."""
    return await _looks(db, _OF_PERSON, person, after, limit)


async def _looks(
    db: Connection, query: str, whose: UUID, after: Place | None, limit: int
) -> list[Look]:
    at, number = after or (None, None)
    return [Look(**dict(row)) for row in await db.fetch(query, whose, at, number, limit)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A part of the log as it is shown, and whose data that shows: citizens' inside numbers."""

    looks: list[Look]
    of: list[int]


async def for_citizen(
    db: Connection, caller: Caller, citizen: UUID, *, after: Place | None = None, limit: int
) -> Shown:
    """`of_citizen`, for who keeps watch. Raises LookupError where there is nothing for them."""
    number = await citizen_number(db, citizen) if caller.may("log", "reading") else None
    if number is None:
        raise LookupError(str(citizen))
    looks = await of_citizen(db, citizen, after=after, limit=limit)
    return Shown(looks=looks, of=[number])


async def for_person(
    db: Connection, caller: Caller, person: UUID, *, after: Place | None = None, limit: int
) -> Shown:
    """`of_person`, one's own or for who keeps watch. Raises LookupError.

    One's own list shows nobody anything new, so it is of no citizen.
    """
    own = person == caller.public
    if not own and not (caller.may("log", "reading") and await _is_here(db, person)):
        raise LookupError(str(person))
    looks = await of_person(db, person, after=after, limit=limit)
    subjects = [] if own else [look.subject for look in looks]
    return Shown(looks=looks, of=[one for one in subjects if one is not None])


async def citizen_number(db: Connection, citizen: UUID) -> int | None:
    """The citizen's inside number, for whoever may know of them."""
    return await db.fetchval("SELECT id FROM citizen WHERE public = $1", citizen)


async def person_by_login(db: Connection, login: str) -> UUID | None:
    """The person's outside id."""
    return await db.fetchval("SELECT public FROM person WHERE login = $1", login)


async def _is_here(db: Connection, person: UUID) -> bool:
    return await db.fetchval("SELECT EXISTS (SELECT FROM person WHERE public = $1)", person)

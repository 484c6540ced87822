"""A colleague's roles and teams, one at a time; and the day when all of it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg.exceptions import UniqueViolationError

from gateway.store.caller import Caller, Role
from gateway.store.homes import InTheWay
from gateway.store.looks import changed
from gateway.store.pool import Connection, Row


class TooWide(Exception):
    """Who is confined to some districts gives, changes and ends nothing outside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A role that the person has now; `districts` None: every district of the municipality."""

    role: Role
    districts: tuple[UUID, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """What a person may do, and until when; `teams` are those that the caller sees."""

    left: datetime | None
    roles: Sequence[Held]
    teams: Sequence[UUID]


_PERSON = "SELECT id, left_on FROM person WHERE municipality = $1 AND public = $2"
_ROLES = """
    SELECT a.role, a.districts IS NULL AS everywhere,
           ARRAY(SELECT d.public FROM district d
                 WHERE d.municipality = a.municipality AND d.id = ANY (a.districts)
                 ORDER BY d.name) AS districts
    FROM access a WHERE a.municipality = $1 AND a.person = $2 AND (a.until IS NULL OR a.until > $3)
    ORDER BY a.role
"""
_TEAMS = """
    SELECT t.public FROM team_member w
    JOIN team t ON t.municipality = w.municipality AND t.id = w.team
    WHERE w.municipality = $1 AND w.person = $2 ORDER BY t.name, t.public
"""
# An administrator of every district is left: somebody must be able to give roles.
_OTHERS = """
    SELECT EXISTS (
        SELECT FROM access a JOIN person p ON p.municipality = a.municipality AND p.id = a.person
        WHERE a.municipality = $1 AND a.person <> $2 AND a.role = 'administrator'
          AND a.districts IS NULL AND a.until IS NULL AND p.left_on IS NULL)
"""
_GIVE = """
    INSERT INTO access (municipality, person, role, districts) VALUES ($1, $2, $3, $4)
    ON CONFLICT (municipality, person, role)
        DO UPDATE SET districts = excluded.districts, until = NULL
"""


async def colleague(db: Connection, caller: Caller, public: UUID, now: datetime) -> Colleague:
    """What the person may do. Raises LookupError."""
    person = await _person(db, caller, public)
    roles = await db.fetch(_ROLES, caller.municipality, person["id"], now)
    teams = await db.fetch(_TEAMS, caller.municipality, person["id"])
    return Colleague(
        left=person["left_on"],
        roles=[
            Held(
                role=row["role"],
                districts=None if row["everywhere"] else tuple(row["districts"]),
            )
            for row in roles
        ],
        teams=[row["public"] for row in teams],
    )


async def give_role(
    db: Connection,
    caller: Caller,
    public: UUID,
    *,
    role: Role,
    districts: Sequence[UUID] | None,
    now: datetime,
) -> None:
    """The person has this role in these districts from now on, None: in all; no others any more.

    Raises LookupError for a person or district that is not the caller's, TooWide, and InTheWay
    for somebody who has left, or for the last administrator of all districts.
    """
    person = await _present(db, caller, public)
    numbers = None if districts is None else await _districts(db, caller, districts)
    if numbers is None and caller.districts is not None:
        raise TooWide
    if (had := await _access(db, caller, person["id"], role)) is not None:
        _refuse_wider(caller, had)
        if numbers is not None:
            await refuse_last(db, caller.municipality, person["id"], had)
    await db.execute(_GIVE, caller.municipality, person["id"], role, numbers)
    await changed(db, caller, f"person.role_given {public} {role}", None, now)


async def end_role(db: Connection, caller: Caller, public: UUID, role: Role, now: datetime) -> None:
    """The person has this role no more: no session and no key in it opens anything.

    Raises LookupError when the person had it not, TooWide, and InTheWay for the last
    administrator of all districts.
    """
    person = await _person(db, caller, public)
    had = await _access(db, caller, person["id"], role)
    if had is None or had["until"] is not None:
        raise LookupError(role)
    _refuse_wider(caller, had)
    await refuse_last(db, caller.municipality, person["id"], had)
    await db.execute(
        "UPDATE access SET until = $3 WHERE municipality = $1 AND id = $2",
        caller.municipality,
        had["id"],
        now,
    )
    await changed(db, caller, f"person.role_ended {public} {role}", None, now)


async def let_leave(
    db: Connection, caller: Caller, public: UUID, on: datetime, now: datetime
) -> None:
    """The person leaves at `on`: then all roles, sessions, keys and the password end at once.

    Raises LookupError, TooWide when a role of theirs lies outside the caller's districts, and
    InTheWay when they have left already or are the last administrator of all districts.
    """
    person = await _person(db, caller, public)
    if person["left_on"] is not None and person["left_on"] <= now:
        raise InTheWay(f"this person left already, at {person['left_on'].isoformat()}")
    for had in await db.fetch(_ACCESS, caller.municipality, person["id"], None):
        if had["until"] is None:
            _refuse_wider(caller, had)
            await refuse_last(db, caller.municipality, person["id"], had)
    await db.execute(
        "UPDATE person SET left_on = $3, version = version + 1 WHERE municipality = $1 AND id = $2",
        caller.municipality,
        person["id"],
        on,
    )
    await changed(db, caller, f"person.leaves {public}", None, now)


async def join_team(
    db: Connection, caller: Caller, public: UUID, team: UUID, now: datetime
) -> None:
    """The person belongs to the team. Raises LookupError, and InTheWay for who has left or does."""
    person = await _present(db, caller, public)
    number = await _team(db, caller, team)
    try:
        async with db.transaction():
            await db.execute(
                "INSERT INTO team_member (municipality, team, person) VALUES ($1, $2, $3)",
                caller.municipality,
                number,
                person["id"],
            )
    except UniqueViolationError as error:
        raise InTheWay("this person belongs to the team already") from error
    await changed(db, caller, f"person.joined_team {public} {team}", None, now)


async def quit_team(
    db: Connection, caller: Caller, public: UUID, team: UUID, now: datetime
) -> None:
    """The person belongs to the team no more. Raises LookupError."""
    person = await _person(db, caller, public)
    gone = await db.fetchval(
        "DELETE FROM team_member WHERE municipality = $1 AND team = $2 AND person = $3 RETURNING 1",
        caller.municipality,
        await _team(db, caller, team),
        person["id"],
    )
    if gone is None:
        raise LookupError(str(team))
    await changed(db, caller, f"person.left_team {public} {team}", None, now)


async def _person(db: Connection, caller: Caller, public: UUID) -> Row:
    row = await db.fetchrow(_PERSON, caller.municipality, public)
    if row is None:
        raise LookupError(str(public))
    return row


async def _present(db: Connection, caller: Caller, public: UUID) -> Row:
    person = await _person(db, caller, public)
    if person["left_on"] is not None:
        raise InTheWay(f"this person leaves, or left, at {person['left_on'].isoformat()}")
    return person


async def _team(db: Connection, caller: Caller, public: UUID) -> int:
    found: int | None = await db.fetchval(
        "SELECT id FROM team WHERE municipality = $1 AND public = $2", caller.municipality, public
    )
    if found is None:
        raise LookupError(str(public))
    return found


async def _districts(db: Connection, caller: Caller, wanted: Sequence[UUID]) -> list[int]:
    rows = await db.fetch(
        "SELECT id FROM district WHERE municipality = $1 AND public = ANY ($2::uuid[]) ORDER BY id",
        caller.municipality,
        list(wanted),
    )
    if len(rows) < len(set(wanted)):
        raise LookupError("district")
    return [row["id"] for row in rows]


_ACCESS = """
    SELECT id, role, districts, until FROM access
    WHERE municipality = $1 AND person = $2 AND ($3::text IS NULL OR role = $3) ORDER BY id
"""


async def _access(db: Connection, caller: Caller, person: int, role: Role) -> Row | None:
    return await db.fetchrow(_ACCESS, caller.municipality, person, role)


def _refuse_wider(caller: Caller, had: Row) -> None:
    """The database refuses it too (0009, 0015); this says it in a sentence."""
    if caller.districts is None:
        return
    if had["districts"] is None or not set(had["districts"]) <= caller.districts:
        raise TooWide


async def refuse_last(
    db: Connection, municipality: int, person: int, had: Row | Mapping[str, Any]
) -> None:
    """Raises InTheWay when the role is the last administrator's of every district."""
    if had["role"] != "administrator" or had["districts"] is not None or had["until"] is not None:
        return
    # two who end each other's role at the same time wait for each other
    await db.execute("SELECT FROM municipality WHERE id = $1 FOR NO KEY UPDATE", municipality)
    if not await db.fetchval(_OTHERS, municipality, person):
        raise InTheWay("this is the last administrator of every district; give the role first")

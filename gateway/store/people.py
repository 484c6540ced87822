"""People and their roles, as the commands of an administrator write them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg.exceptions import UniqueViolationError

from gateway.store.caller import ROLES, Role
from gateway.store.pool import Connection
from gateway.store.seal import Place, Seal

Sealing = Callable[[int, int], bytes]


class UnknownName(Exception):
    """The municipality or district does not exist; the caller may be asked to make it."""


class LoginTaken(Exception):
    """Another person has this login already; choose another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One person in one role, as `gateway people list` shows it."""

    municipality: str
    login: str
    role: str
    districts: tuple[str, ...] | None
    keys: int


async def municipality(db: Connection, name: str, *, create: bool) -> int:
    """The municipality's number. Raises UnknownName unless it may be made."""
    found: int | None = await db.fetchval("SELECT id FROM municipality WHERE name = $1", name)
    if found is None and not create:
        known = await db.fetchval("SELECT string_agg(name, ', ' ORDER BY name) FROM municipality")
        raise UnknownName(f"no municipality is called {name!r}; known: {known or 'none'}")
    return found or await db.fetchval(
        "INSERT INTO municipality (name) VALUES ($1) RETURNING id", name
    )


async def district(db: Connection, municipality: int, name: str, *, create: bool) -> int:
    """The district's number. Raises UnknownName unless it may be made."""
    found: int | None = await db.fetchval(
        "SELECT id FROM district WHERE municipality = $1 AND name = $2", municipality, name
    )
    if found is None and not create:
        raise UnknownName(f"no district is called {name!r}")
    return found or await db.fetchval(
        "INSERT INTO district (municipality, name) VALUES ($1, $2) RETURNING id",
        municipality,
        name,
    )


async def add_person(
    db: Connection,
    *,
    municipality: int,
    login: str,
    name: str,
    role: Role,
    districts: Sequence[int] | None,
    password_hash: str | None,
    seal: Seal | None = None,
) -> tuple[UUID, int]:
    """A person in a role: the outside id, and the number of the access. Raises LoginTaken.

    The name is kept as `seal` seals it; without keys as it is, until `gateway seal`.
    """
    if role not in ROLES:
        raise ValueError(f"no role is called {role!r}")
    async with db.transaction():
        try:
            person = await db.fetchrow(
                "INSERT INTO person (municipality, login, password_hash) VALUES ($1, $2, $3) "
                "RETURNING id, public",
                municipality,
                login,
                password_hash,
            )
        except UniqueViolationError as error:
            raise LoginTaken(f"the login {login!r} is taken") from error
        assert person is not None  # noqa: S101 - INSERT … RETURNING gives its row
        await db.execute(
            "INSERT INTO identity.person (municipality, person, name) VALUES ($1, $2, $3)",
            municipality,
            person["id"],
            seal.seal(name, Place(municipality, "person", person["id"], "name")) if seal else name,
        )
        access = await db.fetchval(
            "INSERT INTO access (municipality, person, role, districts) VALUES ($1, $2, $3, $4) "
            "RETURNING id",
            municipality,
            person["id"],
            role,
            districts,
        )
    return person["public"], access


async def set_second_factor(db: Connection, login: str, sealed: Sealing) -> bool:
    """The person's codes come from a new secret from now on. False: nobody has the login.

    `sealed` is given the municipality's and the person's inside numbers, and makes what is kept.
    """
    row = await db.fetchrow(
        "SELECT municipality, id FROM person WHERE login = $1 AND left_on IS NULL", login
    )
    if row is None:
        return False
    await db.execute(
        """
        INSERT INTO second_factor (municipality, person, secret) VALUES ($1, $2, $3)
        ON CONFLICT (municipality, person) DO UPDATE SET secret = excluded.secret, last_step = 0
        """,
        row["municipality"],
        row["id"],
        sealed(row["municipality"], row["id"]),
    )
    return True


async def first_password(db: Connection, login: str, password_hash: str) -> bool:
    """Give a password to who has none and no provider. False: nobody with the login is so."""
    given = await db.fetchval(
        "UPDATE person SET password_hash = $2 WHERE login = $1 AND password_hash IS NULL "
        "AND issuer IS NULL AND left_on IS NULL "
        "AND NOT EXISTS (SELECT FROM access a WHERE a.municipality = person.municipality "
        "AND a.person = person.id AND a.role = 'robot') RETURNING id",
        login,
        password_hash,
    )
    return given is not None


async def add_role(
    db: Connection, login: str, role: Role, districts: Sequence[str] | None, *, create: bool
) -> bool:
    """One more role for a person; a role they have is given these districts. False: unknown login.

    Raises UnknownName for a district that may not be made.
    """
    row = await db.fetchrow(
        "SELECT municipality, id FROM person WHERE login = $1 AND left_on IS NULL", login
    )
    if row is None:
        return False
    where = row["municipality"]
    numbers = [await district(db, where, name, create=create) for name in districts or ()]
    await db.execute(
        """
        INSERT INTO access (municipality, person, role, districts) VALUES ($1, $2, $3, $4)
        ON CONFLICT (municipality, person, role)
            DO UPDATE SET districts = excluded.districts, until = NULL
        """,
        where,
        row["id"],
        role,
        numbers or None,
    )
    return True


async def end_role(db: Connection, login: str, role: Role, now: datetime) -> bool:
    """The person has this role no more, and no session or key in it opens. False: they had not."""
    ended = await db.fetchval(
        """
        UPDATE access a SET until = $3 FROM person p
        WHERE p.municipality = a.municipality AND p.id = a.person AND p.login = $1
          AND a.role = $2 AND a.until IS NULL
        RETURNING a.id
        """,
        login,
        role,
        now,
    )
    return ended is not None


async def end_person(db: Connection, login: str, now: datetime) -> bool:
    """The person has left: no session, key or password of theirs opens anything. False: unknown."""
    left = await db.fetchval(
        "UPDATE person SET left_on = $2 WHERE login = $1 AND left_on IS NULL RETURNING id",
        login,
        now,
    )
    return left is not None


async def listed(db: Connection) -> list[Listed]:
    """Everybody who has not left, in every role, by municipality and login."""
    rows = await db.fetch(
        """
        SELECT m.name AS municipality, p.login, a.role,
               (SELECT array_agg(d.name ORDER BY d.name) FROM district d
                WHERE d.municipality = a.municipality AND d.id = ANY (a.districts)) AS districts,
               (SELECT count(*) FROM api_key k
                WHERE k.municipality = a.municipality AND k.access = a.id) AS keys
        FROM person p
        JOIN municipality m ON m.id = p.municipality
        JOIN access a ON a.municipality = p.municipality AND a.person = p.id
        WHERE p.left_on IS NULL AND a.until IS NULL
        ORDER BY m.name, p.login, a.role
        """
    )
    return [
        Listed(
            municipality=row["municipality"],
            login=row["login"],
            role=row["role"],
            districts=None if row["districts"] is None else tuple(row["districts"]),
            keys=row["keys"],
        )
        for row in rows
    ]

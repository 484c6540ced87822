"""People, their roles, their keys and their sessions, as the database keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg.exceptions import UniqueViolationError

from gateway.store.caller import ROLES, Caller, Role
from gateway.store.pool import Connection, Pool, Row
from gateway.store.secrets import digest, new_secret

SESSION_LIFE = timedelta(hours=12)
"""A session ends after this however busy it is: longer than any shift."""
SESSION_IDLE = timedelta(minutes=60)
"""A session ends when nothing was asked for this long. An open board asks every minute."""
_SEEN_STEP = timedelta(minutes=1)

KEY_PREFIX = "tg_"
"""API keys begin so, that a leaked one can be searched for."""


class UnknownName(Exception):
    """The municipality or district does not exist; the caller may be asked to make it."""


class LoginTaken(Exception):
    """Another person has this login already; choose another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a sign-in is compared with. `access` is the inside number of person-in-a-role."""

    municipality: int
    access: int
    password_hash: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One person in one role, as `gateway people list` shows it."""

    municipality: str
    login: str
    role: str
    districts: tuple[str, ...] | None
    keys: int


_CALLER = """
    SELECT p.municipality, p.id AS person, p.public, a.role, a.districts,
           COALESCE(NULLIF(i.name, ''), p.login) AS name
    FROM {holder} h
    JOIN access a ON a.municipality = h.municipality AND a.id = h.access
    JOIN person p ON p.municipality = a.municipality AND p.id = a.person
    LEFT JOIN identity.person i ON i.municipality = p.municipality AND i.person = p.id
    WHERE h.hash = $1 AND h.expires > $2 AND (p.left_on IS NULL OR p.left_on > $2)
"""
_BY_KEY = _CALLER.format(holder="api_key")
_BY_SESSION = _CALLER.format(holder="session") + " AND h.seen > $3"


def _caller(row: Row | None) -> Caller | None:
    if row is None:
        return None
    districts: Sequence[int] | None = row["districts"]
    return Caller(
        municipality=row["municipality"],
        person=row["person"],
        public=row["public"],
        name=row["name"],
        role=row["role"],
        districts=None if districts is None else frozenset(districts),
    )


async def caller_by_key(pool: Pool, key: str, now: datetime) -> Caller | None:
    """Who holds this API key, if it is known, not expired, and its person has not left."""
    found = _caller(await pool.fetchrow(_BY_KEY, digest(key), now))
    if found is not None:
        await pool.execute(
            "UPDATE api_key SET last_used = $2 "
            "WHERE hash = $1 AND (last_used IS NULL OR last_used < $3)",
            digest(key),
            now,
            now - _SEEN_STEP,
        )
    return found


async def caller_by_session(
    pool: Pool, cookie: str, now: datetime, *, seen: bool = True
) -> Caller | None:
    """Who signed in with this cookie. `seen` moves the idle limit on, at most once a minute."""
    found = _caller(await pool.fetchrow(_BY_SESSION, digest(cookie), now, now - SESSION_IDLE))
    if found is not None and seen:
        await pool.execute(
            "UPDATE session SET seen = $2 WHERE hash = $1 AND seen < $3",
            digest(cookie),
            now,
            now - _SEEN_STEP,
        )
    return found


async def account(pool: Pool, login: str, now: datetime) -> Account | None:
    """The account with this login, in the first role it was given."""
    row = await pool.fetchrow(
        """
        SELECT p.municipality, a.id AS access, p.password_hash
        FROM person p JOIN access a ON a.municipality = p.municipality AND a.person = p.id
        WHERE p.login = $1 AND p.password_hash IS NOT NULL
          AND (p.left_on IS NULL OR p.left_on > $2)
        ORDER BY a.id LIMIT 1
        """,
        login,
        now,
    )
    return None if row is None else Account(**dict(row))


async def open_session(pool: Pool, account: Account, now: datetime) -> str:
    """A new session; the returned cookie is kept only as its digest. Sweeps ended ones away."""
    cookie = new_secret()
    await pool.execute(
        "DELETE FROM session WHERE expires <= $1 OR seen <= $2", now, now - SESSION_IDLE
    )
    await pool.execute(
        """
        WITH opened AS (
            INSERT INTO session (hash, municipality, access, created, seen, expires)
            VALUES ($1, $2, $3, $4, $4, $5) RETURNING municipality, access)
        INSERT INTO access_log (municipality, at, person, role, what)
        SELECT a.municipality, $4, a.person, a.role, 'signed.in'
        FROM opened o JOIN access a ON a.municipality = o.municipality AND a.id = o.access
        """,
        digest(cookie),
        account.municipality,
        account.access,
        now,
        now + SESSION_LIFE,
    )
    return cookie


async def close_session(pool: Pool, cookie: str) -> None:
    """The cookie opens nothing from now on."""
    await pool.execute("DELETE FROM session WHERE hash = $1", digest(cookie))


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
) -> tuple[UUID, int]:
    """A person in a role: the outside id, and the number of the access. Raises LoginTaken."""
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
            name,
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


async def add_key(db: Connection, *, municipality: int, access: int, expires: datetime) -> str:
    """A new API key for a person in a role; told once, kept as its digest."""
    key = KEY_PREFIX + new_secret()
    await db.execute(
        "INSERT INTO api_key (municipality, access, hash, expires) VALUES ($1, $2, $3, $4)",
        municipality,
        access,
        digest(key),
        expires,
    )
    return key


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
        WHERE p.left_on IS NULL
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

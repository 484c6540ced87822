"""From a cookie or a key to the caller: before that nothing is visible."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gateway.store.asking import asking, say
from gateway.store.caller import Caller, Role
from gateway.store.looks import changed
from gateway.store.pool import Pool, Row
from gateway.store.secrets import digest, new_secret

SESSION_LIFE = timedelta(hours=12)
"""A session ends after this however busy it is: longer than any shift."""
SESSION_IDLE = timedelta(minutes=60)
"""A session ends when nothing was asked for this long. An open board asks every minute."""
_SEEN_STEP = timedelta(minutes=1)

How = Literal["password", "provider"]
"""How a session was begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a sign-in is compared with. Numbers are inside ones; `second_factor` as it is kept."""

    municipality: int
    person: int
    access: int
    password_hash: str | None
    second_factor: bytes | None
    last_step: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One open session of a person, as they see it in their list."""

    public: UUID
    role: Role
    how: How
    created: datetime
    seen: datetime
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One role that the person has, and the districts in it by name; None means all."""

    number: int
    role: Role
    districts: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """An emergency account was used to sign in."""

    login: str
    at: datetime


async def caller_by_key(pool: Pool, key: str, now: datetime) -> Caller | None:
    """Who holds this API key, if it is known, has not ended, and its person has not left."""
    row = await pool.fetchrow("SELECT * FROM caller_by_key($1, $2)", digest(key), now)
    if row is None:
        return None
    if row["last_used"] is None or row["last_used"] < now - _SEEN_STEP:
        await pool.execute("SELECT key_used($1, $2, $3)", row["municipality"], row["key"], now)
    classes: Sequence[str] | None = row["classes"]
    return _caller(
        row,
        now,
        classes=None if classes is None else frozenset(classes),
        purpose=row["purpose"],
    )


async def caller_by_session(
    pool: Pool, cookie: str, now: datetime, *, seen: bool = True
) -> Caller | None:
    """Who signed in with this cookie. `seen` moves the idle limit on, at most once a minute."""
    row = await pool.fetchrow(
        "SELECT * FROM caller_by_session($1, $2, $3)", digest(cookie), now, now - SESSION_IDLE
    )
    if row is None:
        return None
    if seen and row["seen"] < now - _SEEN_STEP:
        await pool.execute("SELECT session_seen($1, $2)", digest(cookie), now)
    return _caller(row, now, session=row["session"])


def _caller(
    row: Row,
    now: datetime,
    *,
    session: UUID | None = None,
    classes: frozenset[str] | None = None,
    purpose: str = "",
) -> Caller:
    districts: Sequence[int] | None = row["districts"]
    return Caller(
        municipality=row["municipality"],
        person=row["person"],
        public=row["public"],
        name=row["name"],
        role=row["role"],
        districts=None if districts is None else frozenset(districts),
        access=row["access"],
        asked=now,
        purpose=purpose,
        session=session,
        classes=classes,
    )


async def account(pool: Pool, login: str, now: datetime) -> Account | None:
    """The account with this login and a password, in the first role it was given."""
    row = await pool.fetchrow("SELECT * FROM account($1, $2)", login, now)
    return None if row is None else Account(**dict(row))


async def take_step(pool: Pool, account: Account, step: int) -> bool:
    """Whether a second factor's code of this step opens: each opens once, also for two at once."""
    taken: bool = await pool.fetchval(
        "SELECT take_step($1, $2, $3)", account.municipality, account.person, step
    )
    return taken


async def open_session(
    pool: Pool,
    municipality: int,
    access: int,
    now: datetime,
    *,
    how: How = "password",
    broken_glass: bool = False,
) -> str:
    """A new session; the returned cookie is kept only as its digest. Sweeps ended ones away.

    `broken_glass`: it is an account for emergencies; administrators are shown that it was used.
    """
    cookie = new_secret()
    await pool.execute(
        "SELECT open_session($1, $2, $3, $4, $5, $6, $7, $8)",
        digest(cookie),
        municipality,
        access,
        how,
        now,
        now + SESSION_LIFE,
        now - SESSION_IDLE,
        broken_glass,
    )
    return cookie


async def close_session(pool: Pool, cookie: str) -> None:
    """The cookie opens nothing from now on."""
    await pool.execute("SELECT close_session($1)", digest(cookie))


async def sessions(pool: Pool, caller: Caller, now: datetime) -> list[Session]:
    """The caller's own open sessions, in every role, the newest first."""
    async with asking(pool, caller) as db:
        rows = await db.fetch(
            """
            SELECT s.public, a.role, s.how, s.created, s.seen, s.expires
            FROM session s JOIN access a ON a.municipality = s.municipality AND a.id = s.access
            WHERE s.municipality = $1 AND s.person = $2 AND s.expires > $3 AND s.seen > $4
            ORDER BY s.created DESC, s.public
            """,
            caller.municipality,
            caller.person,
            now,
            now - SESSION_IDLE,
        )
    return [Session(**dict(row)) for row in rows]


async def end_session(pool: Pool, caller: Caller, public: UUID) -> bool:
    """One of the caller's own sessions ends. False: they have none of that id."""
    async with asking(pool, caller) as db:
        gone = await db.fetchval(
            "DELETE FROM session WHERE municipality = $1 AND person = $2 AND public = $3 "
            "RETURNING public",
            caller.municipality,
            caller.person,
            public,
        )
    return gone is not None


async def accesses(pool: Pool, caller: Caller, now: datetime) -> list[Access]:
    """The roles that the caller has, in the order they were given."""
    async with asking(pool, caller) as db:
        rows = await db.fetch(
            """
            SELECT a.id, a.role,
                   CASE WHEN a.districts IS NOT NULL THEN ARRAY(
                       SELECT d.name FROM district d
                       WHERE d.municipality = a.municipality AND d.id = ANY (a.districts)
                       ORDER BY d.name) END AS districts
            FROM access a
            WHERE a.municipality = $1 AND a.person = $2 AND (a.until IS NULL OR a.until > $3)
            ORDER BY a.id
            """,
            caller.municipality,
            caller.person,
            now,
        )
    return [_access(row) for row in rows]


def _access(row: Row) -> Access:
    districts: Sequence[str] | None = row["districts"]
    return Access(
        number=row["id"],
        role=row["role"],
        districts=None if districts is None else tuple(districts),
    )


async def act_as(pool: Pool, caller: Caller, role: Role, now: datetime) -> str | None:
    """The caller's session goes on in another of their roles, under a new cookie.

    None: they have no such role, or asked without a session. The old cookie opens nothing more:
    whoever may have seen it does not come along into the other role.
    """
    cookie = new_secret()
    async with asking(pool, caller) as db:
        moved = await db.fetchval(
            """
            UPDATE session s SET hash = $1, access = a.id FROM access a
            WHERE s.municipality = $2 AND s.person = $3 AND s.public = $4
              AND a.municipality = s.municipality AND a.person = s.person AND a.role = $5
              AND (a.until IS NULL OR a.until > $6)
            RETURNING a.id
            """,
            digest(cookie),
            caller.municipality,
            caller.person,
            caller.session,
            role,
            now,
        )
        if moved is not None:
            acting = replace(caller, access=moved, role=role)
            await say(db, acting)
            await changed(db, acting, "role.changed", None, now)
    return None if moved is None else cookie


async def broken_glass(pool: Pool, caller: Caller, since: datetime) -> list[Use]:
    """Each use of an emergency account since then, for who may see them; for others none."""
    async with asking(pool, caller) as db:
        rows = await db.fetch(
            """
            SELECT p.login, b.at FROM break_glass b
            JOIN person p ON p.municipality = b.municipality AND p.id = b.person
            WHERE b.municipality = $1 AND b.at > $2 ORDER BY b.at DESC, b.id DESC LIMIT 100
            """,
            caller.municipality,
            since,
        )
    return [Use(**dict(row)) for row in rows]

"""API keys: what each is for, told once, kept as a digest, renewed without a gap."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from gateway.store.asking import asking
from gateway.store.caller import Caller, Role
from gateway.store.people import UnknownName
from gateway.store.pool import Connection, Pool, Row
from gateway.store.purposes import KeyPurpose
from gateway.store.secrets import digest, new_secret

KEY_PREFIX = "tg_"
"""API keys begin so, that a leaked one can be searched for."""
USUAL_DAYS, MOST_DAYS = 90, 400
"""How long a key holds if nothing is said, and at most: a year, and a month to renew it in."""
OVERLAP = timedelta(days=7)
"""How long the secret before a rotation still opens: time to put the new one where it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a key is for, within what its role may. None: as much as the role.

    `purpose` is a KeyPurpose, as the database too demands; `note` is for people, such as the
    number of a case.
    """

    name: str = ""
    districts: Sequence[int] | None = None
    classes: Sequence[str] | None = None
    purpose: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made; `secret` is told now and never again."""

    public: UUID
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is known of a key. `old_until`: the secret before the last rotation opens until then."""

    public: UUID
    name: str
    login: str
    role: Role
    districts: tuple[str, ...] | None
    classes: tuple[str, ...] | None
    purpose: KeyPurpose
    note: str
    created: datetime | None
    expires: datetime
    ended: datetime | None
    last_used: datetime | None
    old_until: datetime | None


def new_key() -> str:
    """A secret that was never used before."""
    return KEY_PREFIX + new_secret()


async def add_key(
    db: Connection,
    *,
    municipality: int,
    access: int,
    expires: datetime,
    created: datetime | None = None,
    scope: Scope | None = None,
) -> NewKey:
    """A new API key for a person in a role; told once, kept as its digest."""
    key, bounds = new_key(), scope or Scope()
    public: UUID = await db.fetchval(
        "INSERT INTO api_key (municipality, access, hash, name, districts, classes, purpose, "
        "note, created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
        "RETURNING public",
        municipality,
        access,
        digest(key),
        bounds.name,
        bounds.districts,
        bounds.classes,
        bounds.purpose,
        bounds.note,
        created,
        expires,
    )
    return NewKey(public=public, secret=key)


async def add_robot(
    pool: Pool,
    caller: Caller,
    scope: Scope,
    districts: Sequence[str] | None,
    now: datetime,
    *,
    days: int,
) -> NewKey:
    """A program of the caller's municipality with a key of its own. Raises UnknownName.

    Without districts it has the caller's own: nobody gives away more than they have.
    """
    async with asking(pool, caller) as db:
        numbers = (
            caller.within if districts is None else await districts_by_name(db, caller, districts)
        )
        person = await db.fetchval(
            "INSERT INTO person (municipality, login) VALUES ($1, $2) RETURNING id",
            caller.municipality,
            f"robot-{secrets.token_hex(6)}",
        )
        access = await db.fetchval(
            "INSERT INTO access (municipality, person, role, districts) "
            "VALUES ($1, $2, 'robot', $3) RETURNING id",
            caller.municipality,
            person,
            numbers,
        )
        return await add_key(
            db,
            municipality=caller.municipality,
            access=access,
            created=now,
            expires=now + timedelta(days=days),
            scope=replace(scope, districts=numbers),
        )


async def districts_by_name(db: Connection, caller: Caller, names: Sequence[str]) -> list[int]:
    """The inside numbers of these districts of the caller's. Raises UnknownName."""
    rows = await db.fetch(
        "SELECT id, name FROM district WHERE municipality = $1 AND name = ANY ($2::text[])",
        caller.municipality,
        list(names),
    )
    if unknown := set(names) - {row["name"] for row in rows}:
        raise UnknownName(f"no district is called {min(unknown)!r}")
    return sorted(row["id"] for row in rows)


_KEPT = """
    SELECT k.public, k.name, p.login, a.role, k.classes, k.purpose, k.note, k.created, k.expires,
           k.ended, k.last_used, k.old_expires AS old_until,
           CASE WHEN k.districts IS NOT NULL OR a.districts IS NOT NULL THEN ARRAY(
               SELECT d.name FROM district d
               WHERE d.municipality = k.municipality
                 AND (k.districts IS NULL OR d.id = ANY (k.districts))
                 AND (a.districts IS NULL OR d.id = ANY (a.districts))
               ORDER BY d.name) END AS districts
    FROM api_key k
    JOIN access a ON a.municipality = k.municipality AND a.id = k.access
    JOIN person p ON p.municipality = a.municipality AND p.id = a.person
"""


async def keys(pool: Pool, caller: Caller) -> list[Kept]:
    """Every key of the caller's municipality, the newest first, ended ones too."""
    async with asking(pool, caller) as db:
        rows = await db.fetch(
            _KEPT + "WHERE k.municipality = $1 ORDER BY k.id DESC LIMIT 1000", caller.municipality
        )
    return [_kept(row) for row in rows]


async def keys_of(db: Connection, municipality: int) -> list[Kept]:
    """The same for the command, which is the owner's."""
    rows = await db.fetch(_KEPT + "WHERE k.municipality = $1 ORDER BY k.id DESC", municipality)
    return [_kept(row) for row in rows]


def _kept(row: Row) -> Kept:
    told = dict(row)
    for name in ("districts", "classes"):
        told[name] = None if told[name] is None else tuple(told[name])
    return Kept(**told)


async def rotate(
    pool: Pool, caller: Caller, public: UUID, now: datetime, *, days: int
) -> NewKey | None:
    """A new secret that opens at once; the old one goes on for OVERLAP. None: no key, or ended.

    A second rotation within that time ends the first secret: at most two open at once.
    """
    key = new_key()
    async with asking(pool, caller) as db:
        rotated: bool = await db.fetchval(
            "SELECT rotate_key($1, $2, $3, $4, $5)",
            public,
            digest(key),
            now,
            now + OVERLAP,
            now + timedelta(days=days),
        )
    return NewKey(public=public, secret=key) if rotated else None


async def rotate_as_owner(
    db: Connection, municipality: int, public: UUID, now: datetime, *, days: int
) -> NewKey | None:
    """The same for the command, which is nobody's caller."""
    key = new_key()
    rotated = await db.fetchval(
        """
        UPDATE api_key SET old_hash = hash, old_expires = least(expires, $5),
                           hash = $3, expires = $6
        WHERE municipality = $1 AND public = $2 AND expires > $4 AND ended IS NULL
        RETURNING id
        """,
        municipality,
        public,
        digest(key),
        now,
        now + OVERLAP,
        now + timedelta(days=days),
    )
    return NewKey(public=public, secret=key) if rotated else None


async def end_key(pool: Pool, caller: Caller, public: UUID, now: datetime) -> bool:
    """Neither of the key's secrets opens anything from now on. False: there is no such key."""
    async with asking(pool, caller) as db:
        gone = await db.fetchval(
            "UPDATE api_key SET ended = COALESCE(ended, $3) "
            "WHERE municipality = $1 AND public = $2 RETURNING id",
            caller.municipality,
            public,
            now,
        )
    return gone is not None

"""The boxes: added with a one-time secret, joined with it once, moved, and shut out."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gateway.store.pool import Connection, Pool
from gateway.store.secrets import digest, new_secret

CODE_LIFE = timedelta(hours=24)
"""How long the secret in CODE may be used."""

_JOINING = 0x6A6F696E
"""The advisory lock under which the broker's accounts are written: one writer at a time."""


Write = Callable[[Sequence[tuple[str, str]]], Awaitable[None]]
"""Puts all accounts in the broker's file: names, and passwords in the broker's hash form."""


class WrongSecret(Exception):
    """Unknown box, wrong secret, used or too old: one answer for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box as `gateway edges list` shows it; the last four as it said them: store/cards.py."""

    name: str
    municipality: str
    home: UUID | None
    joined: datetime | None
    contact: bool
    ended: bool
    mode: str | None
    room_days: int | None
    path: int | None
    trouble: str | None


async def add_box(
    db: Connection, *, municipality: int, home: UUID | None, now: datetime
) -> tuple[str, str]:
    """A box that may join: its random id and its secret, told once and kept as a digest.

    Raises LookupError when the municipality has no such home.
    """
    name, secret = f"box-{secrets.token_hex(8)}", new_secret()
    added = await db.fetchval(
        """
        INSERT INTO edge (municipality, name, home, join_hash, join_expires)
        SELECT $1, $2, h.id, $4, $5
        FROM (SELECT NULL::uuid AS public, NULL::integer AS id WHERE $3::uuid IS NULL
              UNION ALL SELECT public, id FROM home WHERE municipality = $1 AND public = $3) h
        RETURNING id
        """,
        municipality,
        name,
        home,
        digest(secret),
        now + CODE_LIFE,
    )
    if added is None:
        raise LookupError(f"the municipality has no home {home}")
    await db.execute("NOTIFY home")
    return name, secret


async def join_box(
    pool: Pool,
    *,
    name: str,
    secret: str,
    broker_password: str,
    write: Write,
    now: datetime,
) -> None:
    """The box has joined, and the broker knows its password (given in the broker's hash form).

    `write` is given every box's account and puts the broker's file in place, under one lock and
    before the commit: a box that is told its password can use it at once, and a file that cannot
    be written leaves the secret unused. Raises WrongSecret; of many at once, one succeeds.
    """
    async with pool.acquire() as db, db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", _JOINING)
        joined = await db.fetchval(
            "SELECT join_edge($1, $2, $3, $4)",
            name,
            digest(secret),
            now,
            broker_password,
        )
        if not joined:
            raise WrongSecret("this box cannot join with this code")
        await write(await _accounts(db))
        await db.execute("NOTIFY home")
        await db.execute("NOTIFY config")


async def write_accounts(db: Connection, write: Write) -> None:
    """Give `write` every box's account, as `join_box` does, though nobody joins."""
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", _JOINING)
        await write(await _accounts(db))


async def _accounts(db: Connection) -> list[tuple[str, str]]:
    rows = await db.fetch("SELECT name, broker_password FROM broker_accounts()")
    return [(row["name"], row["broker_password"]) for row in rows]


_LOCKED = """
    SELECT municipality, id, home, broker_password IS NULL AND join_hash IS NULL AS ended
    FROM edge WHERE name = $1 FOR UPDATE
"""


async def end_box(db: Connection, name: str, now: datetime) -> None:
    """The box is lost: it has no account, no home and no contact; its silence calls nobody.

    Again is the same. Raises LookupError for an unknown box. `write_accounts` must follow.
    """
    async with db.transaction():
        box = await db.fetchrow(_LOCKED, name)
        if box is None:
            raise LookupError(f"there is no box {name}")
        await db.execute(
            "UPDATE edge SET broker_password = NULL, join_hash = NULL, join_expires = NULL, "
            "home = NULL, config_version = config_version + 1 WHERE municipality = $1 AND id = $2",
            box["municipality"],
            box["id"],
        )
        await db.execute(
            """
            UPDATE contact SET "to" = GREATEST("from", $3), ended_by = 'stopped', sure_from = $3
            WHERE municipality = $1 AND edge = $2 AND "to" IS NULL
            """,
            box["municipality"],
            box["id"],
            now,
        )
        await _tell(db, box["municipality"], [box["home"]], now)


async def move_box(db: Connection, name: str, home: UUID, now: datetime) -> None:
    """The box listens in that home from now on, and no more where it was.

    Raises LookupError for a box that is unknown or shut out, and for a home that its municipality
    has not.
    """
    async with db.transaction():
        box = await db.fetchrow(_LOCKED, name)
        if box is None or box["ended"]:
            raise LookupError(f"there is no box {name}" + (", it was ended" if box else ""))
        number = await db.fetchval(
            "SELECT id FROM home WHERE municipality = $1 AND public = $2", box["municipality"], home
        )
        if number is None:
            raise LookupError(f"the box's municipality has no home {home}")
        await db.execute(
            "UPDATE edge SET home = $3, config_version = config_version + 1 "
            "WHERE municipality = $1 AND id = $2",
            box["municipality"],
            box["id"],
            number,
        )
        await _tell(db, box["municipality"], [box["home"], number], now)


async def _tell(
    db: Connection, municipality: int, homes: Sequence[int | None], now: datetime
) -> None:
    """Who lives there is judged anew, and the box is told what it must hear."""
    await db.execute(
        """
        INSERT INTO deadline (municipality, citizen, due)
        SELECT $1, id, $3 FROM citizen
        WHERE municipality = $1 AND home = ANY ($2::integer[]) ORDER BY id
        ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(deadline.due, excluded.due)
        """,
        municipality,
        homes,
        now,
    )
    await db.execute("NOTIFY home")
    await db.execute("NOTIFY config")
    await db.execute("NOTIFY pending")


async def municipality_of(db: Connection, home: UUID) -> int | None:
    """The municipality of a home, for a command that names only the home."""
    return await db.fetchval("SELECT municipality FROM home WHERE public = $1", home)


async def boxes(db: Connection) -> list[Box]:
    """Every box, by municipality and id."""
    rows = await db.fetch(
        """
        SELECT e.name, m.name AS municipality, h.public AS home, e.joined,
               EXISTS (SELECT FROM contact c WHERE c.municipality = e.municipality
                       AND c.edge = e.id AND c."to" IS NULL) AS contact,
               e.broker_password IS NULL AND e.join_hash IS NULL AS ended,
               k.mode, k.room_days, k.path, k.trouble
        FROM edge e
        LEFT JOIN edge_card k ON k.municipality = e.municipality AND k.edge = e.id
        JOIN municipality m ON m.id = e.municipality
        LEFT JOIN home h ON h.municipality = e.municipality AND h.id = e.home
        ORDER BY m.name, e.name
        """
    )
    return [Box(**dict(row)) for row in rows]

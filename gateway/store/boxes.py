"""The boxes: added with a code, given a new one, moved, replaced, and shut out."""

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg.exceptions import UniqueViolationError

from gateway.store.asking import NotAllowed
from gateway.store.caller import Caller
from gateway.store.certificates import REVOKED
from gateway.store.pool import Connection, Row
from gateway.store.secrets import digest, new_code_secret

CODE_LIFE = timedelta(hours=24)
"""How long a code may be used."""


class InUse(Exception):
    """The box is not in the state for it; the text says which, and what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box as `gateway edges list` shows it; the last four as it said them: store/cards.py."""

    name: str
    sticker: str | None
    municipality: str
    home: UUID | None
    joined: datetime | None
    certificate: datetime | None
    contact: bool
    ended: bool
    mode: str | None
    room_days: int | None
    path: int | None
    trouble: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """A box that may join, and the secret of its code: told once, kept as a digest."""

    name: str
    secret: str


_HOME = """
    (SELECT NULL::uuid AS public, NULL::integer AS id WHERE {home}::uuid IS NULL
     UNION ALL SELECT public, id FROM home WHERE municipality = $1 AND public = {home})
"""
_ADD = f"""
    INSERT INTO edge (municipality, name, home, claim, claim_expires, sticker)
    SELECT $1, $2, h.id, $4, $5, $6 FROM {_HOME.format(home="$3")} h
    RETURNING id
"""  # noqa: S608 - our own words
_LOCKED = """
    SELECT municipality, id, home, shut_out FROM edge
    WHERE name = $1 AND ($2::integer IS NULL OR municipality = $2) FOR UPDATE
"""


# Who is there tries another box, or none: calls of the home are told to those on duty again.
_TRIED_NO_MORE = """
    UPDATE walk_test SET ended = GREATEST($3, started), ended_by = 'box', ender = $4
    WHERE municipality = $1 AND edge = $2 AND ended IS NULL AND until > $3
"""


async def add_box(
    db: Connection,
    *,
    municipality: int,
    home: UUID | None,
    now: datetime,
    sticker: str | None = None,
) -> Invited:
    """A box that may join, with a random id.

    Raises LookupError when the municipality has no such home, and InUse for a sticker that another
    box has.
    """
    made = Invited(name=_new_name(), secret=new_code_secret())
    until = now + CODE_LIFE
    of = (municipality, made.name, home, digest(made.secret), until, sticker)
    async with _with_a_free(sticker, db):
        added = await db.fetchval(_ADD, *of)
    if added is None:
        raise LookupError(f"the municipality has no home {home}")
    await db.execute("NOTIFY home")
    return made


async def invite_box(db: Connection, name: str, now: datetime, caller: Caller | None) -> Invited:
    """A new code for a box that has not joined; the one before opens nothing from now on.

    Raises LookupError for an unknown box, InUse for one that has joined or was shut out.
    """
    async with db.transaction():
        box = await _locked(db, name, caller)
        _must_be_in_use(name, box)
        if await _has_certificate(db, box):
            raise InUse(f"{name} has joined: to put another in its place, say edges replace")
        made = Invited(name=name, secret=new_code_secret())
        of = (box["municipality"], box["id"], digest(made.secret), now + CODE_LIFE)
        await _do(db, caller, "invite", "$1, $2, $3, $4", *of)
        return made


async def revoke_box(
    db: Connection, name: str, now: datetime, why: str, caller: Caller | None
) -> bool:
    """The box is lost: it has no certificate, no home and no contact; its silence calls nobody.

    Whether it was so only from now on; again is the same. The stage `edges` tells the broker: see
    `broker_was_told`. Raises LookupError for an unknown box.
    """
    async with db.transaction():
        box = await _locked(db, name, caller)
        await _shut_out(db, box, now, why, caller)
        return box["shut_out"] is None


async def replace_box(
    db: Connection, name: str, now: datetime, caller: Caller | None, *, sticker: str | None = None
) -> Invited:
    """Another box in the place of this one, which is shut out.

    The home, its placements and its history stay as they are: they belong to no box. Raises
    LookupError for an unknown box, InUse for one that was shut out, or a sticker that another has.
    """
    async with db.transaction():
        box = await _locked(db, name, caller)
        _must_be_in_use(name, box)
        await _shut_out(db, box, now, "replaced", caller)
        made = Invited(name=_new_name(), secret=new_code_secret())
        of = (box["municipality"], made.name, box["home"], digest(made.secret), now + CODE_LIFE)
        async with _with_a_free(sticker, db):
            await db.execute(
                "INSERT INTO edge (municipality, name, home, claim, claim_expires, sticker, "
                "replaces) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                *of,
                sticker,
                box["id"],
            )
        return made


async def move_box(
    db: Connection, name: str, home: UUID, now: datetime, caller: Caller | None
) -> None:
    """The box listens in another home from now on.

    Raises LookupError for an unknown box and for a home that its municipality has not, and InUse
    for a box that was shut out.
    """
    async with db.transaction():
        box = await _locked(db, name, caller)
        _must_be_in_use(name, box)
        number = await db.fetchval(
            "SELECT id FROM home WHERE municipality = $1 AND public = $2", box["municipality"], home
        )
        if number is None:
            raise LookupError(f"the box's municipality has no home {home}")
        if number != box["home"]:
            await _end_test(db, box, now, caller)
        await db.execute(
            "UPDATE edge SET home = $3, config_version = config_version + 1 "
            "WHERE municipality = $1 AND id = $2",
            box["municipality"],
            box["id"],
            number,
        )
        await _judge(db, box["municipality"], [box["home"], number], now)
        await _tell(db)


async def broker_was_told(db: Connection, name: str) -> bool:
    """Whether the broker was given lists that shut the box out."""
    return bool(await db.fetchval("SELECT broker_told IS NOT NULL FROM edge WHERE name = $1", name))


def _new_name() -> str:
    return f"box-{secrets.token_hex(8)}"


async def _locked(db: Connection, name: str, caller: Caller | None) -> Row:
    """The box, until the end of the transaction. Raises LookupError: also when not the caller's."""
    box = await db.fetchrow(_LOCKED, name, caller and caller.municipality)
    if box is None:
        raise LookupError(f"there is no box {name}")
    return box


def _must_be_in_use(name: str, box: Row) -> None:
    if box["shut_out"] is not None:
        raise InUse(f"{name} was shut out, for good: say edges add for another")


@asynccontextmanager
async def _with_a_free(sticker: str | None, db: Connection) -> AsyncGenerator[None]:
    """Raises InUse when another box has the sticker: perhaps one that the caller may not see."""
    try:
        async with db.transaction():
            yield
    except UniqueViolationError as taken:
        raise InUse(f"another box has the sticker {sticker}") from taken


async def _has_certificate(db: Connection, box: Row) -> bool:
    return await db.fetchval(
        "SELECT EXISTS (SELECT FROM certificate WHERE municipality = $1 AND edge = $2)",
        box["municipality"],
        box["id"],
    )


async def _shut_out(
    db: Connection, box: Row, now: datetime, why: str, caller: Caller | None
) -> None:
    if box["shut_out"] is None:
        await _end_test(db, box, now, caller)
        of = (box["municipality"], box["id"], now, why)
        await _do(db, caller, "shut_out", "$1, $2, $3, $4", *of)
    await db.execute(f"NOTIFY {REVOKED}")
    await _tell(db)


async def _end_test(db: Connection, box: Row, now: datetime, caller: Caller | None) -> None:
    """The walk test of a box that leaves the home is over; it is judged anew by what follows."""
    by = caller and caller.person
    await db.execute(_TRIED_NO_MORE, box["municipality"], box["id"], now, by)


async def _do(db: Connection, caller: Caller | None, what: str, marks: str, *of: object) -> None:
    """As the owner, or as a caller, whose right the function asks for (0023). Raises NotAllowed."""
    function = f"{what}_edge" if caller is None else f"{what}_my_edge"
    done = await db.fetchval(f"SELECT {function}({marks})", *of)
    if caller is not None and not done:
        raise NotAllowed


async def _judge(
    db: Connection, municipality: int, homes: Sequence[int | None], now: datetime
) -> None:
    """Who lives there is judged anew."""
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


async def _tell(db: Connection) -> None:
    """Which boxes there are, what they must hear, and who is to be judged."""
    for channel in ("home", "config", "pending"):
        await db.execute(f"NOTIFY {channel}")


async def municipality_of(db: Connection, home: UUID) -> int | None:
    """The municipality of a home, for a command that names only the home."""
    return await db.fetchval("SELECT municipality FROM home WHERE public = $1", home)


async def boxes(db: Connection) -> list[Box]:
    """Every box, by municipality and id."""
    rows = await db.fetch(
        """
        SELECT e.name, e.sticker, m.name AS municipality, h.public AS home, e.joined,
               (SELECT max(c.expires) FROM certificate c
                WHERE c.municipality = e.municipality AND c.edge = e.id) AS certificate,
               EXISTS (SELECT FROM contact c WHERE c.municipality = e.municipality
                       AND c.edge = e.id AND c."to" IS NULL) AS contact,
               e.shut_out IS NOT NULL AS ended,
               k.mode, k.room_days, k.path, k.trouble
        FROM edge e
        LEFT JOIN edge_card k ON k.municipality = e.municipality AND k.edge = e.id
        JOIN municipality m ON m.id = e.municipality
        LEFT JOIN home h ON h.municipality = e.municipality AND h.id = e.home
        ORDER BY m.name, e.name
        """
    )
    return [Box(**dict(row)) for row in rows]

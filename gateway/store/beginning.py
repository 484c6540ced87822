"""An empty system's first hour: the first administrator by a one-time link, and how far it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from asyncpg.exceptions import UndefinedFunctionError, UniqueViolationError

from gateway.store.asking import say
from gateway.store.caller import Caller, Role
from gateway.store.looks import changed
from gateway.store.people import LoginTaken
from gateway.store.pool import Connection, Pool
from gateway.store.register.things import add
from gateway.store.seal import Place, Seal
from gateway.store.secrets import digest, new_secret

LINK_LIFE = timedelta(hours=24)
"""How long the link may be used; a newer one ends it before."""

Step = Literal[
    "administrator",
    "municipality",
    "districts",
    "team",
    "people",
    "citizen",
    "box",
    "device",
    "alert",
]
STEPS: Sequence[Step] = get_args(Step)
"""In the order in which a municipality is set up."""


class LinkRefused(Exception):
    """Unknown, used, replaced or too old, or somebody was quicker: one answer for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of a municipality. `heard`: boxes that have had contact; `placed`: devices now."""

    municipality: str
    administrators: int
    districts: int
    teams: int
    colleagues: int
    citizens: int
    boxes: int
    joined: int
    heard: int
    placed: int
    alerts: int
    taken: int

    def done(self, step: Step) -> bool:
        """Whether the step needs nothing more."""
        counted = {
            "administrator": self.administrators,
            "municipality": bool(self.municipality),
            "districts": self.districts,
            "team": self.teams,
            "people": self.colleagues,
            "citizen": self.citizens,
            "box": self.heard,
            "device": self.placed,
            "alert": self.taken,
        }
        return bool(counted[step])

    @property
    def missing(self) -> Step | None:
        """The first step that is not done."""
        return next((step for step in STEPS if not self.done(step)), None)


NOTHING = Progress(
    municipality="",
    administrators=0,
    districts=0,
    teams=0,
    colleagues=0,
    citizens=0,
    boxes=0,
    joined=0,
    heard=0,
    placed=0,
    alerts=0,
    taken=0,
)


@dataclass(frozen=True, slots=True)
class Password:
    """A password as it is kept, and the phone's secret, if there is one, which is sealed here.

    `step` is the step of the code that the phone has shown: it opens nothing again.
    """

    hash: str
    factor: bytes | None = None
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """What the first administrator says."""

    municipality: str
    districts: Sequence[str]
    name: str
    login: str
    password: Password


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What the next command may name: the first of each, as the register's file calls them."""

    district: str
    home: str
    home_public: str
    citizen: str
    box: str


async def first_link(pool: Pool, now: datetime) -> str | None:
    """As new_link, for a gateway that starts: None too where there are people already."""
    return await _offered(pool, "SELECT offer_first_beginning($1, $2, $3)", now)


async def new_link(db: Connection, now: datetime) -> str | None:
    """The secret of a new link, and the end of the old one; None where somebody administers.

    For the owner, by hand. None too while the schema is older than this: `gateway migrate` comes
    first.
    """
    return await _offered(db, "SELECT offer_beginning($1, $2, $3)", now)


async def _offered(db: Connection | Pool, offer: str, now: datetime) -> str | None:
    secret = new_secret()
    try:
        offered = await db.fetchval(offer, digest(secret), now, now + LINK_LIFE)
    except UndefinedFunctionError:
        return None
    return secret if offered else None


async def opens(pool: Pool, secret: str, now: datetime) -> bool:
    """Whether the link may be used now."""
    opened: bool = await pool.fetchval("SELECT beginning_opens($1, $2)", digest(secret), now)
    return opened


async def begin(pool: Pool, seal: Seal, secret: str, first: First, now: datetime) -> Caller:
    """The first administrator with municipality and districts, all or nothing, and once.

    Raises LinkRefused; LoginTaken, after which the link is as good as before.
    """
    async with pool.acquire() as db, db.transaction():
        try:
            row = await db.fetchrow(
                "SELECT * FROM begin_here($1, $2, $3, $4)",
                digest(secret),
                now,
                first.municipality,
                first.login,
            )
        except UniqueViolationError as error:
            raise LoginTaken(f"the login {first.login!r} is taken") from error
        if row is None:
            raise LinkRefused
        caller = Caller(
            municipality=row["municipality"],
            person=row["person"],
            public=row["public"],
            name=first.name,
            role="administrator",
            access=row["access"],
            asked=now,
            seal=seal,
        )
        await say(db, caller)  # from here on the policies hold for this transaction too
        await _name(db, caller, row["person"], first.name)
        await _give(db, caller, row["public"], row["person"], first.password)
        await _districts(db, caller, first.districts)
        await changed(db, caller, "administrator.begun", None, now)
    return caller


async def _districts(db: Connection, caller: Caller, names: Sequence[str]) -> None:
    """Those that are not there yet: a command may have made municipality and districts before."""
    rows = await db.fetch("SELECT name FROM district WHERE municipality = $1", caller.municipality)
    known = {row["name"] for row in rows}
    for name in dict.fromkeys(names):
        if name not in known:
            await add(db, caller, caller.seal, "district", {"name": name})


async def _name(db: Connection, caller: Caller, person: int, name: str) -> None:
    await db.execute(
        "INSERT INTO identity.person (municipality, person, name) VALUES ($1, $2, $3)",
        caller.municipality,
        person,
        caller.seal.seal(name, Place(caller.municipality, "person", person, "name")),
    )


async def _give(
    db: Connection, caller: Caller, public: UUID, person: int, password: Password
) -> None:
    """The person's first password. Raises LookupError where it is not the caller's to give."""
    place = Place(caller.municipality, "second_factor", person, "secret")
    factor = password.factor
    kept = None if factor is None else caller.seal.seal_bytes(factor, place)
    given = await db.fetchval(
        "SELECT give_password($1, $2, $3, $4)", public, password.hash, kept, password.step
    )
    if not given:
        raise LookupError(str(public))


async def add_colleague(
    db: Connection,
    caller: Caller,
    *,
    login: str,
    name: str,
    role: Role,
    districts: Sequence[UUID],
    password: Password,
) -> UUID:
    """A colleague in a role with a first password; no districts: all that the caller may give.

    Belongs in the caller's transaction. Raises InTheWay for a login that is taken, LikeCpr, and
    LookupError for a district that is not the caller's.
    """
    public = await add(db, caller, caller.seal, "person", {"login": login, "name": name})
    rows = await db.fetch(
        "SELECT id FROM district WHERE municipality = $1 AND public = ANY ($2::uuid[])",
        caller.municipality,
        list(districts),
    )
    if len(rows) != len(set(districts)):
        raise LookupError("district")
    person = await db.fetchval(
        "SELECT id FROM person WHERE municipality = $1 AND public = $2", caller.municipality, public
    )
    await db.execute(
        "INSERT INTO access (municipality, person, role, districts) VALUES ($1, $2, $3, $4)",
        caller.municipality,
        person,
        role,
        [row["id"] for row in rows] or caller.within,
    )
    await _give(db, caller, public, person, password)
    assert caller.asked is not None  # noqa: S101 - every request says when it came
    await changed(db, caller, "person.added", None, caller.asked)
    return public


async def progress(db: Connection) -> Progress:
    """How far the municipality is for whom the transaction asks. Raises LookupError for nobody."""
    row = await db.fetchrow("SELECT * FROM how_far()")
    if row is None:
        raise LookupError("nobody sets anything up here")
    return Progress(**dict(row))


async def example(db: Connection, municipality: int) -> Example:
    """A home with a citizen, one without a device first; empty texts where there is none yet."""
    row = await db.fetchrow(
        """
        SELECT d.name AS district, COALESCE(h.reference, h.public::text, '') AS home,
               COALESCE(h.public::text, '') AS home_public,
               COALESCE(c.reference, c.public::text, '') AS citizen, COALESCE(e.name, '') AS box
        FROM district d
        LEFT JOIN home h ON h.municipality = d.municipality AND h.district = d.id
        LEFT JOIN citizen c ON c.municipality = h.municipality AND c.home = h.id
        LEFT JOIN edge e ON e.municipality = h.municipality AND e.home = h.id
        WHERE d.municipality = $1
        ORDER BY c.id IS NULL, e.id IS NULL, e.id, c.id, d.id LIMIT 1
        """,
        municipality,
    )
    if row is None:
        return Example(district="", home="", home_public="", citizen="", box="")
    return Example(**dict(row))


@dataclass(frozen=True, slots=True)
class Where:
    """A citizen in a home, as a row of the register's file names them."""

    district: str
    home: str
    citizen: str


async def where(
    db: Connection, municipality: int, *, home: UUID | None = None, citizen: UUID | None = None
) -> Where:
    """The citizen, or the first of the home. Raises LookupError where the caller sees none."""
    row = await db.fetchrow(
        """
        SELECT d.name AS district, COALESCE(h.reference, h.public::text) AS home,
               COALESCE(c.reference, c.public::text) AS citizen
        FROM citizen c
        JOIN home h ON h.municipality = c.municipality AND h.id = c.home
        JOIN district d ON d.municipality = h.municipality AND d.id = h.district
        WHERE c.municipality = $1 AND (h.public = $2 OR c.public = $3) ORDER BY c.id LIMIT 1
        """,
        municipality,
        home,
        citizen,
    )
    if row is None:
        raise LookupError("there is no such home or citizen")
    return Where(**dict(row))


async def device_at(db: Connection, municipality: int, address: str) -> UUID:
    """The device with this radio address, however it is written. Raises LookupError."""
    plain = "".join(letter for letter in address.upper() if letter.isalnum())
    public: UUID | None = await db.fetchval(
        "SELECT public FROM device WHERE municipality = $1 AND replace(address, ':', '') = $2",
        municipality,
        plain,
    )
    if public is None:
        raise LookupError("there is no such device")
    return public


async def waiting_boxes(db: Connection, municipality: int) -> list[tuple[str, UUID]]:
    """Boxes that have not joined and were made alone: the name, and the import that undoes it."""
    rows = await db.fetch(
        """
        SELECT e.name, i.public FROM edge e
        JOIN import_change c ON c.municipality = e.municipality AND c.thing = 'edge'
                            AND c.row = e.id AND c.before IS NULL
        JOIN import i ON i.municipality = c.municipality AND i.id = c.import AND i.undone IS NULL
        WHERE e.municipality = $1 AND e.joined IS NULL
          AND NOT EXISTS (SELECT FROM import_change o WHERE o.municipality = c.municipality
                            AND o.import = c.import AND o.position <> c.position)
        ORDER BY e.name LIMIT 20
        """,
        municipality,
    )
    return [(row["name"], row["public"]) for row in rows]


async def municipalities(db: Connection) -> list[tuple[int, str]]:
    """Every municipality, number and name, for the command."""
    rows = await db.fetch("SELECT id, name FROM municipality ORDER BY name")
    return [(row["id"], row["name"]) for row in rows]

"""The walk test: for half an hour at most, a home's devices are tried, and what was heard stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gateway.store.caller import Caller
from gateway.store.pool import Connection, Pool, Row

LONGEST = timedelta(minutes=30)
"""How long calls of a home's devices may be told to nobody, in one test or in several together."""
REST = timedelta(minutes=10)
"""A test begun so soon after another has only what is left of that one's half hour: whoever starts
again and again does not keep a button silent. After it the home answers as always for so long."""


class CannotTry(Exception):
    """The test does not begin; the text says why, and nothing has changed."""


class NoHome(CannotTry):
    """The box stands in no home: give it one first."""


class NothingPlaced(CannotTry):
    """No device is placed there, or none of those that were named."""


class Runs(CannotTry):
    """A test runs in that home: follow it, or end it."""


class TooSoon(CannotTry):
    """The home has been under test for half an hour; `at` is when the next may begin."""

    def __init__(self, at: datetime) -> None:
        super().__init__("the home has been under test for half an hour")
        self.at = at


class Over(Exception):
    """The test has ended already: its record stays as it is."""


class RemarkMissing(Exception):
    """Something was not heard: who signs says why, in a remark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who does it; `person` None is the command on the gateway itself."""

    municipality: int
    person: int | None = None
    role: str | None = None
    purpose: str = ""

    @classmethod
    def caller(cls, caller: Caller) -> "By":
        """Somebody over the API or on a page."""
        return cls(
            municipality=caller.municipality,
            person=caller.person,
            role=caller.role,
            purpose=caller.purpose,
        )


_EDGE = """
    SELECT e.id, e.home FROM edge e WHERE e.municipality = $1 AND e.name = $2
"""
# Two that begin at once come one after the other: the second sees the first.
_ALONE = "SELECT pg_advisory_xact_lock($1, $2)"
_LATELY = """
    SELECT started, until, COALESCE(ended, until) AS ended, ended IS NULL AS runs FROM walk_test
    WHERE municipality = $1 AND home = $2 AND started > $3 ORDER BY started DESC
"""
_BEGIN = """
    INSERT INTO walk_test (municipality, edge, home, person, started, until)
    VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, public
"""
_DEVICES = """
    INSERT INTO walk_device (municipality, test, placement, address, role, room)
    SELECT p.municipality, $3, p.id, d.address, p.role, p.room
    FROM citizen c
    JOIN placement p ON p.municipality = c.municipality AND p.citizen = c.id AND p."to" IS NULL
    JOIN device d ON d.municipality = p.municipality AND d.id = p.device
    WHERE c.municipality = $1 AND c.home = $2
      AND ($4::uuid[] IS NULL OR p.public = ANY ($4::uuid[]))
    ORDER BY p.id
"""
_OVERDUE_HERE = """
    UPDATE walk_test SET ended = until, ended_by = 'time'
    WHERE municipality = $1 AND home = $2 AND ended IS NULL AND until <= $3
"""
_OVERDUE = """
    UPDATE walk_test SET ended = until, ended_by = 'time'
    WHERE ended IS NULL AND until <= $1 RETURNING public
"""
_OPEN = """
    SELECT t.id, t.home, t.until, t.ended FROM walk_test t
    JOIN edge e ON e.municipality = t.municipality AND e.id = t.edge
    WHERE t.municipality = $1 AND e.name = $2 AND t.public = $3
    FOR NO KEY UPDATE OF t
"""
_END = """
    UPDATE walk_test SET ended = $3, ended_by = 'person', ender = $4, remark = $5
    WHERE municipality = $1 AND id = $2
"""
# A press may have been judged while the end was on its way: everybody there is judged again.
_AGAIN = """
    INSERT INTO deadline (municipality, citizen, due)
    SELECT municipality, id, $3 FROM citizen WHERE municipality = $1 AND home = $2 ORDER BY id
    ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(deadline.due, excluded.due)
"""
# A row for each who lives there; one without a name where nobody does.
_LOG = """
    INSERT INTO access_log (municipality, at, person, role, citizen, what, purpose)
    SELECT $1, $2, $3, $4, c.id, $5, $6
    FROM (SELECT 1) one LEFT JOIN citizen c ON c.municipality = $1 AND c.home = $7
"""


async def begin(
    db: Connection,
    by: By,
    edge: str,
    *,
    now: datetime,
    placements: Sequence[UUID] | None = None,
    length: timedelta = LONGEST,
) -> UUID:
    """Begin a test of the devices placed in the box's home, or of some of them.

    Raises LookupError for a box that is not there or not the caller's to see, and CannotTry.
    """
    where = await db.fetchrow(_EDGE, by.municipality, edge)
    if where is None:
        raise LookupError(edge)
    if where["home"] is None:
        raise NoHome("the box stands in no home")
    home: int = where["home"]
    await db.execute(_ALONE, by.municipality, home)
    await db.execute(_OVERDUE_HERE, by.municipality, home, now)
    lately = await db.fetch(_LATELY, by.municipality, home, now - LONGEST - REST)
    over = until(lately, now, length)
    made = await db.fetchrow(_BEGIN, by.municipality, where["id"], home, by.person, now, over)
    assert made is not None  # noqa: S101 - INSERT … RETURNING gives its row
    chosen = None if placements is None else list(placements)
    if await db.execute(_DEVICES, by.municipality, home, made["id"], chosen) == "INSERT 0 0":
        raise NothingPlaced("no device is placed there")
    await noted(db, by, "walk.begun", home, now)
    await db.execute("NOTIFY home")  # whoever stores frames looks anew at what is under test
    return made["public"]


def until(tests: Sequence[Row], now: datetime, length: timedelta) -> datetime:
    """When a test that begins now is over: with what went before it, half an hour at most.

    `tests` are the home's of late, the newest first.
    """
    wanted = now + min(length, LONGEST)
    if not tests or now - tests[0]["ended"] >= REST:
        return wanted
    if tests[0]["runs"]:
        raise Runs("a test runs in that home")
    first = tests[0]
    for earlier in tests[1:]:
        if first["started"] - earlier["ended"] >= REST:
            break
        first = earlier
    most = first["started"] + LONGEST
    if most - now < timedelta(seconds=1):
        raise TooSoon(tests[0]["ended"] + REST)
    return min(wanted, most)


async def end(
    db: Connection,
    by: By,
    edge: str,
    public: UUID,
    *,
    now: datetime,
    remark: str,
    missing: bool,
) -> None:
    """Sign the test off. `missing`: something was not heard.

    Raises LookupError for a test that is not there, Over, and RemarkMissing.
    """
    row = await db.fetchrow(_OPEN, by.municipality, edge, public)
    if row is None:
        raise LookupError(str(public))
    if row["ended"] is not None or row["until"] <= now:
        raise Over
    if missing and not remark.strip():
        raise RemarkMissing
    await db.execute(_END, by.municipality, row["id"], now, by.person, remark.strip())
    await noted(db, by, "walk.ended", row["home"], now)
    await db.execute(_AGAIN, by.municipality, row["home"], now)
    for channel in ("home", "pending"):
        await db.execute(f"NOTIFY {channel}")


async def noted(db: Connection, by: By, what: str, home: int, now: datetime) -> None:
    await db.execute(_LOG, by.municipality, now, by.person, by.role, what, by.purpose, home)


async def end_overdue(db: Connection | Pool, now: datetime) -> list[UUID]:
    """Write down that these tests have ended by themselves; they were over at that time anyhow."""
    return [row["public"] for row in await db.fetch(_OVERDUE, now)]

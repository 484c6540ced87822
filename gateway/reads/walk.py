"""Walk tests: what is under test, what was heard of it and how soon; and which homes are tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from adapters.observation import ClockQuality, Kind
from gateway.store.caller import Caller
from gateway.store.pool import Connection, Row

Signal = Literal["strong", "good", "weak", "poor"]

BOUNDS: Sequence[tuple[int, Signal]] = ((-65, "strong"), (-80, "good"), (-90, "weak"))
"""dBm from which a signal has that word; below the last it is poor. Near what a Raspberry Pi's
radio still decodes (about -95) a closed door decides whether a call is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A device under test. `occurred` is None until what it is there for has been heard of it.

    `unsure`: it was heard, but by a clock that is not sure, so that its calls alert as always;
    `alive`: it was heard, but not doing what it is there for (nobody pressed it, say).
    """

    placement: UUID | None
    address: str
    role: str
    room: str
    occurred: datetime | None
    stored: datetime | None
    rssi: int | None
    times: int
    unsure: bool
    alive: bool

    @property
    def heard(self) -> bool:
        return self.occurred is not None

    @property
    def milliseconds(self) -> int | None:
        """From when the box heard it until it was stored here; a box's clock may be a bit ahead."""
        if self.occurred is None or self.stored is None:
            return None
        return max(0, (self.stored - self.occurred) // timedelta(milliseconds=1))

    @property
    def signal(self) -> Signal | None:
        """How strong the box heard it, in a word."""
        if self.rssi is None:
            return None
        for bound, word in BOUNDS:
            if self.rssi >= bound:
                return word
        return "poor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A walk test, which is the acceptance record when it is over.

    `by` and `ender` are names, as far as the caller may see them; `command`: it was begun on the
    gateway itself. `closed` is when it was written down as ended, and None before.
    """

    number: int
    public: UUID
    edge: str
    home: int
    by: str | None
    command: bool
    started: datetime
    until: datetime
    closed: datetime | None
    ended_by: str | None
    ender: str | None
    remark: str
    devices: Sequence[Tried]

    def runs(self, now: datetime) -> bool:
        """Whether calls of its devices are told to nobody at that time."""
        return self.closed is None and now < self.until

    def by_itself(self, now: datetime) -> bool:
        """Whether its time ran out before anybody signed it off."""
        return not self.runs(now) and self.ended_by not in {"person", "box"}

    @property
    def ended(self) -> datetime:
        """When it was over, or will be at the latest."""
        return self.closed or self.until

    @property
    def missing(self) -> Sequence[Tried]:
        """What was not heard."""
        return [one for one in self.devices if not one.heard]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderTest:
    """A home whose devices are tried just now: who lives there, and until when."""

    citizens: Sequence[int]
    names: Sequence[str]
    until: datetime


_TESTS = """
    SELECT t.id AS number, t.public, e.name AS edge, t.home, t.started, t.until,
           t.ended AS closed, t.ended_by, t.remark, t.person IS NULL AS command,
           p.id AS person, p.login, i.name, q.id AS other, q.login AS other_login,
           j.name AS other_name
    FROM walk_test t
    JOIN edge e ON e.municipality = t.municipality AND e.id = t.edge
    LEFT JOIN person p ON p.municipality = t.municipality AND p.id = t.person
    LEFT JOIN identity.person i ON i.municipality = p.municipality AND i.person = p.id
    LEFT JOIN person q ON q.municipality = t.municipality AND q.id = t.ender
    LEFT JOIN identity.person j ON j.municipality = q.municipality AND j.person = q.id
    WHERE t.municipality = $1 AND e.name = $2 AND ($3::uuid IS NULL OR t.public = $3)
    ORDER BY t.started DESC LIMIT $4
"""
# What a device is there for: a button is pressed, a sensor of movement sees somebody, a door opens;
# of the others it is enough that they are heard.
_TELLS = """
    CASE WHEN d.role = 'call' THEN h.kind = ANY ($3::smallint[])
         WHEN d.role = 'motion' THEN h.kind = ANY ($4::smallint[]) AND h.active
         WHEN d.role IN ('door', 'contact') THEN h.kind = ANY ($5::smallint[]) AND h.active
         ELSE true END
"""
_DEVICES = f"""
    SELECT d.test, p.public AS placement, d.address, d.role, d.room, l.occurred, l.stored, l.rssi,
           n.times, n.unsure, n.alive
    FROM walk_device d
    LEFT JOIN placement p ON p.municipality = d.municipality AND p.id = d.placement
    LEFT JOIN LATERAL (
        SELECT h.occurred, h.stored, h.rssi FROM walk_heard h
        WHERE h.municipality = d.municipality AND h.test = d.test AND h.placement = d.placement
          AND h.clock = ANY ($6::smallint[]) AND {_TELLS}
        ORDER BY h.id DESC LIMIT 1) l ON true
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT h.occurred) FILTER (WHERE {_TELLS})::integer AS times,
               COALESCE(bool_or(h.clock <> ALL ($6::smallint[])), false) AS unsure,
               count(*) > 0 AS alive
        FROM walk_heard h
        WHERE h.municipality = d.municipality AND h.test = d.test
          AND h.placement = d.placement) n
    WHERE d.municipality = $1 AND d.test = ANY ($2::bigint[])
    ORDER BY d.test, d.room, d.role, d.placement
"""  # noqa: S608 - our own text
_RUNNING = """
    SELECT t.until,
           array_agg(c.id ORDER BY c.id) AS citizens,
           array_agg(i.name ORDER BY c.id) AS names
    FROM walk_test t
    JOIN citizen c ON c.municipality = t.municipality AND c.home = t.home
    LEFT JOIN identity.citizen i ON i.municipality = c.municipality AND i.citizen = c.id
    WHERE t.municipality = $1 AND t.ended IS NULL AND t.until > $2
    GROUP BY t.id, t.until ORDER BY t.until
"""
_KINDS = (
    [int(kind) for kind in (Kind.CALL_PRESSED, Kind.BUTTON, Kind.CALL_TEST)],
    [int(kind) for kind in (Kind.MOTION, Kind.OCCUPANCY, Kind.PRESENCE)],
    [int(kind) for kind in (Kind.DOOR, Kind.OPENING)],
    [int(clock) for clock in (ClockQuality.SYNCHRONISED, ClockQuality.CORRECTED)],
)


async def walk_tests(
    db: Connection,
    caller: Caller | int,
    edge: str,
    *,
    public: UUID | None = None,
    limit: int = 20,
) -> list[Test]:
    """The box's tests, the newest first, or the one of that id.

    Asked by the owner, of a municipality, it tells logins in place of names.
    """
    municipality = caller if isinstance(caller, int) else caller.municipality
    rows = await db.fetch(_TESTS, municipality, edge, public, limit)
    found = await db.fetch(_DEVICES, municipality, [row["number"] for row in rows], *_KINDS)
    who = None if isinstance(caller, int) else caller
    return [_test(row, [one for one in found if one["test"] == row["number"]], who) for row in rows]


async def walk_test(db: Connection, caller: Caller | int, edge: str, public: UUID) -> Test | None:
    """The test of that box and id, where it is there and the caller's to see."""
    return next(iter(await walk_tests(db, caller, edge, public=public, limit=1)), None)


async def running(db: Connection, caller: Caller, now: datetime) -> list[UnderTest]:
    """The homes under test that the caller may see; names as far as they may read them."""
    return [
        UnderTest(
            citizens=row["citizens"],
            names=[
                caller.opens(name, "citizen", citizen, "name") or ""
                for citizen, name in zip(row["citizens"], row["names"], strict=True)
            ],
            until=row["until"],
        )
        for row in await db.fetch(_RUNNING, caller.municipality, now)
    ]


def _test(row: Row, devices: Sequence[Row], caller: Caller | None) -> Test:
    fields = {name: row[name] for name in _AS_THEY_ARE}
    return Test(
        **fields,
        by=_name(caller, row["person"], row["name"], row["login"]),
        ender=_name(caller, row["other"], row["other_name"], row["other_login"]),
        devices=[Tried(**{name: one[name] for name in _OF_DEVICE}) for one in devices],
    )


def _name(caller: Caller | None, number: int | None, name: str | None, login: str) -> str | None:
    """None for who is hidden from the caller, and for nobody."""
    if number is None:
        return None
    return (caller and caller.opens(name, "person", number, "name")) or login


_AS_THEY_ARE = (
    *("number", "public", "edge", "home", "command", "started", "until", "closed"),
    *("ended_by", "remark"),
)
_OF_DEVICE = tuple(Tried.__dataclass_fields__)

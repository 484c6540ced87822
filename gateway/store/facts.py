"""Loads what the rules need to know of many citizens, in a few statements for all of them."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import repeat
from operator import attrgetter

from adapters.observation import ClockQuality, Kind
from gateway.home import Citizen, DosePlan, Slot
from gateway.rules.finding import UNPLACED, Contact, Heard, WalkTest
from gateway.store.claims import Claimed
from gateway.store.pool import Connection, Row

Starts = Mapping[Citizen, Mapping[str, datetime]]
"""By citizen and the name of a rule: where its window begins."""

_KINDS: Mapping[int, Kind] = {int(kind): kind for kind in Kind}
_OCCURRED = attrgetter("occurred")


@dataclass(frozen=True, slots=True)
class Portion:
    """Kinds of a role that the same rules read: loaded once for all of them."""

    number: int
    role: str
    kinds: tuple[Kind, ...]
    rules: tuple[str, ...]


def portions(reads: Mapping[str, frozenset[tuple[str, Kind]]]) -> tuple[Portion, ...]:
    """Divide what rules read, by their names, so that nothing is loaded twice."""
    readers: defaultdict[tuple[str, Kind], list[str]] = defaultdict(list)
    for rule, pairs in reads.items():
        for pair in pairs:
            readers[pair].append(rule)
    shared: defaultdict[tuple[str, tuple[str, ...]], list[Kind]] = defaultdict(list)
    for (role, kind), names in sorted(readers.items()):
        shared[role, tuple(names)].append(kind)
    return tuple(
        Portion(number, role, tuple(kinds), names)
        for number, ((role, names), kinds) in enumerate(shared.items())
    )


@dataclass(slots=True)
class Facts:
    """One citizen's facts. What was heard lies as it was loaded until a rule asks for it."""

    contacts: list[Contact] = field(default_factory=list[Contact])
    doses: list[DosePlan] = field(default_factory=list[DosePlan])
    tests: list[WalkTest] = field(default_factory=list[WalkTest])
    _rows: defaultdict[str, list[Row]] = field(
        default_factory=lambda: defaultdict[str, list[Row]](list)
    )

    def add(self, portion: Portion, row: Row) -> None:
        for rule in portion.rules:
            self._rows[rule].append(row)

    def heard(self, rule: str, start: datetime) -> tuple[Heard, ...]:
        """What the rule reads since the start of its window, in time order.

        What occurred at the same time is in the order of what was said and never of when it
        came, so that it cannot matter.
        """
        groups = [_since(start, list(_heard(row))) for row in self._rows[rule]]
        if len(groups) == 1:
            return tuple(groups[0])
        return tuple(sorted((one for group in groups for one in group), key=_OCCURRED))


# One row for each placement and kind, what was heard in arrays and nothing for what none of them
# has: four times as cheap to take in as a row for each observation. Of the chunks, those before $9
# are left out before the statement runs, and the index finds each (device, kind) with its time.
_SAID = f"""
    SELECT kind, array_agg(occurred) AS occurred, array_agg(value) AS value,
           CASE WHEN count(code) > 0 THEN array_agg(code) END AS code,
           CASE WHEN bool_or(clock = {ClockQuality.DEVICE:d})
                THEN array_agg(clock = {ClockQuality.DEVICE:d}) END AS dated
"""
_HEARD = f"""
    SELECT w.place, w.portion, p.device, p.id AS placement, p.role, p.room, o.*
    FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::integer[], $5::timestamptz[])
        AS w (place, municipality, citizen, portion, start)
    JOIN unnest($6::integer[], $7::text[], $8::text[]) AS r (portion, role, kinds)
        ON r.portion = w.portion
    JOIN placement p ON p.municipality = w.municipality AND p.citizen = w.citizen
                    AND p.role = r.role AND COALESCE(p."to", 'infinity') > w.start
    CROSS JOIN LATERAL (
        {_SAID} FROM (
            SELECT o.kind, o.occurred, o.value, o.code, o.clock FROM observation o
            WHERE o.device = p.device AND o.kind = ANY (r.kinds::smallint[])
              AND o.occurred >= $9 AND o.occurred >= GREATEST(w.start, p."from")
              AND o.occurred < COALESCE(p."to", 'infinity')
            ORDER BY o.kind, o.occurred, o.value, o.code, o.clock
        ) o GROUP BY kind
    ) o
    ORDER BY w.place, p.device, o.kind, p.id
"""  # noqa: S608 - our own text
# Calls of devices that are ours and were placed nowhere, of whoever lived where they were heard:
# of several who still live together, the first is told.
_UNPLACED = f"""
    SELECT w.place, w.portion, u.device, NULL::integer AS placement, '' AS role, '' AS room, o.*
    FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::integer[], $5::timestamptz[])
        AS w (place, municipality, citizen, portion, start)
    JOIN unnest($6::integer[], $7::text[], $8::text[]) AS r (portion, role, kinds)
        ON r.portion = w.portion
    JOIN unplaced_call u ON u.municipality = w.municipality AND u.citizen = w.citizen
                        AND u.occurred >= w.start
    CROSS JOIN LATERAL (
        {_SAID} FROM (
            SELECT o.kind, o.occurred, o.value, o.code, o.clock FROM observation o
            WHERE o.device = u.device AND o.kind = ANY (r.kinds::smallint[])
              AND o.occurred = u.occurred AND o.occurred >= $9
            ORDER BY o.kind, o.value, o.code, o.clock
        ) o GROUP BY kind
    ) o
    WHERE NOT EXISTS (
        SELECT FROM placement p
        WHERE p.municipality = u.municipality AND p.device = u.device
          AND p."from" <= u.occurred AND u.occurred < COALESCE(p."to", 'infinity')
    )
    AND NOT EXISTS (
        SELECT FROM citizen me
        JOIN citizen first ON first.municipality = me.municipality AND first.home = me.home
                          AND first.district = me.district AND first.id < me.id
        JOIN unplaced_call f ON f.municipality = first.municipality AND f.citizen = first.id
                            AND f.device = u.device AND f.occurred = u.occurred
        WHERE me.municipality = u.municipality AND me.id = u.citizen
    )
    ORDER BY w.place, u.device, o.kind, u.occurred
"""  # noqa: S608 - our own text
# Of the intervals that began before the window the last two: one may reach into it, and the one
# before tells since when there was none.
_CONTACTS = """
    SELECT w.place, e.id, e.name, k."from", k."to", k.ended_by, k.sure_from,
           EXISTS (
               SELECT FROM citizen c
               JOIN placement p ON p.municipality = c.municipality AND p.citizen = c.id
               WHERE c.municipality = e.municipality AND c.home = e.home
                 AND p.role = 'call'
                 AND (p."to" IS NULL OR p."to" > COALESCE(k."to", k."from"))
           ) AS call_button
    FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::timestamptz[])
        AS w (place, municipality, home, start)
    JOIN edge e ON e.municipality = w.municipality AND e.home = w.home
    CROSS JOIN LATERAL (
        (SELECT * FROM contact k
         WHERE k.municipality = e.municipality AND k.edge = e.id AND k."from" >= w.start)
        UNION ALL
        (SELECT * FROM contact k
         WHERE k.municipality = e.municipality AND k.edge = e.id AND k."from" < w.start
         ORDER BY k."from" DESC LIMIT 2)
    ) k
    ORDER BY e.name, k."from"
"""
_DOSES = """
    SELECT w.place, d.id AS plan, d.placement, d.zone,
           GREATEST(d.valid_from, p."from") AS valid_from, d.valid_to, p."to" AS placed_until,
           s.slot, s.at, s.window_minutes, s.grace_minutes
    FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::timestamptz[])
        AS w (place, municipality, citizen, start)
    JOIN placement p ON p.municipality = w.municipality AND p.citizen = w.citizen
    JOIN dose_plan d ON d.municipality = p.municipality AND d.placement = p.id
    JOIN dose_plan_slot s ON s.municipality = d.municipality AND s.plan = d.id
    WHERE p.role = 'dispenser' AND COALESCE(d.valid_to, 'infinity') > w.start - interval '2 days'
    ORDER BY d.placement, d.valid_from, d.id, s.slot
"""

# What the technician saw came, by a sure clock, while the test ran: a press made after its end
# arrives after its end, whatever any clock says. The newest tests first, for there are few.
_TESTS = """
    SELECT w.place, d.placement, t.started, COALESCE(t.ended, t.until) AS ended, array(
        SELECT o.occurred FROM observation o
        WHERE o.device = p.device AND o.kind = ANY ($5::smallint[])
          AND o.occurred >= t.started AND o.occurred < COALESCE(t.ended, t.until)
        GROUP BY o.occurred
        HAVING bool_and(o.clock = ANY ($6::smallint[])
                        AND o.received >= t.started AND o.received < COALESCE(t.ended, t.until))
    ) AS seen
    FROM walk_test t
    JOIN walk_device d ON d.municipality = t.municipality AND d.test = t.id AND d.role = 'call'
    JOIN placement p ON p.municipality = d.municipality AND p.id = d.placement
    JOIN unnest($1::integer[], $2::integer[], $3::integer[], $4::timestamptz[])
        AS w (place, municipality, citizen, start)
        ON w.municipality = p.municipality AND w.citizen = p.citizen
    WHERE t.until > $7 AND t.until > w.start
    ORDER BY w.place, d.placement, t.started
"""
_CALLS = [int(kind) for kind in (Kind.CALL_PRESSED, Kind.BUTTON)]
_SURE = [int(clock) for clock in (ClockQuality.SYNCHRONISED, ClockQuality.CORRECTED)]


async def load(
    db: Connection, claimed: Iterable[Claimed], starts: Starts, reads: Sequence[Portion]
) -> dict[Citizen, Facts]:
    """Return what is known of each citizen since the starts of its rules' windows."""
    people = list(claimed)
    facts = [Facts() for _ in people]
    for statement, wanted in (
        (_HEARD, [portion for portion in reads if portion.role != UNPLACED]),
        (_UNPLACED, [portion for portion in reads if portion.role == UNPLACED]),
    ):
        if people and wanted:
            for row in await db.fetch(statement, *_asked(people, starts, wanted)):
                place, portion = int(row["place"]), int(row["portion"])
                facts[place].add(reads[portion], row)
    if people:
        await _load_contacts(db, people, starts, facts)
        await _load_doses(db, people, starts, facts)
        await _load_tests(db, people, starts, facts)
    return {one.citizen: known for one, known in zip(people, facts, strict=True)}


def _asked(
    people: Sequence[Claimed], starts: Starts, wanted: Sequence[Portion]
) -> tuple[object, ...]:
    rows = [
        (place, one.citizen, portion.number, min(starts[one.citizen][r] for r in portion.rules))
        for place, one in enumerate(people)
        for portion in wanted
    ]
    return (
        [row[0] for row in rows],
        [row[1].municipality for row in rows],
        [row[1].number for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
        [portion.number for portion in wanted],
        [portion.role for portion in wanted],
        ["{" + ",".join(str(int(kind)) for kind in portion.kinds) + "}" for portion in wanted],
        min(row[3] for row in rows),
    )


def _heard(row: Row) -> Iterator[Heard]:
    kind = _KINDS[row["kind"]]
    return map(
        Heard._make,
        zip(
            row["occurred"],
            repeat(row["device"]),
            repeat(row["placement"]),
            repeat(row["role"]),
            repeat(row["room"]),
            repeat(kind),
            row["value"],
            row["code"] or repeat(None),
            row["dated"] or repeat(False),  # noqa: FBT003 - a column of them
            strict=False,  # repeat has no end
        ),
    )


def _since(start: datetime, heard: list[Heard]) -> list[Heard]:
    if heard[0].occurred >= start:
        return heard
    return heard[bisect_left(heard, start, key=_OCCURRED) :]


async def _load_contacts(
    db: Connection, people: Sequence[Claimed], starts: Starts, facts: Sequence[Facts]
) -> None:
    homes = [one.home for one in people]
    for row in await db.fetch(_CONTACTS, *_places(people, homes, starts)):
        place: int
        place, number, name, since, until, ended_by, sure_from, call_button = row
        contact = Contact(number, name, since, until, ended_by, sure_from, call_button)
        facts[place].contacts.append(contact)


async def _load_doses(
    db: Connection, people: Sequence[Claimed], starts: Starts, facts: Sequence[Facts]
) -> None:
    numbers = [one.citizen.number for one in people]
    plans: dict[tuple[int, int], list[Row]] = {}
    for row in await db.fetch(_DOSES, *_places(people, numbers, starts)):
        plans.setdefault((row["place"], row["plan"]), []).append(row)
    for (place, _), slots in plans.items():
        facts[place].doses.append(_plan(slots))


async def _load_tests(
    db: Connection, people: Sequence[Claimed], starts: Starts, facts: Sequence[Facts]
) -> None:
    numbers = [one.citizen.number for one in people]
    earliest = min(min(starts[one.citizen].values()) for one in people)
    asked = _places(people, numbers, starts)
    for row in await db.fetch(_TESTS, *asked, _CALLS, _SURE, earliest):
        place: int
        place, placement, start, end, seen = row
        facts[place].tests.append(WalkTest(placement, start, end, frozenset(seen)))


def _places(
    people: Sequence[Claimed], keys: Sequence[int], starts: Starts
) -> tuple[Sequence[object], ...]:
    return (
        range(len(people)),
        [one.citizen.municipality for one in people],
        keys,
        [min(starts[one.citizen].values()) for one in people],
    )


def _plan(rows: Sequence[Row]) -> DosePlan:
    head = rows[0]
    slots = tuple(
        Slot(
            row["slot"],
            row["at"],
            timedelta(minutes=row["window_minutes"]),
            timedelta(minutes=row["grace_minutes"]),
        )
        for row in rows
    )
    return DosePlan(
        head["placement"],
        slots,
        head["valid_from"],
        head["valid_to"],
        head["zone"],
        head["placed_until"],
    )

"""Loads what the rules need to know of many citizens, in a few statements for all of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from adapters.observation import ClockQuality, Kind
from gateway.home import Citizen, DosePlan, Slot
from gateway.rules.finding import UNPLACED, Contact, Heard
from gateway.store.claims import Claimed
from gateway.store.pool import Connection, Row

Reads = Mapping[str, frozenset[tuple[str, Kind]]]
"""By the name of a rule: the (role, kind) pairs that it looks at."""
Starts = Mapping[Citizen, Mapping[str, datetime]]
"""By citizen and the name of a rule: where its window begins."""


@dataclass(slots=True)
class Facts:
    """One citizen's facts; what was heard stands under the rule that reads it."""

    heard: defaultdict[str, list[Heard]] = field(
        default_factory=lambda: defaultdict[str, list[Heard]](list)
    )
    contacts: list[Contact] = field(default_factory=list[Contact])
    doses: list[DosePlan] = field(default_factory=list[DosePlan])


# The order is by what was said and never by when it came, so that it cannot matter.
_HEARD = """
    SELECT w.municipality, w.citizen, w.rule, p.id AS placement, p.role, p.room,
           o.device, o.kind, o.occurred, o.received, o.value, o.code, o.clock
    FROM unnest($1::integer[], $2::integer[], $3::text[], $4::timestamptz[])
        AS w (municipality, citizen, rule, start)
    JOIN placement p ON p.municipality = w.municipality AND p.citizen = w.citizen
    JOIN unnest($5::text[], $6::text[], $7::smallint[]) AS r (rule, role, kind)
        ON r.rule = w.rule AND r.role = p.role
    CROSS JOIN LATERAL (
        SELECT o.* FROM observation o
        WHERE o.device = p.device AND o.kind = r.kind AND o.occurred >= $8
          AND o.occurred >= GREATEST(w.start, p."from")
          AND o.occurred < COALESCE(p."to", 'infinity')
    ) o
    ORDER BY o.occurred, o.device, o.kind, o.value, o.code, p.id
"""
# Calls of devices that are ours and were placed nowhere, of whoever lived where they were heard:
# of several who still live together, the first is told.
_UNPLACED = """
    SELECT w.municipality, w.citizen, w.rule, NULL::integer AS placement, '' AS role, '' AS room,
           o.device, o.kind, o.occurred, o.received, o.value, o.code, o.clock
    FROM unnest($1::integer[], $2::integer[], $3::text[], $4::timestamptz[])
        AS w (municipality, citizen, rule, start)
    JOIN unplaced_call u ON u.municipality = w.municipality AND u.citizen = w.citizen
                        AND u.occurred >= w.start
    JOIN unnest($5::text[], $6::smallint[]) AS r (rule, kind) ON r.rule = w.rule
    CROSS JOIN LATERAL (
        SELECT o.* FROM observation o
        WHERE o.device = u.device AND o.kind = r.kind AND o.occurred = u.occurred
          AND o.occurred >= $7
    ) o
    WHERE NOT EXISTS (
        SELECT FROM placement p
        WHERE p.municipality = u.municipality AND p.device = u.device
          AND p."from" <= o.occurred AND o.occurred < COALESCE(p."to", 'infinity')
    )
    AND NOT EXISTS (
        SELECT FROM citizen me
        JOIN citizen first ON first.municipality = me.municipality AND first.home = me.home
                          AND first.district = me.district AND first.id < me.id
        JOIN unplaced_call f ON f.municipality = first.municipality AND f.citizen = first.id
                            AND f.device = u.device AND f.occurred = u.occurred
        WHERE me.municipality = u.municipality AND me.id = u.citizen
    )
    ORDER BY o.occurred, o.device, o.kind, o.value, o.code
"""
# Of the intervals that began before the window the last two: one may reach into it, and the one
# before tells since when there was none.
_CONTACTS = """
    SELECT w.municipality, w.citizen, e.id, e.name, k."from", k."to", k.ended_by, k.sure_from,
           EXISTS (
               SELECT FROM citizen c
               JOIN placement p ON p.municipality = c.municipality AND p.citizen = c.id
               WHERE c.municipality = e.municipality AND c.home = e.home
                 AND p.role = 'call'
                 AND (p."to" IS NULL OR p."to" > COALESCE(k."to", k."from"))
           ) AS call_button
    FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::timestamptz[])
        AS w (municipality, citizen, home, start)
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
    SELECT w.municipality, w.citizen, d.id AS plan, d.placement, d.zone,
           GREATEST(d.valid_from, p."from") AS valid_from, d.valid_to, p."to" AS placed_until,
           s.slot, s.at, s.window_minutes, s.grace_minutes
    FROM unnest($1::integer[], $2::integer[], $3::timestamptz[])
        AS w (municipality, citizen, start)
    JOIN placement p ON p.municipality = w.municipality AND p.citizen = w.citizen
    JOIN dose_plan d ON d.municipality = p.municipality AND d.placement = p.id
    JOIN dose_plan_slot s ON s.municipality = d.municipality AND s.plan = d.id
    WHERE p.role = 'dispenser' AND COALESCE(d.valid_to, 'infinity') > w.start - interval '2 days'
    ORDER BY d.placement, d.valid_from, d.id, s.slot
"""


async def load(
    db: Connection, claimed: Iterable[Claimed], starts: Starts, reads: Reads
) -> dict[Citizen, Facts]:
    """Return what is known of each citizen since the starts of its rules' windows."""
    people = list(claimed)
    facts = {one.citizen: Facts() for one in people}
    if not people:
        return facts
    placed = await db.fetch(_HEARD, *_placed(people, starts, reads))
    unplaced = await db.fetch(_UNPLACED, *_unplaced(people, starts, reads))
    for row in [*placed, *unplaced]:
        facts[_citizen(row)].heard[row["rule"]].append(_heard(row))
    for row in unplaced:
        facts[_citizen(row)].heard[row["rule"]].sort(key=lambda one: one.occurred)
    await _load_contacts(db, people, starts, facts)
    await _load_doses(db, people, starts, facts)
    return facts


def _placed(people: Sequence[Claimed], starts: Starts, reads: Reads) -> tuple[object, ...]:
    pairs = [(name, role, kind) for name in reads for role, kind in reads[name] if role]
    names = sorted({name for name, _, _ in pairs})
    rows = [(one.citizen, name, starts[one.citizen][name]) for one in people for name in names]
    return (
        [row[0].municipality for row in rows],
        [row[0].number for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        [pair[0] for pair in pairs],
        [pair[1] for pair in pairs],
        [int(pair[2]) for pair in pairs],
        min((row[2] for row in rows), default=None),
    )


def _unplaced(people: Sequence[Claimed], starts: Starts, reads: Reads) -> tuple[object, ...]:
    pairs = [(name, kind) for name in reads for role, kind in reads[name] if role == UNPLACED]
    names = sorted({name for name, _ in pairs})
    rows = [(one, name, starts[one.citizen][name]) for one in people for name in names]
    return (
        [row[0].citizen.municipality for row in rows],
        [row[0].citizen.number for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        [pair[0] for pair in pairs],
        [int(pair[1]) for pair in pairs],
        min((row[2] for row in rows), default=None),
    )


async def _load_contacts(
    db: Connection, people: Sequence[Claimed], starts: Starts, facts: Mapping[Citizen, Facts]
) -> None:
    rows = await db.fetch(
        _CONTACTS,
        [one.citizen.municipality for one in people],
        [one.citizen.number for one in people],
        [one.home for one in people],
        [_first(starts, one.citizen) for one in people],
    )
    for row in rows:
        contact = Contact(
            row["id"],
            row["name"],
            row["from"],
            row["to"],
            row["ended_by"],
            row["sure_from"],
            row["call_button"],
        )
        facts[_citizen(row)].contacts.append(contact)


async def _load_doses(
    db: Connection, people: Sequence[Claimed], starts: Starts, facts: Mapping[Citizen, Facts]
) -> None:
    rows = await db.fetch(
        _DOSES,
        [one.citizen.municipality for one in people],
        [one.citizen.number for one in people],
        [_first(starts, one.citizen) for one in people],
    )
    plans: dict[tuple[Citizen, int], list[Row]] = {}
    for row in rows:
        plans.setdefault((_citizen(row), row["plan"]), []).append(row)
    for (citizen, _), slots in plans.items():
        facts[citizen].doses.append(_plan(slots))


def _first(starts: Starts, citizen: Citizen) -> datetime:
    return min(starts[citizen].values())


def _citizen(row: Row) -> Citizen:
    return Citizen(row["municipality"], row["citizen"])


def _heard(row: Row) -> Heard:
    return Heard(
        row["occurred"],
        row["received"],
        row["device"],
        row["placement"],
        row["role"],
        row["room"],
        Kind(row["kind"]),
        row["value"],
        row["code"],
        row["clock"] == ClockQuality.DEVICE,
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

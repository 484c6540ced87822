"""Keeps what the rules found, and gives back what may still change."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from gateway.alerts.casework import Kept
from gateway.home import Citizen
from gateway.store.facts import Starts
from gateway.store.pool import Connection

# The recent ones, those that are open however old (index finding_open), and all that belong to an
# open alert: an alert's text is made of its findings.
_KEPT = """
    WITH wanted AS (
        SELECT f.municipality, f.id
        FROM unnest($1::integer[], $2::integer[], $3::text[], $4::timestamptz[])
            AS w (municipality, citizen, rule, start)
        JOIN finding f ON f.municipality = w.municipality AND f.citizen = w.citizen
                      AND f.rule = w.rule AND f.since >= w.start
        UNION
        SELECT f.municipality, f.id
        FROM unnest($5::integer[], $6::integer[]) AS w (municipality, citizen)
        JOIN finding f ON f.municipality = w.municipality AND f.citizen = w.citizen
        WHERE f.state = 'unknown' OR (f.rule = 'box_silent' AND f.state = 'holds')
        UNION
        SELECT f.municipality, f.id
        FROM unnest($5::integer[], $6::integer[]) AS w (municipality, citizen)
        JOIN alert a ON a.municipality = w.municipality AND a.citizen = w.citizen
                    AND a.state <> 'closed'
        JOIN finding f ON f.municipality = a.municipality AND f.alert = a.id
    )
    SELECT f.municipality, f.citizen, f.id AS number, f.rule, f.rule_version, f.subject, f.since,
           f.until, f.state, f.reason, f.late, a.public AS alert, a.kind AS alert_kind
    FROM wanted
    JOIN finding f ON f.municipality = wanted.municipality AND f.id = wanted.id
    LEFT JOIN alert a ON a.municipality = f.municipality AND a.id = f.alert
    ORDER BY f.id
"""
_NEW = """
    INSERT INTO finding (municipality, citizen, rule, rule_version, subject, since, until, state,
                         reason, late, alert)
    SELECT w.municipality, w.citizen, w.rule, w.version, w.subject, w.since, w.until, w.state,
           w.reason, w.late, a.id
    FROM unnest($1::integer[], $2::integer[], $3::text[], $4::integer[], $5::text[],
                $6::timestamptz[], $7::timestamptz[], $8::text[], $9::text[], $10::boolean[],
                $11::uuid[])
        AS w (municipality, citizen, rule, version, subject, since, until, state, reason, late,
              alert)
    LEFT JOIN alert a ON a.municipality = w.municipality AND a.public = w.alert
"""
_CHANGED = """
    UPDATE finding f
    SET since = w.since, until = w.until, state = w.state, reason = w.reason, alert = a.id
    FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::text[],
                $6::text[], $7::uuid[])
        AS w (municipality, id, since, until, state, reason, alert)
    LEFT JOIN alert a ON a.municipality = w.municipality AND a.public = w.alert
    WHERE f.municipality = w.municipality AND f.id = w.id
"""


_KEPT_AS = ("rule", "rule_version", "subject", "since", "until", "state", "reason", "late", "alert")
_MAY_CHANGE = ("number", "since", "until", "state", "reason", "alert")


async def kept(db: Connection, starts: Starts) -> defaultdict[Citizen, list[Kept]]:
    """Return the findings that may change when the windows begin at `starts`.

    Among them is everything that a rule does not know yet, however old.
    """
    wanted = [
        (citizen, rule, start) for citizen in starts for rule, start in starts[citizen].items()
    ]
    rows = await db.fetch(
        _KEPT,
        *_columns(citizen for citizen, _, _ in wanted),
        [rule for _, rule, _ in wanted],
        [start for _, _, start in wanted],
        *_columns(starts),
    )
    found: defaultdict[Citizen, list[Kept]] = defaultdict(list)
    for row in rows:
        known = {name: row[name] for name in ("number", *_KEPT_AS, "alert_kind")}
        found[Citizen(row["municipality"], row["citizen"])].append(Kept(**known))
    return found


async def keep(db: Connection, changed: Mapping[Citizen, Iterable[Kept]]) -> None:
    """Write new findings and the changes of old ones; their alerts must be there already."""
    rows = [(citizen, one) for citizen in changed for one in changed[citizen]]
    new = [(citizen, one) for citizen, one in rows if one.number is None]
    old = [(citizen, one) for citizen, one in rows if one.number is not None]
    if new:
        own = [[getattr(one, name) for _, one in new] for name in _KEPT_AS]
        await db.execute(_NEW, *_columns(citizen for citizen, _ in new), *own)
    if old:
        own = [[getattr(one, name) for _, one in old] for name in _MAY_CHANGE]
        await db.execute(_CHANGED, [citizen.municipality for citizen, _ in old], *own)


def _columns(citizens: Iterable[Citizen]) -> tuple[list[int], list[int]]:
    pairs = [(one.municipality, one.number) for one in citizens]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

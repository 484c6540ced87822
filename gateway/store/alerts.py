"""Keeps alerts: the open ones of a citizen, new ones, and what their findings change in them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gateway.alerts.alert import Alert
from gateway.home import Citizen
from gateway.store.claims import Claimed
from gateway.store.pool import Connection

_OPEN = """
    SELECT a.municipality, a.citizen, a.public, a.kind, a.since, a.raised, a.reason, a.state,
           a.late, a.remade, a.ended, a.holder, a.outcome, a.outcome_text, a.version
    FROM unnest($1::integer[], $2::integer[]) AS w (municipality, citizen)
    JOIN alert a ON a.municipality = w.municipality AND a.citizen = w.citizen
    WHERE a.state <> 'closed'
    ORDER BY a.municipality, a.id
"""
# A person may be closing one of them: wait for that, and look again at what is still open.
_OPEN_LOCKED = f"{_OPEN} FOR NO KEY UPDATE OF a"
_NEW = """
    INSERT INTO alert (municipality, district, citizen, public, kind, since, raised, reason, late,
                       remade, ended, version)
    SELECT * FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::uuid[], $5::text[],
                         $6::timestamptz[], $7::timestamptz[], $8::text[], $9::boolean[],
                         $10::boolean[], $11::timestamptz[], $12::integer[])
"""
_CHANGED = """
    UPDATE alert a
    SET since = w.since, raised = w.raised, reason = w.reason, ended = w.ended,
        version = w.version, remade = w.remade
    FROM unnest($1::integer[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::text[],
                $6::timestamptz[], $7::integer[], $8::boolean[])
        AS w (municipality, public, since, raised, reason, ended, version, remade)
    WHERE a.municipality = w.municipality AND a.public = w.public
"""
_TOLD = "SELECT pg_notify('alert', public::text) FROM unnest($1::uuid[]) AS w (public)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One alert to write, new or changed, and whose it is."""

    claimed: Claimed
    alert: Alert
    is_new: bool


async def open_alerts(
    db: Connection, citizens: Collection[Citizen], *, lock: bool = False
) -> defaultdict[Citizen, list[Alert]]:
    """Return the alerts that nobody has closed. Locked, they stay so until the transaction ends."""
    pairs = [(one.municipality, one.number) for one in citizens]
    rows = await db.fetch(
        _OPEN_LOCKED if lock else _OPEN, [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    )
    found: defaultdict[Citizen, list[Alert]] = defaultdict(list)
    for row in rows:
        fields = {name: value for name, value in row.items() if name not in _NOT_IN_ALERT}
        found[Citizen(row["municipality"], row["citizen"])].append(Alert(**fields))
    return found


_NOT_IN_ALERT = ("municipality", "citizen")


async def keep(db: Connection, written: Sequence[Written]) -> None:
    """Write alerts, and announce each to whoever shows them. Changed ones must be locked."""
    new = [one for one in written if one.is_new]
    changed = [one for one in written if not one.is_new]
    if new:
        await _insert(db, new)
    if changed:
        await db.execute(
            _CHANGED,
            [one.claimed.citizen.municipality for one in changed],
            [one.alert.public for one in changed],
            [one.alert.since for one in changed],
            [one.alert.raised for one in changed],
            [one.alert.reason for one in changed],
            [one.alert.ended for one in changed],
            [one.alert.version for one in changed],
            [one.alert.remade for one in changed],
        )
    if written:
        await db.execute(_TOLD, [one.alert.public for one in written])


async def _insert(db: Connection, new: Iterable[Written]) -> None:
    rows = list(new)
    await db.execute(
        _NEW,
        [one.claimed.citizen.municipality for one in rows],
        [one.claimed.district for one in rows],
        [one.claimed.citizen.number for one in rows],
        [one.alert.public for one in rows],
        [one.alert.kind for one in rows],
        [one.alert.since for one in rows],
        [one.alert.raised for one in rows],
        [one.alert.reason for one in rows],
        [one.alert.late for one in rows],
        [one.alert.remade for one in rows],
        [one.alert.ended for one in rows],
        [one.alert.version for one in rows],
    )

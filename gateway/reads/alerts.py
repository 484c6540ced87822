"""The alerts a caller may see, newest first, with their findings and moves.

Read inside `asking`: which municipality, districts and emergencies is the policies' to say. The
municipality stands in every statement besides, because every key begins with it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.alerts.alert import Kind, Outcome, State
from gateway.alerts.alert import Move as MoveName
from gateway.store.caller import Caller
from gateway.store.pool import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member of staff. `name` is None for callers who work with ids."""

    public: UUID
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Citizen:
    """A citizen as an alert shows them. Names are None for callers who work with ids."""

    id: int
    public: UUID
    name: str | None
    address: str | None
    phone: str | None
    entry: str | None
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found, and why; `reason` is Danish."""

    rule: str
    subject: str
    since: datetime
    until: datetime | None
    state: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What someone did with the alert."""

    move: MoveName
    person: Person
    at: datetime
    before: State
    after: State
    outcome: Outcome | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A case a person must look at, as its reader sees it. Times are UTC."""

    public: UUID
    kind: Kind
    state: State
    citizen: Citizen
    since: datetime
    raised: datetime
    late: bool
    remade: bool
    ended: datetime | None
    reason: str
    holder: Person | None
    outcome: Outcome | None
    outcome_text: str
    version: int
    findings: tuple[Finding, ...] = ()
    moves: tuple[Move, ...] = ()


_ALERT = """
    SELECT a.id, a.public, a.kind, a.state, a.since, a.raised, a.late, a.remade, a.ended,
           a.reason,
           a.outcome, a.outcome_text, a.version,
           a.citizen, c.public AS citizen_public, h.zone,
           CASE WHEN $2 THEN i.name END AS citizen_name,
           CASE WHEN $2 THEN i.address END AS address,
           CASE WHEN $2 THEN i.phone END AS phone,
           CASE WHEN $2 THEN i.entry END AS entry,
           p.id AS holder_id, p.public AS holder_public,
           CASE WHEN $2 THEN COALESCE(NULLIF(s.name, ''), p.login) END AS holder_name
    FROM alert a
    JOIN citizen c ON c.municipality = a.municipality AND c.id = a.citizen
    JOIN home h ON h.municipality = c.municipality AND h.id = c.home
    LEFT JOIN identity.citizen i ON i.municipality = c.municipality AND i.citizen = c.id
    LEFT JOIN (person p LEFT JOIN identity.person s
               ON s.municipality = p.municipality AND s.person = p.id)
        ON p.municipality = a.municipality AND p.id = a.holder
    WHERE a.municipality = $1
"""
_WANTED = f"""{_ALERT}
      AND ($3::text[] IS NULL OR a.state = ANY ($3))
      AND ($4::text[] IS NULL OR a.kind = ANY ($4))
      AND ($5::timestamptz IS NULL OR (a.raised, a.id) < ($5, $6))
"""
_NEWEST = "ORDER BY a.raised DESC, a.id DESC LIMIT $7"
_LIST = f"{_WANTED} {_NEWEST}"
_LIST_OPEN = f"{_WANTED} AND a.state <> 'closed' {_NEWEST}"
"""Said outright, so that the index of the few open ones is used beside years of closed ones."""
_ONE = f"{_ALERT} AND a.public = $3"
_POSITION = """
    SELECT raised, id FROM alert
    WHERE municipality = $1 AND public = $2
"""
_FINDINGS = """
    SELECT alert, rule, subject, since, until, state, reason FROM finding
    WHERE municipality = $1 AND alert = ANY ($2::bigint[]) AND state <> 'withdrawn'
    ORDER BY since, id
"""
_MOVES = """
    SELECT v.alert, v.move, v.at, v.before, v.after, v.outcome, v.text, p.public, p.id AS person,
           CASE WHEN $3 THEN COALESCE(NULLIF(s.name, ''), p.login) END AS name
    FROM alert_move v
    JOIN person p ON p.municipality = v.municipality AND p.id = v.person
    LEFT JOIN identity.person s ON s.municipality = p.municipality AND s.person = p.id
    WHERE v.municipality = $1 AND v.alert = ANY ($2::bigint[])
    ORDER BY v.id
"""


async def alerts(
    db: Connection,
    caller: Caller,
    *,
    states: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[Alert]:
    """At most `limit` alerts, newest first, those after the alert `after` if one is named.

    Raises LookupError when the caller may not see `after`, or it does not exist.
    """
    position = None
    if after is not None:
        position = await db.fetchrow(_POSITION, caller.municipality, after)
        if position is None:
            raise LookupError(str(after))
    rows = await db.fetch(
        _LIST if states is None or "closed" in states else _LIST_OPEN,
        caller.municipality,
        caller.sees_names,
        states,
        kinds,
        position and position["raised"],
        position and position["id"],
        limit,
    )
    return await _whole(db, caller, rows)


async def alert(db: Connection, caller: Caller, public: UUID) -> Alert:
    """One alert. Raises LookupError when it is not there for this caller."""
    row = await db.fetchrow(_ONE, caller.municipality, caller.sees_names, public)
    if row is None:
        raise LookupError(str(public))
    return (await _whole(db, caller, [row]))[0]


async def _whole(db: Connection, caller: Caller, rows: Sequence[Row]) -> list[Alert]:
    ids = [row["id"] for row in rows]
    findings = await db.fetch(_FINDINGS, caller.municipality, ids)
    moves = await db.fetch(_MOVES, caller.municipality, ids, caller.sees_names)
    found, made = _by_alert(findings), _by_alert(moves)
    return [
        _alert(
            caller,
            row,
            tuple(map(_finding, found[row["id"]])),
            tuple(_move(caller, move) for move in made[row["id"]]),
        )
        for row in rows
    ]


def _by_alert(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    grouped: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["alert"]].append(row)
    return grouped


def _finding(row: Row) -> Finding:
    return Finding(
        rule=row["rule"],
        subject=row["subject"],
        since=row["since"],
        until=row["until"],
        state=row["state"],
        reason=row["reason"],
    )


def _move(caller: Caller, row: Row) -> Move:
    return Move(
        move=row["move"],
        person=_person(caller, row["public"], row["person"], row["name"]),
        at=row["at"],
        before=row["before"],
        after=row["after"],
        outcome=row["outcome"],
        text=row["text"],
    )


def _person(caller: Caller, public: UUID, number: int, name: str | None) -> Person:
    return Person(public=public, name=caller.opens(name, "person", number, "name"))


def _alert(
    caller: Caller, row: Row, findings: tuple[Finding, ...], moves: tuple[Move, ...]
) -> Alert:
    holder = None
    if row["holder_public"] is not None:
        holder = _person(caller, row["holder_public"], row["holder_id"], row["holder_name"])
    return Alert(
        public=row["public"],
        kind=row["kind"],
        state=row["state"],
        citizen=_citizen(caller, row),
        since=row["since"],
        raised=row["raised"],
        late=row["late"],
        remade=row["remade"],
        ended=row["ended"],
        reason=row["reason"],
        holder=holder,
        outcome=row["outcome"],
        outcome_text=row["outcome_text"],
        version=row["version"],
        findings=findings,
        moves=moves,
    )


def _citizen(caller: Caller, row: Row) -> Citizen:
    def opened(kept: str | None, column: str) -> str | None:
        return caller.opens(kept, "citizen", row["citizen"], column)

    return Citizen(
        id=row["citizen"],
        public=row["citizen_public"],
        name=opened(row["citizen_name"], "name"),
        address=opened(row["address"], "address"),
        phone=opened(row["phone"], "phone"),
        entry=opened(row["entry"], "entry"),
        zone=row["zone"],
    )

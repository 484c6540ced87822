"""A person moves an alert: under the alert's row lock, written down for ever, announced to all."""

from datetime import datetime
from uuid import UUID

from gateway.alerts.alert import Alert, IllegalMove, Move, Outcome, RefusedMove, move
from gateway.store import looks
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.pool import Connection, Pool, Row


class VersionPassed(RefusedMove):
    """The alert has changed since the caller saw it: look again, then decide."""


class AlreadyTaken(IllegalMove):
    """Somebody else has the alert; `name` is who."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has taken the alert already")
        self.name = name


_LOCKED = """
    SELECT a.id, a.citizen, a.public, a.kind, a.state, a.since, a.raised, a.reason, a.late, a.ended,
           a.holder, a.outcome, a.outcome_text, a.version
    FROM alert a
    WHERE a.municipality = $1 AND a.public = $2
    FOR NO KEY UPDATE
"""
_MOVED = """
    UPDATE alert SET state = $3, holder = $4, outcome = $5, outcome_text = $6, version = $7
    WHERE municipality = $1 AND id = $2
"""
_WRITTEN = """
    INSERT INTO alert_move (municipality, alert, move, person, at, before, after, outcome, text)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_LAST = """
    SELECT move, person, outcome FROM alert_move WHERE municipality = $1 AND alert = $2
    ORDER BY id DESC LIMIT 1
"""
_NAME = """
    SELECT COALESCE(NULLIF(i.name, ''), p.login) FROM person p
    LEFT JOIN identity.person i ON i.municipality = p.municipality AND i.person = p.id
    WHERE p.municipality = $1 AND p.id = $2
"""


async def make_move(
    pool: Pool,
    caller: Caller,
    public: UUID,
    wanted: Move,
    *,
    now: datetime,
    version: int | None = None,
    outcome: Outcome | None = None,
    text: str = "",
) -> None:
    """The caller makes the move. The same move twice in a row by one person is one move.

    Raises LookupError when the alert is not there for this caller, and RefusedMove
    (VersionPassed, AlreadyTaken, IllegalMove, …) when it cannot be made; then nothing changed.
    """
    async with asking(pool, caller) as db:
        row = await db.fetchrow(_LOCKED, caller.municipality, public)
        if row is None:
            raise LookupError(str(public))
        if await _is_repeated(db, caller, row["id"], wanted, outcome):
            return
        before = _alert(row)
        if version is not None and version != before.version:
            raise VersionPassed(f"the alert has version {before.version} now, not {version}")
        await _refuse_if_taken(db, caller, before, wanted)
        after = move(before, wanted, person=caller.person, outcome=outcome, text=text)
        await _keep(db, caller, row, after, made=wanted, now=now, text=text.strip())


async def _is_repeated(
    db: Connection, caller: Caller, alert: int, wanted: Move, outcome: Outcome | None
) -> bool:
    """A thumb that pressed twice, or a phone that asked again after losing the answer."""
    last = await db.fetchrow(_LAST, caller.municipality, alert)
    same = (wanted, caller.person, outcome)
    return last is not None and (last["move"], last["person"], last["outcome"]) == same


async def _refuse_if_taken(db: Connection, caller: Caller, alert: Alert, wanted: Move) -> None:
    if wanted == "take" and alert.holder not in (None, caller.person) and alert.state != "closed":
        raise AlreadyTaken(await db.fetchval(_NAME, caller.municipality, alert.holder))


async def _keep(
    db: Connection,
    caller: Caller,
    row: Row,
    after: Alert,
    *,
    made: Move,
    now: datetime,
    text: str,
) -> None:
    at = (caller.municipality, row["id"])
    await db.execute(
        _MOVED, *at, after.state, after.holder, after.outcome, after.outcome_text, after.version
    )
    await db.execute(
        _WRITTEN,
        *at,
        made,
        caller.person,
        now,
        row["state"],
        after.state,
        after.outcome,
        text,
    )
    await looks.changed(db, caller, f"alert.{made}", row["citizen"], now)
    await db.execute("SELECT pg_notify('alert', $1)", str(after.public))


def _alert(row: Row) -> Alert:
    return Alert(**{name: value for name, value in row.items() if name not in {"id", "citizen"}})

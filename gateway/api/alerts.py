"""Alerts over HTTP: the list, one of them, and the moves that people make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from gateway.alerts.alert import (
    OPEN,
    Kind,
    Move,
    Outcome,
    OutcomeMissing,
    RefusedMove,
    State,
    TextMissing,
    moves,
)
from gateway.api.access import Asking
from gateway.api.desk import Desk, Here
from gateway.api.problems import ALWAYS, Conflict, NotFound, answers
from gateway.api.texts import Limit, Text
from gateway.reads import alerts as reads
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import looked
from gateway.store.moves import AlreadyTaken, VersionPassed, make_move

router = APIRouter(tags=["alerts"], responses=ALWAYS)

# What we say ourselves is a dataclass: pydantic describes and writes it as it does a model, and a
# list of fifty costs a sixth as much to make. What others send us stays a model, which is checked.


class NamedBody(BaseModel):
    """A citizen or a colleague; `name` is null for callers who work with ids."""

    id: UUID
    name: str | None = None


@dataclass(slots=True, kw_only=True)
class FindingBody:
    """What a rule found; `reason` is Danish, for staff."""

    rule: str
    subject: str
    since: datetime
    until: datetime | None
    state: str
    reason: str


@dataclass(slots=True, kw_only=True)
class MoveBody:
    """What someone did with the alert."""

    move: Move
    person: NamedBody
    at: datetime
    before: State
    after: State
    outcome: Outcome | None
    text: str


@dataclass(slots=True, kw_only=True)
class AlertBody:
    """A case a person must look at. Times are UTC; `reason` is Danish, for staff.

    `remade`: raised after the database was restored for what was before; maybe told already.
    """

    id: UUID
    kind: Kind
    state: State
    citizen: NamedBody
    since: datetime
    raised: datetime
    late: bool
    remade: bool
    ended: datetime | None
    reason: str
    holder: NamedBody | None
    outcome: Outcome | None
    outcome_text: str
    version: int
    findings: list[FindingBody]
    moves: list[MoveBody]


class AlertsBody(BaseModel):
    """Newest first. `next` is what to give as `after` for the following ones; null at the end."""

    alerts: list[AlertBody]
    next: UUID | None


class MoveRequest(BaseModel):
    """`version`, if given, must be the alert's; `outcome` belongs to `close` and only there."""

    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    outcome: Outcome | None = None
    text: Text = ""


StateWanted = State | Literal["open"]


@router.get("/alerts", responses=answers(HTTPStatus.NOT_FOUND))
async def list_alerts(
    *,
    caller: Asking,
    desk: Here,
    state: Annotated[list[StateWanted] | None, Query(description="`open`: all but closed")] = None,
    kind: Annotated[list[Kind] | None, Query()] = None,
    after: Annotated[UUID | None, Query(description="the `next` of the answer before")] = None,
    limit: Limit = 50,
) -> AlertsBody:
    """The caller's alerts, newest first."""
    states = _states(state)
    async with asking(desk.pool, caller) as db:
        try:
            found = await reads.alerts(
                db, caller, states=states, kinds=kind, after=after, limit=limit + 1
            )
        except LookupError as error:
            raise NotFound from error
        shown = found[:limit]
        seen = [alert.citizen.id for alert in shown]
        await looked(db, caller, "alerts.listed", seen, desk.clock.now())
    more = shown[-1].public if len(found) > limit else None
    return AlertsBody(alerts=[alert_body(alert) for alert in shown], next=more)


@router.get("/alerts/{public}", responses=answers(HTTPStatus.NOT_FOUND))
async def one_alert(public: UUID, caller: Asking, desk: Here) -> AlertBody:
    """One alert with its findings and moves."""
    async with asking(desk.pool, caller) as db:
        try:
            found = await reads.alert(db, caller, public)
        except LookupError as error:
            raise NotFound from error
        await looked(db, caller, "alert.seen", [found.citizen.id], desk.clock.now())
    return alert_body(found)


@router.post(
    "/alerts/{public}/{move}", responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
)
async def move_alert(
    public: UUID, move: Move, caller: Asking, desk: Here, wanted: MoveRequest | None = None
) -> AlertBody:
    """Take, set out, arrive, close (with an outcome), reopen or hand over.

    The same move twice in a row by the same person is one move. 409 says why a move cannot be
    made, and who has the alert when somebody else took it first.
    """
    wanted = wanted or MoveRequest()
    try:
        await make_move(
            desk.pool,
            caller,
            public,
            move,
            now=desk.clock.now(),
            version=wanted.version,
            outcome=wanted.outcome,
            text=wanted.text,
        )
        return alert_body(await _as_it_is(desk, caller, public))
    except LookupError as error:
        raise NotFound from error
    except RefusedMove as refused:
        raise await _refusal(desk, caller, public, refused) from refused


async def _as_it_is(desk: Desk, caller: Caller, public: UUID) -> reads.Alert:
    async with asking(desk.pool, caller) as db:
        return await reads.alert(db, caller, public)


async def _refusal(desk: Desk, caller: Caller, public: UUID, refused: RefusedMove) -> Conflict:
    now = await _as_it_is(desk, caller, public)
    holder = now.holder and {"id": str(now.holder.public), "name": now.holder.name}
    return Conflict(
        _REFUSALS.get(type(refused), "illegal-move"),
        str(refused),
        state=now.state,
        version=now.version,
        holder=holder,
        moves=list(moves(now.state)),
    )


_REFUSALS: Mapping[type[RefusedMove], str] = {
    AlreadyTaken: "already-taken",
    VersionPassed: "version-passed",
    OutcomeMissing: "outcome",
    TextMissing: "text-missing",
}


def _states(wanted: Sequence[StateWanted] | None) -> list[str] | None:
    if wanted is None:
        return None
    return sorted({state for word in wanted for state in (OPEN if word == "open" else (word,))})


def alert_body(alert: reads.Alert) -> AlertBody:
    return AlertBody(
        id=alert.public,
        kind=alert.kind,
        state=alert.state,
        citizen=NamedBody(id=alert.citizen.public, name=alert.citizen.name),
        since=alert.since,
        raised=alert.raised,
        late=alert.late,
        remade=alert.remade,
        ended=alert.ended,
        reason=alert.reason,
        holder=alert.holder and _person(alert.holder),
        outcome=alert.outcome,
        outcome_text=alert.outcome_text,
        version=alert.version,
        findings=[_finding(finding) for finding in alert.findings],
        moves=[_move(move) for move in alert.moves],
    )


def _finding(finding: reads.Finding) -> FindingBody:
    return FindingBody(
        rule=finding.rule,
        subject=finding.subject,
        since=finding.since,
        until=finding.until,
        state=finding.state,
        reason=finding.reason,
    )


def _move(move: reads.Move) -> MoveBody:
    return MoveBody(
        move=move.move,
        person=_person(move.person),
        at=move.at,
        before=move.before,
        after=move.after,
        outcome=move.outcome,
        text=move.text,
    )


def _person(person: reads.Person) -> NamedBody:
    return NamedBody(id=person.public, name=person.name)

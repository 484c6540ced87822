"""An alert as the board shows it: every text ready, nothing left to decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.alerts import words
from gateway.alerts.alert import Move, moves
from gateway.reads.alerts import Alert
from gateway.reads.alerts import Move as MoveMade
from gateway.store.caller import Caller
from gateway.web.words import FOUND, GROUP, LEVEL, MADE, Level, ago, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A legal move; `main` is the one that usually comes next."""

    move: Move
    text: str
    main: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the alert's story."""

    at: datetime
    when: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One alert. Times are shown in the home's zone; `since` is what the age is counted from.

    `log` is the address of who has seen the citizen; empty for who may not read that.
    """

    id: UUID
    version: int
    level: Level
    kind: str
    state: str
    late: str | None
    ended: str | None
    name: str
    address: str
    phone: str
    entry: str
    since: datetime
    when: str
    ago: str
    reason: str
    holder: str | None
    outcome: str | None
    buttons: Sequence[Button]
    log: str
    story: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Alerts in the same state: calls before warnings, and of each the newest first."""

    state: str
    heading: str
    cards: Sequence[Card]


def grouped(alerts: Sequence[Alert], caller: Caller, now: datetime) -> list[Group]:
    """The open alerts by state: what nobody has taken comes first."""
    return [
        Group(state=state, heading=heading, cards=cards)
        for state, heading in GROUP.items()
        if (cards := [card(alert, caller, now) for alert in alerts if alert.state == state])
    ]


def card(alert: Alert, caller: Caller, now: datetime) -> Card:
    """The alert as this caller sees it."""
    zone = alert.citizen.zone
    return Card(
        id=alert.public,
        version=alert.version,
        level=LEVEL[alert.kind],
        kind=words.KIND[alert.kind],
        state=words.STATE[alert.state],
        late=words.LATE if alert.late else None,
        ended=alert.ended and f"Ophørt {moment(alert.ended, now, zone)}",
        name=alert.citizen.name or "Borger",
        address=alert.citizen.address or "",
        phone=alert.citizen.phone or "",
        entry=alert.citizen.entry or "",
        since=alert.since,
        when=moment(alert.since, now, zone),
        ago=ago(alert.since, now),
        reason=alert.reason,
        holder=_holder(alert, caller),
        outcome=_outcome(alert),
        buttons=_buttons(alert, caller),
        log=f"/hvem-har-set?citizen={alert.citizen.public}" if caller.may("log", "reading") else "",
        story=_story(alert, now),
    )


def _holder(alert: Alert, caller: Caller) -> str | None:
    if alert.holder is None:
        return None
    if alert.holder.public == caller.public:
        return "Du har den"
    return f"{alert.holder.name or 'En kollega'} har den"


def _outcome(alert: Alert) -> str | None:
    if alert.outcome is None:
        return None
    text = words.OUTCOME[alert.outcome]
    return f"{text}: {alert.outcome_text}" if alert.outcome_text else text


def _buttons(alert: Alert, caller: Caller) -> list[Button]:
    if not caller.may("alert", "all"):
        return []
    legal = moves(alert.state)
    return [
        Button(move=move, text=words.MOVE[move], main=number == 0)
        for number, move in enumerate(legal)
    ]


def _story(alert: Alert, now: datetime) -> list[Line]:
    """What was found and what was done about it, in the order in which it happened."""
    zone = alert.citizen.zone
    lines = [
        Line(
            at=finding.since,
            when=moment(finding.since, now, zone),
            text=f"{finding.reason} ({FOUND.get(finding.state, 'ophørt')})",
        )
        for finding in alert.findings
    ]
    lines += [
        Line(at=made.at, when=moment(made.at, now, zone), text=_made(made)) for made in alert.moves
    ]
    return sorted(lines, key=lambda line: line.at)


def _made(made: MoveMade) -> str:
    outcome = f": {words.OUTCOME[made.outcome]}" if made.outcome else ""
    text = f", »{made.text}«" if made.text else ""
    return f"{MADE[made.move]} af {made.person.name or 'en kollega'}{outcome}{text}"

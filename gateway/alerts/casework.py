"""What the rules find now, compared with what is kept: which findings and alerts change; pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from gateway.alerts.alert import Alert, Kind
from gateway.home import when
from gateway.rules.finding import Finding, Judgement, Rule

FindingState = Literal["holds", "unknown", "ended", "withdrawn"]
NoticeType = Literal["alert.raised", "alert.again"]

_LATE = " Hændelsen er efterregistreret."
_REMADE = " Databasen er gendannet fra en sikkerhedskopi; alarmen kan være meldt før."
_WITHDRAWN = " Senere oplysninger viser, at det ikke passer."
_AGAIN: Mapping[Kind, str] = {
    "call_pressed": "Trykket igen",
    "unknown_device": "Trykket igen",
    "box_silent": "Uden kontakt igen",
    "dose_missed": "Igen",
    "night_door": "Igen",
}
_HAPPENED: tuple[Kind, ...] = ("call_pressed", "unknown_device")
"""A press is over at once; that its case "ended" would tell staff what is not so."""
_MOST = 3
"""So many doses are told one by one in the case of a box that stays away for days."""
_RULE_OF: Mapping[Kind, str] = {"unknown_device": "call_pressed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A finding as it is stored; `number` is None until it is."""

    number: int | None
    rule: str
    rule_version: int
    subject: str
    since: datetime
    until: datetime | None
    state: FindingState
    reason: str
    late: bool
    alert: UUID | None
    alert_kind: Kind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A rule, the version of its settings, and what it finds."""

    rule: Rule[Any]
    version: int
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """What is kept of one citizen: findings that may change, and every open alert with its own.

    `restored` is when the store was last restored from a backup.
    """

    zone: str
    findings: tuple[Kept, ...]
    alerts: tuple[Alert, ...]
    restored: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Review:
    """What must be written. Alerts whose `public` the file does not hold are new."""

    findings: list[Kept] = field(default_factory=list[Kept])
    alerts: list[Alert] = field(default_factory=list[Alert])
    notices: list[tuple[UUID, NoticeType]] = field(default_factory=list[tuple[UUID, NoticeType]])


def review(
    file: CaseFile, judged: Iterable[Judged], *, now: datetime, new_id: Callable[[], UUID]
) -> Review:
    """Compare what the rules find with what is kept.

    Reviewing the same facts again changes nothing, and every order in which facts became known
    ends in the same findings. `now` decides only what is late and what is history.
    """
    desk = _Desk(file, now, new_id)
    for one in judged:
        desk.take(one)
    desk.give_unknowns_to_silent_box()
    return desk.outcome()


class _Desk:
    """The file while it is being worked on."""

    def __init__(self, file: CaseFile, now: datetime, new_id: Callable[[], UUID]) -> None:
        self.file = file
        self.now = now
        self.new_id = new_id
        self.findings = list(file.findings)
        self.alerts = {alert.public: alert for alert in file.alerts}
        self.notices: list[tuple[UUID, NoticeType]] = []
        self.asking = set[int]()

    def take(self, judged: Judged) -> None:
        rule = judged.rule
        left = [index for index, kept in enumerate(self.findings) if kept.rule == rule.name]
        for found in judged.judgement.findings:
            same = [index for index in left if _is_same(self.findings[index], found)]
            same.sort(key=lambda index: _preference(self.findings[index]))
            if same:
                left.remove(same[0])
                self._renew(same[0], found, judged)
            elif found.since >= judged.judgement.covered_from or found.until is None:
                self._open(found, judged)
        for index in left:
            if self.findings[index].since >= judged.judgement.covered_from:
                self._withdraw(index)

    def _open(self, found: Finding, judged: Judged) -> None:
        rule, history = judged.rule, self._is_history(judged.rule, found)
        late = self.now - found.since > rule.late_after
        alert = None
        if found.state == "unknown":
            self._note_asking(len(self.findings), found)
        elif found.alert_kind is not None and not history:
            alert = self._alert_for(rule, found, late=late)
        self.findings.append(
            Kept(
                number=None,
                rule=found.rule,
                rule_version=judged.version,
                subject=found.subject,
                since=found.since,
                until=found.until,
                state=found.state,
                reason=_says(found.reason, late=late),
                late=late,
                alert=alert,
                alert_kind=found.alert_kind if alert else None,
            )
        )

    def _renew(self, index: int, found: Finding, judged: Judged) -> None:
        kept = self.findings[index]
        if kept.since < judged.judgement.covered_from and kept.since < found.since:
            # The window shows only its later part: it began when it began.
            found = replace(found, since=kept.since, reason=_plain(kept))
        alert, kind = kept.alert, kept.alert_kind
        asks = alert is None or (kept.state == "unknown" and kind != found.alert_kind)
        if found.state == "unknown":
            self._note_asking(index, found)
        elif found.alert_kind is not None and asks and not self._is_history(judged.rule, found):
            late = self.now - found.since > judged.rule.late_after
            alert, kind = self._alert_for(judged.rule, found, late=late), found.alert_kind
        self.findings[index] = replace(
            kept,
            since=found.since,
            until=found.until,
            state=found.state,
            reason=_says(found.reason, late=kept.late),
            alert=alert,
            alert_kind=kind,
        )

    def _note_asking(self, index: int, found: Finding) -> None:
        if found.alert_kind is not None:
            self.asking.add(index)

    def _withdraw(self, index: int) -> None:
        kept = self.findings[index]
        if kept.state != "withdrawn":
            self.findings[index] = replace(
                kept, state="withdrawn", reason=f"{kept.reason}{_WITHDRAWN}"
            )

    def _is_history(self, rule: Rule[Any], found: Finding) -> bool:
        if rule.history_after is None or found.until is None:
            return False
        return self.now - found.until >= rule.history_after

    def _alert_for(self, rule: Rule[Any], found: Finding, *, late: bool) -> UUID:
        kind = found.alert_kind
        if kind is None:
            raise ValueError("the finding asks for nobody")
        open_ones = [alert for alert in self.alerts.values() if alert.kind == kind]
        if rule.joins and open_ones:
            joined = max(open_ones, key=lambda alert: alert.raised)
            self.alerts[joined.public] = replace(joined, version=joined.version + 1)
            self.notices.append((joined.public, "alert.again"))
            return joined.public
        return self._new_alert(kind, found.since, found.reason, late=late).public

    def _new_alert(self, kind: Kind, since: datetime, reason: str, *, late: bool) -> Alert:
        alert = Alert(
            public=self.new_id(),
            kind=kind,
            since=since,
            raised=max(self.now, since),
            reason=_says(reason, late=late),
            late=late,
            remade=self._is_of_before(since, self.now),
        )
        self.alerts[alert.public] = alert
        self.notices.append((alert.public, "alert.raised"))
        return alert

    def _is_of_before(self, since: datetime, raised: datetime) -> bool:
        """Whether a case raised since the store was restored tells of what was before it."""
        return self.file.restored is not None and since < self.file.restored <= raised

    def give_unknowns_to_silent_box(self) -> None:
        """What is not known for want of contact belongs to the case of the box.

        Without one it becomes a case itself when its rule asks: somebody has closed the box's
        while the box was still away, or the box never had contact that it could lose.
        """
        alone = [n for n, kept in enumerate(self.findings) if _is_alone(kept)]
        asking = [self.findings[n] for n in alone if n in self.asking]
        silent = [alert for alert in self.alerts.values() if alert.kind == "box_silent"]
        if not silent and asking:
            first = min(asking, key=lambda kept: (kept.since, kept.subject))
            reason = _plain(first)
            silent = [self._new_alert("box_silent", first.since, reason, late=first.late)]
        for n in alone if silent else ():
            box = max(silent, key=lambda alert: alert.raised)
            self.findings[n] = replace(self.findings[n], alert=box.public, alert_kind="box_silent")

    def outcome(self) -> Review:
        before = {kept.number: kept for kept in self.file.findings}
        changed = [kept for kept in self.findings if before.get(kept.number) != kept]
        known = {alert.public: alert for alert in self.file.alerts}
        of_alert: defaultdict[UUID, list[Kept]] = defaultdict(list)
        for kept in self.findings:
            if kept.alert is not None:
                of_alert[kept.alert].append(kept)
        told = [self._told(alert, of_alert[public]) for public, alert in self.alerts.items()]
        alerts = [alert for alert in told if known.get(alert.public) != alert]
        return Review(findings=changed, alerts=alerts, notices=self.notices)

    def _told(self, alert: Alert, mine: list[Kept]) -> Alert:
        """The alert as its findings have it now."""
        mine.sort(key=lambda kept: (kept.since, kept.subject))
        rule = _RULE_OF.get(alert.kind, alert.kind)
        own = [kept for kept in mine if kept.rule == rule] or mine
        valid = [kept for kept in own if kept.state != "withdrawn"] or own
        if not valid:  # what was not known has become a case of another kind
            return replace(alert, ended=alert.ended or self.now)
        others = [kept for kept in mine if kept not in own and kept.state != "withdrawn"]
        since = valid[0].since
        alert = replace(alert, remade=alert.remade or self._is_of_before(since, alert.raised))
        return replace(
            alert,
            since=since,
            raised=min(alert.raised, max(self.now, since)),
            reason=self._reason(alert, valid, others),
            ended=None if alert.kind in _HAPPENED else self._ended(alert, valid),
        )

    def _reason(self, alert: Alert, own: Sequence[Kept], others: Sequence[Kept]) -> str:
        text = _says(_plain(own[0]), late=alert.late)
        if own[0].state == "withdrawn":
            text += _WITHDRAWN
        again = own[1:]
        if alert.kind == "box_silent" and own[0].rule != "box_silent":
            again, others = (), again  # doses, each with its own time to tell
        if again:
            times = "" if len(again) == 1 else f" {len(again)} gange, senest"
            text += f" {_AGAIN[alert.kind]}{times} {when(again[-1].since, self.file.zone)}."
        more = len(others) - _MOST
        rest = [f"Desuden {more} {'dosis' if more == 1 else 'doser'} mere."] if more > 0 else []
        told = " ".join([text, *(kept.reason for kept in others[:_MOST]), *rest])
        return f"{told}{_REMADE}" if alert.remade else told

    def _ended(self, alert: Alert, own: Sequence[Kept]) -> datetime | None:
        if any(kept.state in ("holds", "unknown") for kept in own):
            return None
        if all(kept.state == "withdrawn" for kept in own):
            return alert.ended or self.now
        return max((kept.until for kept in own if kept.until is not None), default=self.now)


def _is_alone(kept: Kept) -> bool:
    return kept.state == "unknown" and kept.alert is None


def _is_same(kept: Kept, found: Finding) -> bool:
    return (
        kept.subject == found.subject
        and (kept.until is None or found.since <= kept.until)
        and (found.until is None or kept.since <= found.until)
    )


def _preference(kept: Kept) -> tuple[bool, bool, datetime, int]:
    """Of several stored findings that turn out to be one, the one that people were told of first.

    Numbers grow, so a finding that is not stored yet comes last.
    """
    number = kept.number if kept.number is not None else 2**63
    return kept.state == "withdrawn", kept.alert is None, kept.since, number


def _says(reason: str, *, late: bool) -> str:
    return f"{reason}{_LATE}" if late else reason


def _plain(kept: Kept) -> str:
    return kept.reason.removesuffix(_WITHDRAWN).removesuffix(_LATE)

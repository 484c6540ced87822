"""A citizen's file without a database: what `gateway.watch` loads, judges and keeps."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import count
from uuid import UUID

from gateway.alerts.alert import Alert
from gateway.alerts.casework import CaseFile, Judged, Kept, Review, review
from gateway.home import DosePlan
from gateway.rules.all import ALL_RULES
from gateway.rules.finding import Contact, Heard, Window
from tests.gateway.days import ZONE


class MemoryCase:
    """One citizen. `deliver` is what happens when a batch is watched, `look` at a deadline."""

    def __init__(self, doses: Iterable[DosePlan] = ()) -> None:
        self.doses = tuple(doses)
        self.facts: set[Heard] = set()
        self.contacts: set[Contact] = set()
        self.kept: dict[int, Kept] = {}
        self.alerts: dict[UUID, Alert] = {}
        self.notices: list[str] = []
        self.restored: datetime | None = None
        self._numbers = count(1)
        self._ids = count(1)

    def deliver(self, facts: Iterable[Heard], *, now: datetime) -> Review:
        new = list(facts)
        self.facts.update(new)
        return self._judge(now, min(one.occurred for one in new))

    def look(self, *, now: datetime) -> Review:
        return self._judge(now, now)

    def open_findings(self) -> set[tuple[object, ...]]:
        late = " Hændelsen er efterregistreret."
        return {
            (one.rule, one.subject, one.since, one.until, one.state, one.reason.replace(late, ""))
            for one in self.kept.values()
            if one.state != "withdrawn"
        }

    def of(self, kind: str) -> list[Alert]:
        return [alert for alert in self.alerts.values() if alert.kind == kind]

    def close(self, alert: Alert) -> None:
        self.alerts[alert.public] = replace(alert, state="closed", outcome="helped")

    def _judge(self, now: datetime, changed: datetime) -> Review:
        unknown = [one.since for one in self.kept.values() if one.state == "unknown"]
        judged = [
            Judged(
                rule=rule,
                version=0,
                judgement=rule.judge(
                    self._window(min([now, changed, *unknown]) - rule.window, now), rule.defaults
                ),
            )
            for rule in ALL_RULES
        ]
        file = CaseFile(
            zone=ZONE,
            findings=tuple(self.kept.values()),
            alerts=tuple(one for one in self.alerts.values() if one.state != "closed"),
            restored=self.restored,
        )
        made = review(file, judged, now=now, new_id=lambda: UUID(int=next(self._ids)))
        self._keep(made)
        return made

    def _window(self, start: datetime, now: datetime) -> Window:
        heard = sorted(
            (one for one in self.facts if one.occurred >= start),
            key=lambda one: (one.occurred, one.device, one.kind, one.value or 0, one.code or 0),
        )
        contacts = tuple(sorted(self.contacts, key=lambda one: one.start))
        return Window(ZONE, start, now, tuple(heard), contacts, self.doses)

    def _keep(self, made: Review) -> None:
        for finding in made.findings:
            number = finding.number or next(self._numbers)
            self.kept[number] = replace(finding, number=number)
        self.alerts.update({alert.public: alert for alert in made.alerts})
        self.notices += [kind for _, kind in made.notices]

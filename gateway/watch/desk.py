"""One citizen on the desk: what is loaded, what is found, what must be written."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from gateway import log
from gateway.alerts.alert import Alert
from gateway.alerts.casework import CaseFile, Judged, Kept, Review, review
from gateway.rules.finding import Rule, Window, earliest
from gateway.store import alerts
from gateway.store.aside import AGAIN, Failing
from gateway.store.claims import Claimed
from gateway.store.facts import Facts
from gateway.watch.book import RuleBook

_log = log.get(__name__)


class Desk:
    """Judges one claimed citizen at `now`, knowing that something changed since `changed`."""

    def __init__(
        self, claimed: Claimed, now: datetime, changed: datetime, rules: Sequence[Rule[Any]]
    ) -> None:
        self.claimed = claimed
        self.citizen = claimed.citizen
        self.starts = {rule.name: changed - rule.window for rule in rules}
        self.kept: Sequence[Kept] = ()
        self.made = Review()
        self.next: datetime | None = None
        self._rules = rules
        self._now = now
        self._alerts: Sequence[Alert] = ()
        self._judged: list[Judged] = []

    def look_back_to(self, due: datetime) -> None:
        """Begin windows before a deadline that nobody kept: what should have been seen then."""
        for rule in self._rules:
            self.starts[rule.name] = min(self.starts[rule.name], due - rule.window)

    def look_back(self, kept: Iterable[Kept]) -> bool:
        """Begin windows before what a rule does not know yet; whether any begins earlier now."""
        before = dict(self.starts)
        unknown = [one for one in kept if one.state == "unknown"]
        for rule in self._rules:
            since = [one.since - rule.window for one in unknown if one.rule == rule.name]
            self.starts[rule.name] = min([self.starts[rule.name], *since])
        return self.starts != before

    def judge(self, known: Facts, book: RuleBook, failing: Failing) -> None:
        """Ask every rule. One that fails is reported and tried again; the others go on."""
        again: datetime | None = None
        for rule in self._rules:
            part = f"rule {rule.name}"
            version, settings = book.settings(self.citizen.municipality, rule)
            try:
                judgement = rule.judge(self._window(rule, known), settings)
            except Exception as fault:  # noqa: BLE001 - one citizen's odd data must not silence all
                _log.exception("a rule failed", rule=rule.name, citizen=self.citizen.number)
                failing.failed(part, self.citizen, fault, self._now)
                again = self._now + AGAIN
                continue
            failing.worked(part, self.citizen, self._now)
            self._judged.append(Judged(rule=rule, version=version, judgement=judgement))
        self.next = earliest([again, *(one.judgement.next for one in self._judged)])

    def _window(self, rule: Rule[Any], known: Facts) -> Window:
        told_by_other = rule.of_home and not self.claimed.speaks
        start = self.starts[rule.name]
        return Window(
            self.claimed.zone,
            start,
            self._now,
            known.heard(rule.name, start),
            () if told_by_other else tuple(known.contacts),
            tuple(known.doses),
            tuple(known.tests),
        )

    def review(self, kept: Sequence[Kept], opened: Sequence[Alert]) -> None:
        """Compare what was found with what is kept."""
        self.kept, self._alerts = kept, opened
        file = CaseFile(
            zone=self.claimed.zone,
            findings=tuple(kept),
            alerts=tuple(opened),
            restored=self.claimed.restored,
        )
        self.made = review(file, self._judged, now=self._now, new_id=uuid4)

    @property
    def written(self) -> list[alerts.Written]:
        known = {alert.public for alert in self._alerts}
        return [
            alerts.Written(claimed=self.claimed, alert=one, is_new=one.public not in known)
            for one in self.made.alerts
        ]

    @property
    def changes_open_alert(self) -> bool:
        return any(not one.is_new for one in self.written)

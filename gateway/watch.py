"""Stored observations become findings, findings become alerts, alerts become notices to send."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import uuid4

from adapters.frame import LANES, Lane
from gateway import log
from gateway.alerts.alert import Alert
from gateway.alerts.casework import CaseFile, Judged, Kept, Review, review
from gateway.clock import Clock
from gateway.health import Health
from gateway.home import Citizen
from gateway.rules.all import ALL_RULES
from gateway.rules.finding import BadSettings, Rule, Window, earliest
from gateway.settings import Settings
from gateway.store import alerts, claims, facts, findings, notices
from gateway.store.aside import AGAIN, Aside, Failing
from gateway.store.bell import listening
from gateway.store.claims import Claimed, Pending
from gateway.store.facts import Facts
from gateway.store.pool import Connection, DatabaseDown, Pool, connect
from gateway.store.rules import StoredSettings, newest

GROUP = 200
"""Batches or citizens judged in one transaction: enough to share the statements, few enough that
an urgent one does not wait behind them."""

_EVERY_FEW = 8
"""After so many citizens the other tasks of the process get their turn."""

_POLL, _DRIVEN_POLL, _HELD = 1.0, 0.02, 0.02
"""Seconds between looks when nothing rings: usually, on a driven clock, when others hold it all."""
_READ_SETTINGS = 30.0
"""Seconds after which the rules' settings are read again."""

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a round did: batches or citizens judged, and those that somebody else held."""

    done: int
    waiting: int


class RuleBook:
    """The rules with their settings, by municipality."""

    def __init__(
        self, stored: Sequence[StoredSettings] = (), *, rules: Sequence[Rule[Any]] = ALL_RULES
    ) -> None:
        """Raises BadSettings when a stored version is not what its rule understands."""
        by_name = {rule.name: rule for rule in rules}
        self._stored = {
            (one.municipality, one.rule): (one.version, by_name[one.rule].configured(one.settings))
            for one in stored
            if one.rule in by_name
        }

    def settings(self, municipality: int, rule: Rule[Any]) -> tuple[int, Any]:
        """Return the version and the settings; version 0 is what stands in the code."""
        return self._stored.get((municipality, rule.name), (0, rule.defaults))


class Watch:
    """Judges citizens, each in a transaction with everything that follows from the judgement.

    Several may run: a citizen is locked while judged, so nobody is judged twice at a time, and a
    process that dies in the middle has changed nothing.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        book: RuleBook,
        *,
        channels: Sequence[str] = (),
        health: Health | None = None,
        rules: Sequence[Rule[Any]] = ALL_RULES,
    ) -> None:
        self._pool = pool
        self._rules = rules
        self._reads = {rule.name: rule.reads for rule in rules}
        self._clock = clock
        self._channels = channels
        self._health = health or Health()
        self._judged = self._health.counter("judged", "Citizens judged")
        self._told = self._health.counter("told", "Alerts raised or joined", ("kind", "type"))
        self._seconds = self._health.histogram("watch_seconds", "From claim to commit")
        self._failing = Failing(self._health)
        self.aside = Aside(self._failing)
        self.book = book

    async def judge_pending(self, lanes: Sequence[str]) -> Progress:
        """Judge the citizens of the oldest batches of these lanes, urgent ones first."""
        try:
            return await self._judge_batches(lanes)
        except DatabaseDown:
            raise
        except Exception as fault:  # noqa: BLE001 - one citizen's odd data must not silence all
            _log.exception("a group is judged one by one", fault=type(fault).__name__)
        batches = await self._oldest(lanes)
        judged = {
            one
            for one, at in _since(batches).items()
            if await self._alone(one, self._judge_changed(one, at))
        }
        whole = [batch for batch in batches if judged.issuperset(batch.citizens)]
        async with self._pool.acquire() as db, db.transaction():
            await claims.finish(db, whole)
        return Progress(done=len(whole), waiting=len(batches) - len(whole))

    async def judge_due(self) -> Progress:
        """Judge the citizens whose deadline has come; on a driven clock at that very time."""
        now = self._clock.now()
        async with self._pool.acquire() as db:
            due = await claims.due_citizens(db, now, GROUP, without=self.aside.citizens(now))
        try:
            done = await self._judge_deadlines(due)
        except DatabaseDown:
            raise
        except Exception as fault:  # noqa: BLE001 - one citizen's odd data must not silence all
            _log.exception("a group is judged one by one", fault=type(fault).__name__)
            done = sum([await self._alone(one, self._judge_deadlines([one])) for one in due])
        return Progress(done=done, waiting=len(due) - done)

    async def _oldest(self, lanes: Sequence[str]) -> list[Pending]:
        left = self.aside.batches(self._clock.now())
        async with self._pool.acquire() as db:
            return await claims.oldest_pending(db, lanes, GROUP, without=left)

    async def _judge_batches(self, lanes: Sequence[str]) -> Progress:
        """A batch is done when all its citizens are; who is set aside holds up no other."""
        started, now = monotonic(), self._clock.now()
        aside, left = self.aside.citizens(now), self.aside.batches(now)
        async with self._pool.acquire() as db, db.transaction():
            batches = await claims.oldest_pending(db, lanes, GROUP, without=left)
            wanted = {one for batch in batches for one in batch.citizens}
            claimed = await claims.claim(db, wanted - aside)
            ready = [batch for batch in batches if aside.union(claimed).issuperset(batch.citizens)]
            changed = [(one, at) for one, at in _since(ready).items() if one in claimed]
            now = self._clock.now()
            tasks = [_Task(claimed[one], now, min(now, at), self._rules) for one, at in changed]
            await self._judge(db, tasks)
            await claims.finish(db, (one for one in ready if aside.isdisjoint(one.citizens)))
        self.aside.put_batches(one for one in ready if not aside.isdisjoint(one.citizens))
        self._count(tasks, started)
        return Progress(done=len(ready), waiting=len(batches) - len(ready))

    async def _judge_changed(self, citizen: Citizen, since: datetime) -> int:
        started = monotonic()
        async with self._pool.acquire() as db, db.transaction():
            claimed = await claims.claim(db, [citizen])
            now = self._clock.now()
            tasks = [_Task(one, now, min(now, since), self._rules) for one in claimed.values()]
            await self._judge(db, tasks)
        self._count(tasks, started)
        return len(tasks)

    async def _judge_deadlines(self, citizens: Sequence[Citizen]) -> int:
        started = monotonic()
        async with self._pool.acquire() as db, db.transaction():
            now = self._clock.now()
            claimed = await claims.claim(db, citizens)
            current = await claims.deadlines(db, claimed)
            times = {
                one: deadline.due if self._clock.driven else now
                for one, deadline in current.items()
                if deadline.due <= now
            }
            tasks = [_Task(claimed[one], at, at, self._rules) for one, at in times.items()]
            await self._judge(db, tasks)
        self._count(tasks, started)
        return len(tasks)

    async def _alone(self, citizen: Citizen, judging: Awaitable[int]) -> int:
        """Judge one citizen, or set aside the one that it fails for: nothing of theirs is lost."""
        try:
            return await judging
        except DatabaseDown:
            raise
        except Exception as fault:  # noqa: BLE001 - one citizen's odd data must not silence all
            _log.exception("a citizen is set aside", citizen=citizen.number)
            self.aside.put(citizen, fault, self._clock.now())
            return 0

    async def _judge(self, db: Connection, tasks: Sequence["_Task"]) -> None:
        if not tasks:
            return
        people = {task.claimed.citizen: task.claimed for task in tasks}
        before = await claims.deadlines(db, people)  # before the facts: see set_deadlines
        unknown = await findings.unknown_since(db, people)
        for task in tasks:
            task.begin(unknown)
        starts = {task.claimed.citizen: task.starts for task in tasks}
        known = await facts.load(db, people.values(), starts, self._reads)
        kept = await findings.kept(db, starts)
        opened = await alerts.open_alerts(db, people)
        for place, task in enumerate(tasks):
            one = task.claimed.citizen
            task.judge(known[one], self.book, self._failing)
            task.review(kept[one], opened[one])
            if place % _EVERY_FEW == 0:
                await asyncio.sleep(0)
        await self._review_what_people_move(db, tasks)
        await self._keep(db, tasks)
        await claims.set_deadlines(db, before, {task.claimed.citizen: task.next for task in tasks})

    async def _review_what_people_move(self, db: Connection, tasks: Sequence["_Task"]) -> None:
        """Look again at alerts that would change, now that nobody else can change them.

        A press must not join a case that a nurse closed a moment ago.
        """
        touched = [task for task in tasks if task.changes_open_alert]
        if touched:
            people = [task.claimed.citizen for task in touched]
            locked = await alerts.open_alerts(db, people, lock=True)
            for task in touched:
                task.review(task.kept, locked[task.claimed.citizen])

    async def _keep(self, db: Connection, tasks: Sequence["_Task"]) -> None:
        written = [one for task in tasks for one in task.written]
        told = [one for task in tasks for one in task.made.notices]
        await alerts.keep(db, written)
        await findings.keep(db, {task.claimed.citizen: task.made.findings for task in tasks})
        municipalities = sorted({task.claimed.citizen.municipality for task in tasks})
        for channel in self._channels:
            await notices.make(
                db, channel, told, municipalities=municipalities, now=self._clock.now()
            )

    def _count(self, tasks: Sequence["_Task"], started: float) -> None:
        """Count and log what is committed: ids, never names."""
        if not tasks:
            return
        self._seconds.observe(monotonic() - started)
        self._judged.inc(len(tasks))
        now = self._clock.now()
        for task in tasks:
            self.aside.worked(task.claimed.citizen, now)
            kinds = {one.alert.public: one.alert.kind for one in task.written}
            for public, told in task.made.notices:
                self._told.labels(kinds[public], told).inc()
                _log.info(told, alert=str(public), kind=kinds[public])


async def run(
    settings: Settings, clock: Clock, health: Health, *, rules: Sequence[Rule[Any]] = ALL_RULES
) -> None:
    """Watch with these rules until cancelled.

    Raises DatabaseDown, and BadSettings for a rule's bad settings.
    """
    async with connect(settings, "watch") as pool:
        book = RuleBook(await newest(pool, clock.now()), rules=rules)
        channels = ("webhook",) if settings.webhook_url else ()
        watch = Watch(pool, clock, book, channels=channels, health=health, rules=rules)
        health.ok("watch")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_read_settings(watch, pool, clock, rules))
                # In one line on a driven clock: deadlines in order, then what is new.
                for lanes, due in ((LANES, True),) if clock.driven else _SIDE_BY_SIDE:
                    group.create_task(_work(watch, pool, clock, lanes=lanes, due=due))
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from faults


_SIDE_BY_SIDE: tuple[tuple[Sequence[Lane], bool], ...] = ((("urgent",), False), (("bulk",), True))
"""What each of the two workers takes: calls never wait for telemetry or deadlines."""


async def _work(
    watch: Watch, pool: Pool, clock: Clock, *, lanes: Sequence[Lane], due: bool
) -> None:
    async with listening(pool, "pending") as bell:
        while True:
            rounds = [await watch.judge_due()] if due else []
            if clock.driven and any(one.done for one in rounds):
                continue
            rounds.append(await watch.judge_pending(lanes))
            if any(one.done for one in rounds):
                continue
            if any(one.waiting for one in rounds):
                await asyncio.sleep(_HELD)
                continue
            await bell.wait(await _pause(watch, pool, clock, due=due))


async def _pause(watch: Watch, pool: Pool, clock: Clock, *, due: bool) -> float:
    """Seconds until there may be something to do though nothing rings."""
    if clock.driven:
        return _DRIVEN_POLL
    if not due:
        return _POLL
    first = await claims.next_due(pool, without=watch.aside.citizens(clock.now()))
    if first is None:
        return _POLL
    return min(_POLL, max(0.0, (first - clock.now()).total_seconds()))


async def _read_settings(
    watch: Watch, pool: Pool, clock: Clock, rules: Sequence[Rule[Any]]
) -> None:
    while True:
        await asyncio.sleep(_READ_SETTINGS)
        try:
            watch.book = RuleBook(await newest(pool, clock.now()), rules=rules)
        except BadSettings as bad:
            _log.error("new settings of a rule are refused, the old ones stay", why=str(bad))


def _since(batches: Sequence[Pending]) -> dict[Citizen, datetime]:
    """When the oldest thing happened that the batches say of each of their citizens."""
    since: dict[Citizen, datetime] = {}
    for batch in batches:
        for one in batch.citizens:
            since[one] = min(since.get(one, batch.earliest), batch.earliest)
    return since


class _Task:
    """One citizen on the desk: what is loaded, what is found, what must be written."""

    def __init__(
        self, claimed: Claimed, now: datetime, changed: datetime, rules: Sequence[Rule[Any]]
    ) -> None:
        self._rules = rules
        self.claimed = claimed
        self.starts: dict[str, datetime] = {}
        self.kept: list[Kept] = []
        self.made = Review()
        self.next: datetime | None = None
        self._now = now
        self._changed = changed
        self._alerts: list[Alert] = []
        self._judged: list[Judged] = []

    def begin(self, unknown: Mapping[tuple[Citizen, str], datetime]) -> None:
        """Say where each rule's window begins: before the oldest fact that may change an answer."""
        for rule in self._rules:
            oldest = min(self._changed, unknown.get((self.claimed.citizen, rule.name), self._now))
            self.starts[rule.name] = oldest - rule.window

    def judge(self, known: Facts, book: RuleBook, failing: Failing) -> None:
        """Ask every rule. One that fails is reported and tried again; the others go on."""
        again: datetime | None = None
        citizen = self.claimed.citizen
        for rule in self._rules:
            version, settings = book.settings(citizen.municipality, rule)
            try:
                judgement = rule.judge(self._window(rule, known), settings)
            except Exception as fault:  # noqa: BLE001 - one citizen's odd data must not silence all
                _log.exception("a rule failed", rule=rule.name, citizen=citizen.number)
                failing.failed(f"rule {rule.name}", citizen, fault, self._now)
                again = self._now + AGAIN
                continue
            failing.worked(f"rule {rule.name}", citizen, self._now)
            self._judged.append(Judged(rule=rule, version=version, judgement=judgement))
        self.next = earliest([again, *(one.judgement.next for one in self._judged)])

    def _window(self, rule: Rule[Any], known: Facts) -> Window:
        told_by_other = rule.of_home and not self.claimed.speaks
        return Window(
            self.claimed.zone,
            self.starts[rule.name],
            self._now,
            tuple(known.heard[rule.name]),
            () if told_by_other else tuple(known.contacts),
            tuple(known.doses),
        )

    def review(self, kept: list[Kept], opened: list[Alert]) -> None:
        """Compare what was found with what is kept."""
        self.kept, self._alerts = kept, opened
        file = CaseFile(zone=self.claimed.zone, findings=tuple(kept), alerts=tuple(opened))
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

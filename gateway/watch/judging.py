"""Judges claimed citizens within one transaction, and writes what follows from it."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any

from gateway import log
from gateway.clock import Clock
from gateway.health import Health
from gateway.rules.finding import Rule
from gateway.store import alerts, claims, facts, findings, notices
from gateway.store.aside import Aside, Failing
from gateway.store.pool import Connection
from gateway.watch.book import RuleBook
from gateway.watch.desk import Desk

_EVERY_FEW = 4
"""After so many citizens the other tasks of the process get their turn."""

_log = log.get(__name__)


class Judging:
    """What every judgement needs: the rules, the channels to tell, and who is told of faults."""

    def __init__(
        self,
        clock: Clock,
        book: RuleBook,
        *,
        channels: Sequence[str],
        health: Health,
        rules: Sequence[Rule[Any]],
    ) -> None:
        self.book = book
        self.rules = rules
        self.failing = Failing(health)
        self.aside = Aside(self.failing)
        self._clock = clock
        self._channels = channels
        self._reads = facts.portions({rule.name: rule.reads for rule in rules})
        self._judged = health.counter("judged", "Citizens judged")
        self._told = health.counter("told", "Alerts raised or joined", ("kind", "type"))
        self._seconds = health.histogram("watch_seconds", "From claim to commit")

    async def judge(self, db: Connection, desks: Sequence[Desk]) -> None:
        """Judge citizens whom this transaction has claimed."""
        if not desks:
            return
        people = {desk.citizen: desk.claimed for desk in desks}
        before = await claims.deadlines(db, people)  # before the facts: see set_deadlines
        for desk in desks:
            if desk.citizen in before:
                desk.look_back_to(before[desk.citizen].due)
        kept = await findings.kept(db, {desk.citizen: desk.starts for desk in desks})
        if older := [desk for desk in desks if desk.look_back(kept[desk.citizen])]:
            kept |= await findings.kept(db, {desk.citizen: desk.starts for desk in older})
        opened = await alerts.open_alerts(db, people)
        starts = {desk.citizen: desk.starts for desk in desks}
        known = await facts.load(db, people.values(), starts, self._reads)
        for place, desk in enumerate(desks):
            desk.judge(known[desk.citizen], self.book, self.failing)
            desk.review(kept[desk.citizen], opened[desk.citizen])
            if place % _EVERY_FEW == 0:
                await asyncio.sleep(0)
        await self._review_what_people_move(db, desks)
        await self._keep(db, desks)
        await claims.set_deadlines(db, before, {desk.citizen: desk.next for desk in desks})

    async def _review_what_people_move(self, db: Connection, desks: Sequence[Desk]) -> None:
        """Look again at alerts that would change, now that nobody else can change them.

        A press must not join a case that a nurse closed a moment ago.
        """
        touched = [desk for desk in desks if desk.changes_open_alert]
        if touched:
            people = [desk.citizen for desk in touched]
            locked = await alerts.open_alerts(db, people, lock=True)
            for desk in touched:
                desk.review(desk.kept, locked[desk.citizen])

    async def _keep(self, db: Connection, desks: Sequence[Desk]) -> None:
        written = [one for desk in desks for one in desk.written]
        told = [one for desk in desks for one in desk.made.notices]
        await alerts.keep(db, written)
        await findings.keep(db, {desk.citizen: desk.made.findings for desk in desks})
        municipalities = sorted({desk.citizen.municipality for desk in desks})
        for channel in self._channels:
            await notices.make(
                db, channel, told, municipalities=municipalities, now=self._clock.now()
            )

    def count(self, desks: Sequence[Desk], started: float) -> None:
        """Count and log what is committed: ids, never names."""
        if not desks:
            return
        self._seconds.observe(monotonic() - started)
        self._judged.inc(len(desks))
        now = self._clock.now()
        for desk in desks:
            self.aside.worked(desk.citizen, now)
            kinds = {one.alert.public: one.alert.kind for one in desk.written}
            for public, told in desk.made.notices:
                self._told.labels(kinds[public], told).inc()
                _log.info(told, alert=str(public), kind=kinds[public])

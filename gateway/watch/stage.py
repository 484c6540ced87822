"""The stage: workers that judge what is urgent, what is due and what is telemetry, side by side."""

import asyncio
import contextlib
import functools
import random
from collections.abc import Sequence
from time import monotonic, process_time
from typing import Any

from adapters.frame import LANES, Lane
from gateway import log
from gateway.clock import Clock
from gateway.health import Health
from gateway.rules.all import ALL_RULES
from gateway.rules.finding import BadSettings, Rule
from gateway.settings import Settings
from gateway.store import claims, walk
from gateway.store.bell import Bell, listening
from gateway.store.pool import DatabaseDown, Deadlock, Pool, connect
from gateway.store.rules import newest
from gateway.store.sweep import START, sweep, sweep_newest
from gateway.watch.book import RuleBook
from gateway.watch.rounds import Progress, Rest, Watch

_POLL, _DRIVEN_POLL, _HELD = 1.0, 0.02, 0.02
"""Seconds between looks when nothing rings: usually, on a driven clock, when others hold it all."""
_QUIET = 0.5
"""Seconds without a bell after which nothing is being stored."""
_READ_SETTINGS = 30.0
"""Seconds after which the rules' settings are read again."""
_SWEEP, _SWEPT, _NEWEST = 60.0, 5_000, 500
"""Seconds between two looks at the ledger, streams in each (a country's four million within a
day), and besides the newest of every municipality, where something is most likely amiss."""

_log = log.get(__name__)


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
                group.create_task(_count_cpu(health))
                group.create_task(_sweep(pool, clock, health))
                group.create_task(_end_walk_tests(pool, clock))
                # In one line on a driven clock: deadlines in order, then what is new.
                for lanes, due in ((LANES, True),) if clock.driven else _SIDE_BY_SIDE:
                    group.create_task(_work(watch, pool, clock, lanes=lanes, due=due))
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from faults


_SIDE_BY_SIDE: tuple[tuple[Sequence[Lane], bool], ...] = (
    (("urgent",), False),
    ((), True),
    (("bulk",), False),
)
"""What each worker takes: neither calls nor deadlines wait for telemetry, which rests."""


async def _work(
    watch: Watch, pool: Pool, clock: Clock, *, lanes: Sequence[Lane], due: bool
) -> None:
    about = None if clock.driven else lanes[0] if lanes else "deadlines"
    async with listening(pool, "pending", about=about) as bell:
        rest = None if clock.driven else functools.partial(_rest, bell)
        while True:
            try:
                progress = await _look(watch, lanes, rest, due=due, driven=clock.driven)
            except Deadlock:
                progress = Progress(done=0, waiting=1)
            if progress.done:
                continue
            if progress.waiting:
                # not all at the same moments: two that hold each other's half would do so again
                await asyncio.sleep(random.uniform(_HELD / 4, _HELD))  # noqa: S311 - spreads load
                continue
            await bell.wait(await _pause(watch, pool, clock, due=due))


async def _look(
    watch: Watch, lanes: Sequence[Lane], rest: Rest | None, *, due: bool, driven: bool
) -> Progress:
    """Judge what is due, then what is new; on a driven clock first everything that is due."""
    first = await watch.judge_due() if due else Progress(done=0, waiting=0)
    if driven and first.done:
        return first
    then = await watch.judge_pending(lanes, rest=rest)
    return Progress(done=first.done + then.done, waiting=first.waiting + then.waiting)


async def _rest(bell: Bell, seconds: float) -> None:
    """Leave the machine to storing, as long as anything is stored."""
    end = monotonic() + seconds
    while bell.silent_for < _QUIET and (left := end - monotonic()) > 0:
        await bell.wait(min(left, _QUIET))


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
            watch.judging.book = RuleBook(await newest(pool, clock.now()), rules=rules)
        except BadSettings as bad:
            _log.error("new settings of a rule are refused, the old ones stay", why=str(bad))


async def _sweep(pool: Pool, clock: Clock, health: Health) -> None:
    """Have judged what is stored and, against all expectation, was neither judged nor waits.

    Judging goes on when this fails: when the database is away the others say so.
    """
    counter = health.counter("repaired", "Sequence numbers that nobody would have judged")
    after = START
    while True:
        try:
            found = await sweep_newest(pool, _NEWEST, clock.now())
            swept = await sweep(pool, after, _SWEPT, clock.now())
        except Exception:  # noqa: BLE001 - a look at the ledger must not stop what it is to help
            _log.exception("the ledger could not be swept")
        else:
            after = swept.after
            if frames := found + swept.repaired:
                counter.inc(frames)
                _log.error("stored frames were left to nobody to judge", frames=frames)
        await asyncio.sleep(_SWEEP)


async def _end_walk_tests(pool: Pool, clock: Clock) -> None:
    """Write down that tests have ended by themselves. They were over without that: see facts.py."""
    while True:
        with contextlib.suppress(DatabaseDown):
            for public in await walk.end_overdue(pool, clock.now()):
                _log.info("a walk test ended by itself", test=str(public))
        await asyncio.sleep(_POLL)


async def _count_cpu(health: Health) -> None:
    """CPU time of this process while it watches: watch's own where it runs in one of its own."""
    counter = health.counter("watch_cpu_seconds", "CPU time of the watching process", ("part",))
    last = process_time()
    while True:
        await asyncio.sleep(_POLL)
        now = process_time()
        counter.labels("watch").inc(now - last)
        last = now

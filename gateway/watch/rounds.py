"""Rounds over what waits to be judged: each citizen once, with all that is stored by then."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic, process_time
from typing import Any, TypeAlias, TypeVar

from adapters.frame import LANES, Lane
from gateway import log
from gateway.clock import Clock
from gateway.health import Health
from gateway.home import Citizen
from gateway.rules.all import ALL_RULES
from gateway.rules.finding import Rule
from gateway.store import claims
from gateway.store.claims import Waiting
from gateway.store.pool import DatabaseDown, Pool
from gateway.watch.book import RuleBook
from gateway.watch.desk import Desk
from gateway.watch.groups import groups
from gateway.watch.judging import Judging

ROUND = 20_000
"""Batches looked at in one round: what is stored of a citizen meanwhile costs one judgement."""
GROUP = 50
"""Citizens judged in one transaction: enough to share the statements, few enough that an urgent
one does not wait behind them."""

_LIVE = timedelta(minutes=5)
"""What is urgent and not older than this goes before what is urgent and was long under way."""
_SMALL, _REST = 0.025, 4
"""A round that took more than so many seconds of CPU rests for so many times as long as it works.
The database takes as much again, one after the other: with its rests a round uses a third of one
core, and leaves the others to storing and to calls."""
_BEHIND = 2_000
"""Batches of different citizens that wait: with more, to rest would be to fall behind."""
_CALLS = 0.5
"""Seconds after a call in which others may come: then it rests however far it is behind."""

_log = log.get(__name__)
T = TypeVar("T")
Rest: TypeAlias = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a round did: batches or citizens judged, and those that somebody else held."""

    done: int
    waiting: int


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
        most: int = ROUND,
        group: int = GROUP,
    ) -> None:
        self.judging = Judging(
            clock, book, channels=channels, health=health or Health(), rules=rules
        )
        self.aside = self.judging.aside
        self._pool = pool
        self._clock = clock
        self._most = most
        self._group = group
        self._called = float("-inf")

    async def judge_pending(self, lanes: Sequence[Lane], *, rest: Rest | None = None) -> Progress:
        """Judge whom the oldest batches of these lanes speak of; of bulk all, in groups.

        Nothing of a lane is looked at while something of a more urgent one is done. `rest` leaves
        some seconds to others.
        """
        held = 0
        for lane in sorted(lanes, key=LANES.index):
            progress = await self._round(lane, rest)
            if progress.done:
                return progress
            held += progress.waiting
        return Progress(done=0, waiting=held)

    async def judge_due(self) -> Progress:
        """Judge the citizens whose deadline has come; on a driven clock at that very time."""
        now = self._clock.now()
        without = self.aside.citizens(now)
        due = await claims.due_citizens(self._pool, now, self._group, without=without)

        async def alone() -> int:
            return sum([await self._alone(one, self._judge_deadlines([one])) for one in due])

        done = await _together(lambda: self._judge_deadlines(due), alone)
        return Progress(done=done, waiting=len(due) - done)

    async def _round(self, lane: Lane, rest: Rest | None) -> Progress:
        now = self._clock.now()
        waiting = await claims.waiting(
            self._pool,
            lane,
            self._most,
            live_since=now - _LIVE,
            without=self.aside.batches(now),
        )
        done = held = 0
        worked = process_time()
        for group in groups(waiting, self._group):
            progress = await self._judge_group(group)
            done, held = done + progress.done, held + progress.waiting
            if lane == "urgent" and done:
                self._called = monotonic()
                break  # what has come meanwhile may be more urgent than the rest
            spent = process_time() - worked
            if rest is not None and spent > _SMALL and self._may_rest(waiting):
                await rest(_REST * spent)
                worked = process_time()
        return Progress(done=done, waiting=held)

    def _may_rest(self, waiting: Sequence[Waiting]) -> bool:
        return len(waiting) < _BEHIND or monotonic() - self._called < _CALLS

    async def _judge_group(self, group: Sequence[Waiting]) -> Progress:
        return await _together(
            lambda: self._judge_waiting(group), lambda: self._judge_one_by_one(group)
        )

    async def _judge_waiting(self, group: Sequence[Waiting]) -> Progress:
        """A batch is done when all its citizens are; who is set aside holds up no other."""
        started, now = monotonic(), self._clock.now()
        aside = self.aside.citizens(now)
        async with self._pool.acquire() as db, db.transaction():
            wanted = {one for batch in group for one in batch.citizens}
            claimed = await claims.claim(db, wanted - aside)
            free = aside.union(claimed)
            ready = [batch for batch in group if free.issuperset(batch.citizens)]
            left = await claims.still_waiting(db, ready)
            now = self._clock.now()
            desks = [
                Desk(claimed[one], now, min(now, at), self.judging.rules)
                for one, at in _since(left).items()
                if one in claimed
            ]
            await self.judging.judge(db, desks)
            await claims.finish(db, (one for one in left if aside.isdisjoint(one.citizens)))
        self.aside.put_batches(one for one in left if not aside.isdisjoint(one.citizens))
        self.judging.count(desks, started)
        return Progress(done=len(left), waiting=len(group) - len(ready))

    async def _judge_one_by_one(self, group: Sequence[Waiting]) -> Progress:
        judged = {
            one
            for one, at in _since(group).items()
            if await self._alone(one, self._judge_changed(one, at))
        }
        whole = [batch for batch in group if judged.issuperset(batch.citizens)]
        async with self._pool.acquire() as db, db.transaction():
            await claims.finish(db, whole)
        return Progress(done=len(whole), waiting=len(group) - len(whole))

    async def _judge_changed(self, citizen: Citizen, since: datetime) -> int:
        started = monotonic()
        async with self._pool.acquire() as db, db.transaction():
            claimed = await claims.claim(db, [citizen])
            now = self._clock.now()
            desks = [
                Desk(one, now, min(now, since), self.judging.rules) for one in claimed.values()
            ]
            await self.judging.judge(db, desks)
        self.judging.count(desks, started)
        return len(desks)

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
            desks = [Desk(claimed[one], at, at, self.judging.rules) for one, at in times.items()]
            await self.judging.judge(db, desks)
        self.judging.count(desks, started)
        return len(desks)

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


async def _together(
    at_once: Callable[[], Awaitable[T]], one_by_one: Callable[[], Awaitable[T]]
) -> T:
    """Judge a group, or each by themselves when somebody's odd data spoils it for all."""
    try:
        return await at_once()
    except DatabaseDown:
        raise
    except Exception as fault:  # noqa: BLE001 - one citizen's odd data must not silence all
        _log.exception("a group is judged one by one", fault=type(fault).__name__)
    return await one_by_one()


def _since(waiting: Sequence[Waiting]) -> dict[Citizen, datetime]:
    """When the oldest thing happened that the batches say of each of their citizens."""
    since: dict[Citizen, datetime] = {}
    for batch in waiting:
        for one in batch.citizens:
            since[one] = min(since.get(one, batch.earliest), batch.earliest)
    return since

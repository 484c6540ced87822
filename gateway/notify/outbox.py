"""Takes due notices, sends them, and records what came of it; the only loop that tries again."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import accumulate

from gateway import log
from gateway.clock import Clock
from gateway.health import Health
from gateway.notify.channel import Channel, NotNow, Undeliverable
from gateway.notify.webhook import webhook
from gateway.settings import Settings
from gateway.store import notices
from gateway.store.bell import listening
from gateway.store.notices import DueNotice
from gateway.store.pool import Pool, connect

SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long each attempt comes after the one before: the example of Standard Webhooks 1.0.0."""

_FROM_START = tuple(accumulate(SCHEDULE, initial=timedelta(0)))[1:]
_CALLS = ("call_pressed", "unknown_device")
_CALLS_PAUSE, _CALLS_TIME = timedelta(seconds=60), timedelta(hours=4)
"""A call is tried at least so often, whatever the receiver wishes, as long as it may still help."""
_PULL_AGAIN = timedelta(seconds=60)
"""How long a notice that always fails is left alone while others are delivered."""
_LONGEST = timedelta(hours=24)
"""A receiver may not put us off for longer."""
_LEASE = timedelta(seconds=60)
"""When a claimed notice is due again, should this process die: well after any attempt has ended."""
_AT_ONCE = 16
_POLL, _SHORTEST = 1.0, 0.01
"""Seconds between looks when nothing rings: usually, and when something is due but held."""

_log = log.get(__name__)


class Outbox:
    """Several notices are under way at a time, so that a slow receiver delays few others."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        channels: Mapping[str, Channel],
        *,
        health: Health | None = None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._channels = channels
        self._names = sorted(channels)
        self._pulled: dict[str, datetime] = {}
        measures = health or Health()
        self._results = measures.counter(
            "notices", "Attempts by channel and result", ("channel", "result")
        )
        self._took = measures.histogram(
            "notice_seconds", "From the alert to its delivery", ("channel",)
        )

    async def run(self) -> None:
        """Send until cancelled. Raises DatabaseDown; what was under way is then sent again."""
        under_way: set[asyncio.Task[None]] = set()
        async with listening(self._pool, "notice") as bell, asyncio.TaskGroup() as group:
            while True:
                for notice in await self._due(_AT_ONCE - len(under_way)):
                    task = group.create_task(self.send(notice))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                    task.add_done_callback(bell.ring)
                await bell.wait(await self._pause(full=len(under_way) >= _AT_ONCE))

    async def send_due(self) -> int:
        """Send what is due now, all of it at once; how many."""
        due = await self._due(_AT_ONCE)
        await asyncio.gather(*map(self.send, due))
        return len(due)

    async def send(self, notice: DueNotice) -> None:
        """Make one attempt and record what came of it."""
        try:
            result = await self._channels[notice.channel].deliver(notice)
        except Undeliverable as never:
            await self._give_up(notice, str(never))
        except NotNow as failed:
            await self._again(notice, str(failed), failed.wait)
        except Exception as fault:  # noqa: BLE001 - a fault of one channel must not stop the others
            _log.exception("a channel failed", channel=notice.channel, notice=str(notice.public))
            await self._again(notice, type(fault).__name__, None)
        else:
            now = self._clock.now()
            self._took.labels(notice.channel).observe((now - notice.made).total_seconds())
            self._results.labels(notice.channel, "sent").inc()
            await notices.sent(self._pool, notice, result, now=now)
            await self._pull_forward(notice.channel, now)

    async def _pull_forward(self, channel: str, now: datetime) -> None:
        """The receiver is there again: what failed while it was away need not wait."""
        pulled = self._pulled.get(channel)
        if pulled is not None and now - pulled < _PULL_AGAIN:
            return
        if await notices.pull_forward(self._pool, channel, now=now):
            self._pulled[channel] = now

    async def _due(self, limit: int) -> list[DueNotice]:
        if limit <= 0 or not self._names:
            return []
        now = self._clock.now()
        return await notices.claim(
            self._pool, self._names, now=now, until=now + _LEASE, limit=limit
        )

    async def _again(self, notice: DueNotice, why: str, wait: timedelta | None) -> None:
        now = self._clock.now()
        age = now - notice.made
        step = schedule_step(notice.attempts, age)
        if step >= len(SCHEDULE):
            await self._give_up(notice, f"{why}, {notice.attempts} times")
            return
        self._results.labels(notice.channel, "again").inc()
        is_call = notice.kind in _CALLS and age < _CALLS_TIME
        due = now + pause_after(step, wait, most=_CALLS_PAUSE if is_call else _LONGEST)
        _log.warning(
            "a notice will be sent again",
            notice=str(notice.public),
            why=why,
            attempt=notice.attempts,
            due=due.isoformat(),
        )
        await notices.again(self._pool, notice, why, due=due)

    async def _give_up(self, notice: DueNotice, why: str) -> None:
        self._results.labels(notice.channel, "given_up").inc()
        _log.error(
            "a notice is given up", notice=str(notice.public), channel=notice.channel, why=why
        )
        await notices.give_up(self._pool, notice, why)

    async def _pause(self, *, full: bool) -> float:
        first = None if full else await notices.next_due(self._pool, self._names)
        if first is None:
            return _POLL
        return min(_POLL, max(_SHORTEST, (first - self._clock.now()).total_seconds()))


def schedule_step(attempts: int, age: timedelta) -> int:
    """Return how far in the schedule a notice is, by attempts and by age: whichever is less.

    Attempts that were pulled forward, or a gateway that stood still, do not end it sooner.
    """
    return min(attempts, sum(start * 0.9 <= age for start in _FROM_START))


def pause_after(step: int, wait: timedelta | None, *, most: timedelta = _LONGEST) -> timedelta:
    """Return how long to wait before this step, spread a little so that not all come at once.

    The receiver's own wish counts where it is longer, up to `most`.
    """
    spread = random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, protects nothing
    usual = SCHEDULE[step] * spread
    if most < _LONGEST:
        usual = min(usual, most)
    return usual if wait is None else max(usual, min(wait, most))


async def run(settings: Settings, clock: Clock, health: Health) -> None:
    """Send notices until cancelled. Raises DatabaseDown, and BadWebhook for a bad setting."""
    async with contextlib.AsyncExitStack() as stack:
        channels: dict[str, Channel] = {}
        if settings.webhook_url and settings.webhook_secret is not None:
            secret = settings.webhook_secret.get_secret_value()
            opened = webhook(settings.webhook_url, secret, production=settings.production)
            channels["webhook"] = await stack.enter_async_context(opened)
        pool = await stack.enter_async_context(connect(settings, "notify", most=_AT_ONCE // 2))
        health.ok("notify")
        try:
            await Outbox(pool, clock, channels, health=health).run()
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from faults

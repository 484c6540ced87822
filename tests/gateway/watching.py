"""What tests of watch share: facts to deliver, and a watch that is asked or runs."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

import asyncpg

from adapters.observation import Kind
from gateway import watch
from gateway.clock import Clock
from gateway.health import Health
from gateway.home import Citizen
from gateway.store.pool import Pool
from gateway.watch import RuleBook, Watch
from tests.gateway.days import local
from tests.gateway.house import House, Seen, StillClock

TEN = local("2027-01-10 10:00")
EARLY = local("2027-01-10 06:00")
DEADLINE = local("2027-01-10 09:30")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
WEBHOOK = ("webhook",)


def watching(pool: Pool, at: datetime = TEN, *, driven: bool = False) -> tuple[Watch, StillClock]:
    clock = StillClock(at, driven=driven)
    return Watch(pool, clock, RuleBook(), channels=WEBHOOK), clock


async def until_quiet(watch: Watch) -> None:
    """Deadlines first, then what is new, until there is neither."""
    while True:
        due = await watch.judge_due()
        pending = await watch.judge_pending(("urgent", "bulk"))
        if not due.done and not pending.done:
            return


def press(device: int, at: datetime = TEN, number: int = 5) -> Seen:
    return Seen(device, Kind.CALL_PRESSED, at, value=float(number))


def opened(device: int, at: datetime) -> Seen:
    return Seen(device, Kind.DOOR, at, value=1.0)


def taken(device: int, at: datetime, slot: int = 1) -> Seen:
    return Seen(device, Kind.DOSE_TAKEN, at, code=slot)


async def caller(home: House) -> tuple[Citizen, int]:
    """A citizen with a call button."""
    citizen = await home.citizen()
    return citizen, await home.placed(citizen, "call")


async def called_twice(home: House, pool: Pool) -> tuple[Citizen, Watch, StillClock]:
    """A citizen whose first press is a case and whose second, a minute later, waits."""
    citizen, button = await caller(home)
    await home.contact(citizen)
    watch, clock = watching(pool)
    await home.deliver([citizen], [press(button)])
    await until_quiet(watch)
    clock.at += MINUTE
    await home.deliver([citizen], [press(button, clock.at, 6)])
    return citizen, watch, clock


async def couple(home: House) -> tuple[Citizen, Citizen]:
    """Two citizens in one home with one box, whose contact both know."""
    first = await home.citizen()
    shared = await home.db.fetchval("SELECT home FROM citizen WHERE id = $1", first.number)
    second = await home.citizen_in(shared)
    await home.db.execute("DELETE FROM edge WHERE id = $1", home.edges[second.number])
    home.edges[second.number] = home.edges[first.number]
    await home.contact(first)
    return first, second


@contextlib.asynccontextmanager
async def another(home: House) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(home.where.dsn())
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def running(home: House, clock: Clock) -> AsyncGenerator[Health]:
    health = Health()
    task = asyncio.create_task(watch.run(home.settings(), clock, health))
    try:
        yield health
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def soon(home: House, query: str, seconds: float = 5) -> object:
    """The first value that is something, or None when time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not (found := await home.db.fetchval(query)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.002)
            return found
    return None

"""What is stored and was never judged is found by the sweep, however it came to be so."""

import asyncio

import pytest

from gateway.clock import WallClock
from gateway.home import Citizen
from gateway.store.pool import Pool
from gateway.store.sweep import OLDEST, START, sweep, sweep_newest
from gateway.watch import stage
from tests.gateway.house import House
from tests.gateway.watching import (
    HOUR,
    MINUTE,
    TEN,
    press,
    running,
    soon,
    until_quiet,
    watching,
)


async def forgotten(home: House, *, kept: bool = True) -> tuple[Citizen, Citizen]:
    """A press and another citizen's, heard by the same box, that nothing says are to be judged."""
    mine, other = await home.citizen(), await home.citizen()
    buttons = [await home.placed(one, "call") for one in (mine, other)]
    await home.deliver([mine, other], [press(one) for one in buttons])
    if kept:
        await home.db.execute(
            "INSERT INTO message SELECT $1, stream, batch, '' FROM pending", TEN + MINUTE
        )
    await home.db.execute("DELETE FROM pending")
    return mine, other


async def whose(home: House) -> list[int]:
    return sorted(alert["citizen"] for alert in await home.alerts())


async def test_saboteur_without_the_sweep_it_is_never_judged(home: House, pool: Pool) -> None:
    await forgotten(home)
    watch, clock = watching(pool)

    clock.at += HOUR
    await until_quiet(watch)

    assert await whose(home) == []


async def test_what_nobody_would_have_judged_is_judged_after_a_sweep(
    home: House, pool: Pool
) -> None:
    mine, other = await forgotten(home)
    watch, clock = watching(pool)

    swept = await sweep(pool, START, 100, clock.now())
    await until_quiet(watch)

    assert swept.repaired == 2
    assert await whose(home) == [mine.number, other.number]
    assert (await sweep(pool, START, 100, clock.now())).repaired == 0


async def test_the_newest_streams_are_looked_at_by_themselves(home: House, pool: Pool) -> None:
    await forgotten(home)
    watch, clock = watching(pool)

    assert await sweep_newest(pool, 10, clock.now()) == 2
    await until_quiet(watch)

    assert await home.count("alert") == 2


async def test_when_the_raw_message_is_gone_the_home_is_judged_for_as_long_as_it_was_kept(
    home: House, pool: Pool
) -> None:
    mine, _ = await forgotten(home, kept=False)
    watch, clock = watching(pool, TEN + OLDEST - MINUTE)

    await sweep(pool, START, 100, clock.now())
    await until_quiet(watch)

    assert await whose(home) == [mine.number]


async def test_what_waits_or_is_judged_is_left_alone(home: House, pool: Pool) -> None:
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
    watch, clock = watching(pool)
    await home.deliver([citizen], [press(button)])
    await until_quiet(watch)
    await home.deliver([citizen], [press(button, TEN + MINUTE, 6)], lane="bulk")

    swept = await sweep(pool, START, 100, clock.now())

    assert swept.repaired == await sweep_newest(pool, 10, clock.now()) == 0
    assert await home.count("pending") == 1


async def test_the_sweep_goes_through_all_streams_in_turn_and_begins_anew(
    home: House, pool: Pool
) -> None:
    people = [await home.citizen() for _ in range(5)]
    for one in people:
        button = await home.placed(one, "call")
        await home.deliver([one], [press(button)])
    await home.db.execute("DELETE FROM pending")
    after, found = START, list[int]()

    for _ in range(4):
        swept = await sweep(pool, after, 2, TEN)
        after = swept.after
        found.append(swept.repaired)

    assert found == [2, 2, 1, 0]
    assert after == START


async def test_more_than_are_repaired_at_a_time_are_gone_through_in_turn(
    home: House, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.sweep.MOST", 2)
    for _ in range(5):
        one = await home.citizen()
        await home.deliver([one], [press(await home.placed(one, "call"))])
    await home.db.execute("DELETE FROM pending")
    after, found = START, list[int]()

    for _ in range(3):
        swept = await sweep(pool, after, 100, TEN)
        after = swept.after
        found.append(swept.repaired)

    assert found == [2, 2, 1]


async def test_a_sweep_that_fails_stops_nobody(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "_SWEPT", -1)  # PostgreSQL refuses such a LIMIT
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
    async with running(home, WallClock()):
        await asyncio.sleep(0.5)
        await home.deliver([citizen], [press(button)])

        assert await soon(home, "SELECT count(*) = 1 FROM alert", 10)


async def test_the_running_stage_sweeps(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_SWEEP", 0.2)
    clock = WallClock(offset=TEN + MINUTE - WallClock().now())
    async with running(home, clock):
        await forgotten(home)

        assert await soon(home, "SELECT count(*) = 2 FROM alert", 10)

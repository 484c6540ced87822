"""The running stage: settings of rules, bells, deadlines of the wall clock, the database away."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from adapters.observation import Kind
from gateway import watch
from gateway.clock import WallClock
from gateway.health import Health
from gateway.rules.finding import BadSettings, Finding, Judgement, Rule, Window
from gateway.store import rules
from gateway.store.pool import DatabaseDown, Pool
from gateway.watch import RuleBook
from tests.gateway.house import House, Seen, StillClock
from tests.gateway.watching import (
    HOUR,
    TEN,
    another,
    caller,
    opened,
    press,
    running,
    soon,
    until_quiet,
    watching,
)


async def store_settings(home: House, rule: str, settings: dict[str, object]) -> None:
    number = await home.db.fetchval(
        "INSERT INTO rule (municipality, name) VALUES ($1, $2)"
        " ON CONFLICT (municipality, name) DO UPDATE SET name = EXCLUDED.name RETURNING id",
        home.municipality,
        rule,
    )
    await home.db.execute(
        "INSERT INTO rule_version SELECT $1, $2, COALESCE(max(version), 0) + 1, $3, $4"
        " FROM rule_version WHERE rule = $2",
        home.municipality,
        number,
        json.dumps(settings),
        TEN - HOUR,
    )


async def test_a_stored_rule_version_decides_and_is_written_on_the_finding(
    home: House, pool: Pool
) -> None:
    citizen = await home.citizen()
    door = await home.placed(citizen, "door")
    await store_settings(home, "night_door", {"night_from": "09:00"})
    await store_settings(home, "night_door", {"night_from": "09:30", "night_to": "11:00"})
    watch, _ = watching(pool)
    watch.judging.book = RuleBook(await rules.newest(pool, TEN))

    await home.deliver([citizen], [opened(door, TEN)])
    await until_quiet(watch)

    (finding,) = await home.rows("SELECT rule_version, until FROM finding")
    assert (finding["rule_version"], finding["until"]) == (2, TEN + HOUR)


async def test_bad_settings_are_refused_before_anything_is_judged(home: House) -> None:
    await store_settings(home, "call_pressed", {"echo_seconds": -1})

    with pytest.raises(BadSettings, match="call_pressed"):
        await watch.run(home.settings(), StillClock(TEN), Health())


@pytest.mark.alone
async def test_the_running_stage_is_woken_by_what_is_stored(home: House) -> None:
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
    async with running(home, WallClock()) as health:
        await asyncio.sleep(0.5)
        took: list[float] = []
        for number in range(10):
            start = asyncio.get_running_loop().time()
            await home.deliver([citizen], [press(button, datetime.now(UTC), number)])
            query = f"SELECT count(*) > {number} FROM finding"  # noqa: S608
            assert await soon(home, query)
            took.append(asyncio.get_running_loop().time() - start)

    assert health.ready
    assert sorted(took)[len(took) // 2] < 0.3  # a poll takes half a second on average


async def test_the_running_stage_keeps_deadlines_of_the_wall_clock(home: House) -> None:
    citizen = await home.citizen()
    await home.placed(citizen, "call")
    await home.contact(citizen)
    async with running(home, WallClock()):
        await home.lose_contact(citizen, datetime.now(UTC) - timedelta(seconds=29))

        assert await soon(home, "SELECT kind FROM alert") == "box_silent"


async def test_the_running_stage_raises_database_down_when_the_database_goes(home: House) -> None:
    task = asyncio.create_task(watch.run(home.settings(), WallClock(), Health()))
    await asyncio.sleep(0.5)

    await home.db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'trygport_watch'"
        " AND datname = current_database()"
    )

    with pytest.raises(DatabaseDown):
        await task


async def test_a_deadlock_costs_the_running_stage_a_moment_and_not_its_life(home: House) -> None:
    """A real one: we hold the case that watch wants, and want the citizen that watch holds."""
    citizen, button = await caller(home)
    stage = asyncio.create_task(watch.run(home.settings(), WallClock(), Health()))
    await home.deliver([citizen], [press(button, datetime.now(UTC), 1)])
    assert await soon(home, "SELECT count(*) = 1 FROM alert")

    async with another(home) as nurse, nurse.transaction():
        await nurse.execute("SET LOCAL deadlock_timeout = '1min'")  # so it is watch that notices
        await nurse.execute("SELECT FROM alert FOR UPDATE")
        await home.deliver([citizen], [press(button, datetime.now(UTC), 2)])
        assert await soon(home, WAITS)
        await nurse.execute("SELECT FROM citizen FOR UPDATE")

    assert await soon(home, "SELECT count(*) = 2 FROM finding")
    assert await soon(home, DEADLOCKS) == 1
    assert not stage.done()
    stage.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stage


WAITS = """
    SELECT count(*) > 0 FROM pg_stat_activity
    WHERE usename = 'trygport_watch' AND datname = current_database() AND wait_event_type = 'Lock'
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


async def test_the_running_stage_asks_the_rules_that_it_is_given(home: House) -> None:
    citizen = await home.citizen()
    sensor = await home.placed(citizen, "motion")
    seen = Seen(sensor, Kind.MOTION, datetime.now(UTC), value=1.0)
    task = asyncio.create_task(
        watch.run(home.settings(), WallClock(), Health(), rules=(MOVED_RULE,))
    )

    await home.deliver([citizen], [seen], lane="bulk")

    assert await soon(home, "SELECT rule FROM finding") == "moved"
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def moved(window: Window, _: None) -> Judgement:
    """Each movement is something found that asks for nobody."""
    found = [
        Finding("moved", str(one.device), one.occurred, one.occurred, "ended", "Bevægelse.", None)
        for one in window.heard
    ]
    return Judgement(tuple(found), window.start, None)


MOVED_RULE = Rule(
    name="moved",
    reads=frozenset({("motion", Kind.MOTION)}),
    window=timedelta(days=1),
    judge=moved,
    defaults=None,
)

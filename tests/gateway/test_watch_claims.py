"""Each citizen is judged by one worker at a time, and what is judged is not left to do."""

import asyncio
import contextlib
import os
import sys

import pytest

from deploy.runtime.paths import ROOT
from gateway.store import claims
from gateway.store.pool import DatabaseDown, Pool, connect
from tests.gateway.house import House
from tests.gateway.watching import (
    SECOND,
    TEN,
    another,
    called_twice,
    caller,
    opened,
    press,
    soon,
    until_quiet,
    watching,
)


async def test_what_is_judged_is_watched_and_no_longer_pending(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    watch, _ = watching(pool)
    for number in range(3):
        await home.deliver([citizen], [press(button, TEN, number), press(button, TEN, number)])

    await until_quiet(watch)

    assert await home.count("pending") == 0
    (row,) = await home.rows("SELECT watched::text FROM watched")
    assert row["watched"] == "{[0,6)}"


async def test_a_batch_waits_until_all_its_citizens_can_be_judged(home: House, pool: Pool) -> None:
    one, other = await home.citizen(), await home.citizen()
    watch, _ = watching(pool)
    button = await home.placed(one, "call")
    await home.deliver([one, other], [press(button)])

    async with home.db.transaction():
        await home.db.execute("SELECT FROM citizen WHERE id = $1 FOR UPDATE", other.number)
        held = await watch.judge_pending(("urgent",))
    free = await watch.judge_pending(("urgent",))

    assert (held.done, held.waiting) == (0, 1)
    assert (free.done, free.waiting) == (1, 0)


async def test_a_deadline_that_ingest_sets_while_we_judge_is_not_lost(
    home: House, pool: Pool
) -> None:
    """Contact is lost after its facts were read: a nurse's lock holds the judgement up there."""
    citizen, watch, clock = await called_twice(home, pool)

    async with another(home) as nurse:
        async with nurse.transaction():
            await nurse.execute("SELECT FROM alert FOR UPDATE")
            judging = asyncio.create_task(watch.judge_pending(("urgent",)))
            await asyncio.sleep(0.2)
            await home.lose_contact(citizen, clock.at)
        await judging
    clock.at += 30 * SECOND
    await until_quiet(watch)

    kinds = [alert["kind"] for alert in await home.alerts()]
    assert kinds == ["call_pressed", "box_silent"]


async def test_a_watch_cut_off_in_the_middle_has_changed_nothing(home: House, pool: Pool) -> None:
    _, watch, _ = await called_twice(home, pool)

    async with home.db.transaction():
        await home.db.execute("SELECT FROM alert FOR UPDATE")
        judging = asyncio.create_task(watch.judge_pending(("urgent",)))
        await asyncio.sleep(0.2)
        async with another(home) as executioner:
            await executioner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'trygport_watch' AND datname = current_database()"
            )
        with pytest.raises(DatabaseDown):
            await judging

    counts = [await home.count(table) for table in ("alert", "finding", "notice", "pending")]
    assert counts == [1, 1, 1, 1]
    await until_quiet(watch)
    counts = [await home.count(table) for table in ("alert", "finding", "notice", "pending")]
    assert counts == [1, 2, 2, 0]


async def many_presses(home: House, citizens: int) -> None:
    """Every citizen presses once, heard three times in three batches of two lanes."""
    people = [await home.citizen() for _ in range(citizens)]
    buttons = [await home.placed(one, "call") for one in people]
    for lane in ("urgent", "bulk", "urgent"):
        for one, button in zip(people, buttons, strict=True):
            await home.deliver([one], [press(button)], lane=lane)


async def race(home: House, workers: int) -> None:
    """Several watches, each with connections of its own, until nothing is left."""
    async with contextlib.AsyncExitStack() as stack:
        settings = home.settings()
        pools = [
            await stack.enter_async_context(connect(settings, "watch")) for _ in range(workers)
        ]
        while await home.count("pending"):
            await asyncio.gather(
                *(watching(pool)[0].judge_pending(("urgent", "bulk")) for pool in pools)
            )


async def test_watches_side_by_side_make_exactly_one_alert_of_each_press(home: House) -> None:
    await many_presses(home, 150)

    await race(home, 3)

    assert await home.count("alert") == await home.count("notice") == 150


async def heard_twice_and_judged_at_the_same_time(home: House, pool: Pool) -> int:
    """How many alerts one press makes: the first worker is held before it can commit."""
    citizen, button = await caller(home)
    watch, _ = watching(pool)
    await home.deliver([citizen], [opened(button, TEN)])
    await until_quiet(watch)
    async with another(home) as holder, asyncio.TaskGroup() as workers, holder.transaction():
        await holder.execute("SELECT FROM watched FOR UPDATE")
        await home.deliver([citizen], [press(button)])
        workers.create_task(watch.judge_pending(("urgent",)))
        await asyncio.sleep(0.3)
        await home.deliver([citizen], [press(button, TEN + SECOND)], lane="bulk")
        workers.create_task(watch.judge_pending(("bulk",)))
        await asyncio.sleep(0.3)
    await until_quiet(watch)
    return await home.count("alert")


async def test_a_press_judged_by_two_workers_at_the_same_time_is_one_alert(
    home: House, pool: Pool
) -> None:
    assert await heard_twice_and_judged_at_the_same_time(home, pool) == 1


async def test_saboteur_without_the_citizens_lock_it_becomes_two(
    home: House, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "CITIZENS_LOCK", "")

    assert await heard_twice_and_judged_at_the_same_time(home, pool) == 2


@pytest.mark.slow
async def test_a_watch_killed_again_and_again_ends_with_one_alert_of_each_press(
    home: House,
) -> None:
    people = [await home.citizen() for _ in range(400)]
    buttons = [await home.placed(one, "call") for one in people]
    for one, button in zip(people, buttons, strict=True):
        await home.deliver([one], [press(button)])
    kills = 0

    while await home.count("pending"):
        process = await _watch_process(home)
        before = await home.count("pending")
        assert await soon(home, f"SELECT count(*) < {before} FROM pending", 15)  # noqa: S608
        process.kill()
        await process.wait()
        kills += 1

    assert kills > 1
    assert await home.count("alert") == await home.count("finding") == 400


async def _watch_process(home: House) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    told = {"GATEWAY_DATABASE": home.where.address, "GATEWAY_PRODUCTION": "false"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.main", "run", "--only", "watch", env=kept | told, cwd=ROOT
    )

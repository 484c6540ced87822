"""A round judges each citizen once, what is urgent first, and holds up nobody for another."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import process_time

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.frame import Lane
from gateway.clock import WallClock
from gateway.health import Health
from gateway.home import Citizen
from gateway.store import claims
from gateway.store.claims import Waiting
from gateway.store.pool import Connection, Pool
from gateway.watch import Progress, RuleBook, Watch, rounds
from gateway.watch.groups import groups
from tests.gateway.house import House, StillClock
from tests.gateway.watching import (
    MINUTE,
    SECOND,
    TEN,
    another,
    opened,
    press,
    running,
    soon,
    until_quiet,
    watching,
)


def counting(pool: Pool, *, group: int = 50, most: int = 1000) -> tuple[Watch, Health]:
    health = Health()
    return Watch(pool, StillClock(TEN), RuleBook(), health=health, group=group, most=most), health


def judged(health: Health) -> float:
    return health.registry.get_sample_value("trygport_judged_total") or 0


async def doors(home: House, citizens: int, *, batches: int = 1, lane: Lane = "bulk") -> None:
    """So many citizens whose door opened, each told in so many batches that came in turn."""
    people = [await home.citizen() for _ in range(citizens)]
    devices = [await home.placed(one, "door") for one in people]
    for n in range(batches):
        for one, device in zip(people, devices, strict=True):
            await home.deliver([one], [opened(device, TEN - n * SECOND)], lane=lane)


async def test_a_citizen_is_judged_once_for_all_that_waits(home: House, pool: Pool) -> None:
    await doors(home, 3, batches=10)
    watch, health = counting(pool)

    progress = await watch.judge_pending(("bulk",))

    assert progress.waiting == 0
    assert judged(health) == 3
    assert await home.count("pending") == 0


async def test_nothing_of_the_bulk_lane_is_judged_before_what_is_urgent(
    home: House, pool: Pool
) -> None:
    await doors(home, 2)
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
    await home.deliver([citizen], [press(button)])
    watch, _ = watching(pool)

    await watch.judge_pending(("bulk", "urgent"))

    assert [alert["kind"] for alert in await home.alerts()] == ["call_pressed"]
    assert await home.count("pending") == 2


async def test_a_call_of_now_goes_before_the_calls_of_a_box_that_was_away_for_a_month(
    home: House, pool: Pool
) -> None:
    away, calling = await home.citizen(), await home.citizen()
    old, new = await home.placed(away, "call"), await home.placed(calling, "call")
    for days in range(30, 25, -1):
        await home.deliver([away], [press(old, TEN - timedelta(days=days))])
    await home.deliver([calling], [press(new)])
    watch, _ = counting(pool, group=1, most=3)

    await watch.judge_pending(("urgent",))

    assert [alert["citizen"] for alert in await home.alerts()] == [calling.number]


async def test_after_a_group_of_calls_the_newest_are_looked_for_again(
    home: House, pool: Pool
) -> None:
    await doors(home, 6, lane="urgent")
    watch, _ = counting(pool, group=2)

    progress = await watch.judge_pending(("urgent",))

    assert (progress.done, await home.count("pending")) == (2, 4)


async def test_a_citizen_whom_another_worker_has_holds_up_no_other(home: House, pool: Pool) -> None:
    await doors(home, 5)
    held = await home.db.fetchval("SELECT min(id) FROM citizen")
    watch, health = counting(pool, group=2)

    async with another(home) as other, other.transaction():
        await other.execute("SELECT FROM citizen WHERE id = $1 FOR UPDATE", held)
        progress = await watch.judge_pending(("bulk",))

    assert (progress.done, progress.waiting, judged(health)) == (4, 1, 4)
    assert await watch.judge_pending(("bulk",)) == Progress(done=1, waiting=0)


class Slow(Watch):
    """Another watch is done with everything between the look at what waits and the claim."""

    other: Watch

    async def _judge_group(self, group: Sequence[Waiting]) -> Progress:
        await until_quiet(self.other)
        return await super()._judge_group(group)


async def judged_by_the_slow_one(home: House, pool: Pool) -> float:
    await doors(home, 4)
    health = Health()
    slow = Slow(pool, StillClock(TEN), RuleBook(), health=health)
    slow.other, _ = watching(pool)
    await slow.judge_pending(("bulk",))
    return judged(health)


async def test_what_another_watch_has_judged_meanwhile_is_not_judged_again(
    home: House, pool: Pool
) -> None:
    assert await judged_by_the_slow_one(home, pool) == 0


async def test_saboteur_who_does_not_look_again_judges_everyone_twice(
    home: House, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def all_of_them(_: Connection, ready: Sequence[Waiting]) -> list[Waiting]:
        return list(ready)

    monkeypatch.setattr(claims, "still_waiting", all_of_them)

    assert await judged_by_the_slow_one(home, pool) == 4


async def test_two_watches_share_the_work(home: House, pool: Pool) -> None:
    await doors(home, 40, batches=2)
    both = [counting(pool, group=4) for _ in range(2)]

    while await home.count("pending"):
        await asyncio.gather(*(watch.judge_pending(("bulk",)) for watch, _ in both))

    shares = [judged(health) for _, health in both]
    assert sum(shares) == 40
    assert min(shares) > 0


async def test_a_round_that_is_no_small_one_rests_in_proportion_to_its_work(
    home: House, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SMALL", 0.0)
    await doors(home, 4)
    watch, _ = counting(pool, group=2)
    rests = list[float]()

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    before = process_time()
    await watch.judge_pending(("bulk",), rest=rest)

    assert len(rests) == 2
    assert 0 < sum(rests) <= 4 * (process_time() - before)


async def test_a_small_round_does_not_rest(home: House, pool: Pool) -> None:
    await doors(home, 1)
    watch, _ = watching(pool)

    async def rest(_: float) -> None:
        raise AssertionError

    await watch.judge_pending(("bulk",), rest=rest)


async def test_who_is_far_behind_rests_only_for_calls(
    home: House, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SMALL", 0.0)
    monkeypatch.setattr(rounds, "_BEHIND", 1)
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    watch, _ = watching(pool)
    await doors(home, 2)
    await watch.judge_pending(("bulk",), rest=rest)
    assert not rests

    await doors(home, 1, lane="urgent")
    await watch.judge_pending(("urgent",), rest=rest)
    await doors(home, 2)
    await watch.judge_pending(("bulk",), rest=rest)
    assert len(rests) == 1


async def keep_ringing(db: "asyncpg.Connection[asyncpg.Record]") -> None:
    while True:
        await db.execute("NOTIFY pending, 'bulk'")
        await asyncio.sleep(0.01)


async def test_neither_calls_nor_deadlines_wait_while_telemetry_rests(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SMALL", 0.0)
    monkeypatch.setattr(rounds, "_REST", 1e6)
    calling, lost = await home.citizen(), await home.citizen()
    button, door = await home.placed(calling, "call"), await home.placed(calling, "door")
    await home.placed(lost, "call")
    await home.contact(lost)
    async with running(home, WallClock()), another(home) as storing:
        now = datetime.now(UTC)
        await home.deliver([calling], [opened(door, now)], lane="bulk")
        ringing = asyncio.create_task(keep_ringing(storing))
        assert await soon(home, "SELECT count(*) = 0 FROM pending")
        await home.deliver([calling], [opened(door, now)], lane="bulk")
        await home.lose_contact(lost, now - MINUTE)
        assert await soon(home, "SELECT count(*) = 1 FROM alert WHERE kind = 'box_silent'", 10)
        await home.deliver([calling], [press(button, now)])
        assert await soon(home, "SELECT count(*) = 1 FROM alert WHERE kind = 'call_pressed'", 10)
        assert await home.count("pending") == 1

        ringing.cancel()  # nothing is stored any more
        assert await soon(home, "SELECT count(*) = 0 FROM pending", 10)


async def test_a_batch_of_a_home_in_which_nobody_lives_is_done_at_once(
    home: House, pool: Pool
) -> None:
    citizen = await home.citizen()
    door = await home.placed(citizen, "door")
    await home.deliver([citizen], [opened(door, TEN)])
    await home.db.execute("UPDATE pending SET citizens = '{}'")
    watch, _ = watching(pool)

    await until_quiet(watch)

    assert await home.count("pending") == 0


# ---------------------------------------------------------------- groups


def waits(place: int, *citizens: int) -> Waiting:
    people = tuple(Citizen(1, one) for one in citizens)
    return Waiting(municipality=1, batches=(place,), earliest=TEN, citizens=people)


def test_the_oldest_are_in_the_first_group_with_all_who_share_a_batch_with_them() -> None:
    waiting = [waits(1, 7), waits(2, 1), waits(3, 2, 3), waits(4, 7, 8), waits(5, 3, 1), waits(6)]

    made = [[one.batches[0] for one in group] for group in groups(waiting, 3)]

    assert made == [[1, 4], [2, 3, 5, 6]]


@given(st.lists(st.sets(st.integers(1, 12), max_size=3), max_size=15), st.integers(1, 5))
def test_no_citizen_is_in_two_groups_and_only_a_family_is_larger_than_asked(
    sets: list[set[int]], most: int
) -> None:
    waiting = [waits(place, *sorted(citizens)) for place, citizens in enumerate(sets)]

    made = list(groups(waiting, most))

    assert sorted(one.batches for group in made for one in group) == [
        one.batches for one in waiting
    ]
    people = [{one for batch in group for one in batch.citizens} for group in made]
    assert sum(map(len, people)) == len(set[Citizen]().union(*people))
    large = [group for group, whose in zip(made, people, strict=True) if len(whose) > most]
    assert all(len(list(groups(group, 1))) == 1 for group in large)

"""A replay on a driven clock gives the same alerts however the clock is stepped."""

from collections.abc import Sequence
from datetime import timedelta

from gateway.home import Citizen
from gateway.store.pool import Pool
from tests.gateway.days import local
from tests.gateway.house import House
from tests.gateway.watching import opened, taken, until_quiet, watching


async def evening(home: House) -> tuple[Citizen, int, int]:
    """A citizen with doses at 20:00 and 22:00 and a door, at 18:00."""
    citizen = await home.citizen()
    await home.contact(citizen)
    box, door = await home.placed(citizen, "dispenser"), await home.placed(citizen, "door")
    await home.plan(box, "20:00", "22:00", valid_from=local("2027-01-10 12:00"))
    await home.due(citizen, local("2027-01-10 18:00"))
    return citizen, box, door


async def replayed(home: House, pool: Pool, steps: Sequence[int]) -> list[tuple[object, ...]]:
    """The evening's facts on a driven clock moved in steps of so many minutes, in turn."""
    citizen, box, door = await evening(home)
    known = [
        taken(box, local("2027-01-10 21:50"), slot=1),
        opened(door, local("2027-01-10 23:20")),
        opened(door, local("2027-01-11 01:10")),
        opened(door, local("2027-01-11 04:00")),
    ]
    watch, clock = watching(pool, local("2027-01-10 18:00"), driven=True)
    turn = 0
    while clock.at < local("2027-01-11 08:00"):
        await until_quiet(watch)
        step = timedelta(minutes=steps[turn % len(steps)])
        for fact in known:
            if clock.at <= fact.occurred < clock.at + step:
                await home.deliver([citizen], [fact])
        while (await watch.judge_pending(("urgent", "bulk"))).done:
            pass
        clock.at, turn = clock.at + step, turn + 1
    await until_quiet(watch)
    columns = ("kind", "since", "raised", "ended", "reason", "late")
    return [
        tuple(alert[name] for name in columns)
        for alert in await home.alerts()
        if alert["citizen"] == citizen.number
    ]


async def test_a_replay_gives_the_same_alerts_however_its_clock_is_stepped(
    home: House, pool: Pool
) -> None:
    replays = [await replayed(home, pool, steps) for steps in ([60], [60], [7], [13, 1, 59])]

    assert replays[0] == replays[1] == replays[2] == replays[3]
    assert [(alert[0], alert[2]) for alert in replays[0]] == [
        ("dose_missed", local("2027-01-10 21:30")),
        ("night_door", local("2027-01-10 23:20")),
        ("dose_missed", local("2027-01-10 23:30")),
    ]
    assert not any(alert[5] for alert in replays[0])

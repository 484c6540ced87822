"""The nights in which the clocks change, from frame to alert: doors and doses in Copenhagen.

On 2026-10-25 the hour from 02:00 comes twice (first summer time, then winter time); on 2027-03-28
it does not come at all.
"""

from datetime import datetime, time, timedelta
from functools import partial

import pytest

from adapters.frame import Frame
from adapters.observation import Kind
from tests.frames import DISPENSER, door, dose
from tests.gateway.chain import Chain, Machine
from tests.gateway.days import local

MINUTE = timedelta(minutes=1)


@pytest.fixture
def home(chained: Chain) -> Chain:
    return chained


async def plan(home: Chain, since: datetime, *at: str) -> None:
    """Doses at these local times of every day from then on, each to be taken within 90 minutes.

    The door is heard then, so that watch knows when to look at this citizen again.
    """
    await home.rows(
        "INSERT INTO dose_plan (municipality, placement, version, valid_from, zone)"
        " SELECT p.municipality, p.id, 1, $2, 'Europe/Copenhagen' FROM placement p"
        " JOIN device d ON d.id = p.device WHERE d.address = $1 RETURNING id",
        DISPENSER,
        since,
    )
    for slot, one in enumerate(at, start=1):
        await home.rows(
            "INSERT INTO dose_plan_slot VALUES (1, 1, $1, $2, 60, 30) RETURNING slot",
            slot,
            time.fromisoformat(one),
        )
    box = Machine(now=since)
    await home.take(box.sends(box.hears(partial(door, opened=False))), at=since)


def taking(number: int, at: datetime, slot: int = 1) -> Frame:
    """The dispenser's record of a dose that was taken, in the true time of its own clock."""
    box = Machine(now=at)
    return box.hears(partial(dose, number, slot=slot))


async def opens(home: Chain, *times: datetime) -> None:
    """The door opens at these times, each told at once."""
    for at in times:
        box = Machine(now=at)
        await home.take(box.sends(box.hears(door)), at=at)


async def missed(home: Chain, at: datetime) -> list[tuple[datetime, datetime]]:
    """When each alert of a missed dose was raised and since when it is missed, seen at a time."""
    await home.judge(at)
    return [
        (one["raised"], one["since"]) for one in await home.alerts() if one["kind"] == "dose_missed"
    ]


# ---------------------------------------------------------------- doors


async def test_a_door_at_both_half_past_twos_of_the_autumn_night_is_one_alert_that_tells_them_apart(
    home: Chain,
) -> None:
    first, second = local("2026-10-25 02:30"), local("2026-10-25 02:30", fold=1)

    await opens(home, first, second)

    (alert,) = await home.alerts()
    assert (alert["kind"], alert["since"], second - first) == ("night_door", first, 60 * MINUTE)
    (finding,) = await home.findings("night_door")
    assert finding["subject"] == "2026-10-24"
    assert "første gang kl. 02:30 (sommertid), senest kl. 02:30 (vintertid)" in finding["reason"]
    rows = await home.rows("SELECT occurred FROM observation ORDER BY occurred")
    assert [row["occurred"] for row in rows] == [first, second]


@pytest.mark.parametrize(
    ("at", "night"),
    [
        ("2026-10-24 22:59", None),
        ("2026-10-24 23:00", "2026-10-24"),
        ("2026-10-25 05:59", "2026-10-24"),
        ("2026-10-25 06:00", None),
        ("2027-03-27 23:00", "2027-03-27"),
        ("2027-03-28 01:59", "2027-03-27"),
        ("2027-03-28 03:00", "2027-03-27"),
        ("2027-03-28 05:59", "2027-03-27"),
        ("2027-03-28 06:00", None),
    ],
)
async def test_the_night_ends_by_the_clock_on_the_wall_in_both_nights(
    home: Chain, at: str, night: str | None
) -> None:
    await opens(home, local(at))

    assert [one["subject"] for one in await home.findings("night_door")] == (
        [] if night is None else [night]
    )


@pytest.mark.parametrize(("day", "hours"), [("2026-10-25", 8), ("2027-03-28", 6)])
async def test_the_night_is_an_hour_longer_in_autumn_and_an_hour_shorter_in_spring(
    home: Chain, day: str, hours: int
) -> None:
    evening = local(f"{day} 06:00") - timedelta(hours=hours)

    await opens(home, evening - MINUTE, evening)
    await home.judge(local(f"{day} 06:00"))

    (finding,) = await home.findings("night_door")
    assert (finding["since"], finding["until"]) == (evening, local(f"{day} 06:00"))
    assert finding["state"] == "ended"


# ---------------------------------------------------------------- doses


async def test_a_dose_at_half_past_two_of_the_autumn_night_is_due_once(home: Chain) -> None:
    """The first time: 00:30 UTC; missed at 02:00 UTC, when the clocks show 03:00."""
    await plan(home, local("2026-10-24 20:00"), "02:30")
    deadline = local("2026-10-25 02:30") + 90 * MINUTE

    assert await missed(home, deadline - MINUTE) == []
    after = await missed(home, deadline)
    much_later = await missed(home, local("2026-10-25 20:00"))

    assert deadline == local("2026-10-25 03:00")
    assert after == [(deadline, deadline)]
    assert much_later == after


async def test_a_dose_at_half_past_two_of_the_spring_night_is_due_at_half_past_three(
    home: Chain,
) -> None:
    await plan(home, local("2027-03-27 20:00"), "02:30")
    deadline = local("2027-03-28 03:30") + 90 * MINUTE

    assert await missed(home, deadline - MINUTE) == []
    after = await missed(home, deadline)
    much_later = await missed(home, local("2027-03-28 20:00"))

    assert after == [(deadline, deadline)]
    assert much_later == after


@pytest.mark.parametrize(
    ("due", "taken"),
    [
        ("2026-10-25", local("2026-10-25 02:30")),
        ("2026-10-25", local("2026-10-25 02:30", fold=1)),
        ("2027-03-28", local("2027-03-28 03:30")),
        ("2027-03-28", local("2027-03-28 04:59")),
    ],
)
async def test_a_dose_that_is_taken_in_those_hours_is_not_missed(
    home: Chain, due: str, taken: datetime
) -> None:
    await plan(home, local(f"{due} 00:30"), "02:30")
    box = Machine(now=taken)

    await home.take(box.sends(taking(7, taken)), at=taken + MINUTE)
    await home.judge(local(f"{due} 20:00"))

    assert await home.findings("dose_missed") == []
    (row,) = await home.rows("SELECT occurred FROM observation WHERE kind = $1", Kind.DOSE_TAKEN)
    assert row["occurred"] == taken


@pytest.mark.parametrize("day", ["2026-10-25", "2027-03-28"])
async def test_the_morning_doses_of_both_days_are_due_by_the_clock_on_the_wall(
    home: Chain, day: str
) -> None:
    await plan(home, local(f"{day} 00:30"), "08:00", "20:00")
    morning, evening = local(f"{day} 08:00"), local(f"{day} 20:00")
    box = Machine(now=morning)
    await home.take(box.sends(taking(1, morning)), at=morning)

    found = await missed(home, evening + 90 * MINUTE)

    assert found[-1] == (evening + 90 * MINUTE, evening + 90 * MINUTE)
    assert morning + 90 * MINUTE not in [since for _, since in found]


async def test_a_dose_whose_taking_comes_days_late_is_no_longer_missed(home: Chain) -> None:
    """The box was away over the autumn night; what it kept makes the case end, not begin."""
    await plan(home, local("2026-10-24 20:00"), "02:30")
    taken = local("2026-10-25 02:30", fold=1)
    told = await missed(home, local("2026-10-25 04:00"))

    await home.take(Machine(now=taken).sends(taking(3, taken)), at=local("2026-10-27 12:00"))

    first, *later = await home.findings("dose_missed")
    assert (first["subject"][-10:], first["state"]) == ("2026-10-25", "withdrawn")
    assert {one["state"] for one in later} == {"holds"}
    assert len(told) == 1

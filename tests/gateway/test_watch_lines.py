"""Nights and lost boxes, from stored facts to alerts, on the real database."""

from datetime import timedelta

import pytest

from gateway.store.pool import Pool
from tests.gateway.days import local
from tests.gateway.house import House
from tests.gateway.watching import (
    DEADLINE,
    EARLY,
    HOUR,
    MINUTE,
    SECOND,
    TEN,
    couple,
    opened,
    press,
    until_quiet,
    watching,
)


async def test_a_night_is_one_case_and_its_end_is_a_deadline(home: House, pool: Pool) -> None:
    citizen = await home.citizen()
    door = await home.placed(citizen, "door", "entré")
    first = local("2027-01-10 23:10")
    watch, clock = watching(pool, first)

    for moment in (first, first + 2 * HOUR):
        clock.at = moment
        await home.deliver([citizen], [opened(door, moment)])
        await until_quiet(watch)
    clock.at = local("2027-01-11 06:00")
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert (alert["raised"], alert["ended"]) == (first, clock.at)
    assert "åbnet 2 gange natten til den 11. januar" in alert["reason"]
    assert await home.rows("SELECT * FROM deadline") == []


@pytest.mark.parametrize("heard_of_again", [False, True])
async def test_a_night_ends_though_nobody_watched_for_two_days_after_it(
    home: House, pool: Pool, *, heard_of_again: bool
) -> None:
    citizen = await home.citizen()
    door = await home.placed(citizen, "door", "entré")
    first = local("2027-01-10 23:10")
    watch, clock = watching(pool, first)
    await home.deliver([citizen], [opened(door, first)])
    await until_quiet(watch)

    clock.at = local("2027-01-13 12:00")
    if heard_of_again:
        await home.deliver([citizen], [opened(door, clock.at)])
        await watch.judge_pending(("urgent",))
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert alert["ended"] == local("2027-01-11 06:00")
    assert await home.rows("SELECT * FROM deadline") == []


async def test_a_lost_box_is_told_after_half_a_minute_where_there_is_a_call_button(
    home: House, pool: Pool
) -> None:
    citizen = await home.citizen()
    await home.placed(citizen, "call")
    await home.contact(citizen)
    watch, clock = watching(pool)

    await home.lose_contact(citizen, TEN)
    await until_quiet(watch)
    assert await home.alerts() == []
    (deadline,) = await home.rows("SELECT due FROM deadline")
    assert deadline["due"] == TEN + 30 * SECOND

    clock.at = TEN + 30 * SECOND
    await until_quiet(watch)
    await home.contact(citizen, TEN + HOUR)
    clock.at = TEN + HOUR
    await home.due(citizen, clock.at)
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert (alert["kind"], alert["since"], alert["ended"]) == ("box_silent", TEN, TEN + HOUR)


async def test_a_box_that_two_citizens_share_is_one_case(home: House, pool: Pool) -> None:
    first, second = await couple(home)
    watch, clock = watching(pool)
    await home.lose_contact(first, TEN)
    await home.due(second, TEN)

    for minutes in (0, 1, 2):
        clock.at = TEN + minutes * MINUTE
        await until_quiet(watch)
    await home.contact(first, clock.at)
    for one in (first, second):
        await home.due(one, clock.at)
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert (alert["kind"], alert["citizen"]) == ("box_silent", first.number)
    assert alert["ended"] == TEN + 2 * MINUTE
    assert await home.count("notice") == 1


async def test_what_is_not_known_of_the_other_citizen_of_a_home_is_a_case_of_theirs(
    home: House, pool: Pool
) -> None:
    first, second = await couple(home)
    device = await home.placed(second, "dispenser")
    await home.plan(device, "08:00", valid_from=local("2027-01-10 00:00"))
    watch, clock = watching(pool, EARLY)
    await home.lose_contact(first, EARLY)
    await home.due(second, EARLY)

    for moment in (EARLY, EARLY + MINUTE, DEADLINE, DEADLINE + 15 * MINUTE):
        clock.at = moment
        await until_quiet(watch)

    cases = {alert["citizen"]: alert["reason"][:6] for alert in await home.alerts()}
    assert cases == {first.number: "Boksen", second.number: "Medici"}


async def test_a_call_of_a_button_that_nobody_placed_is_one_case_for_two_who_live_together(
    home: House, pool: Pool
) -> None:
    people = [*await couple(home), await home.citizen()]
    button = await home.device()
    for one in people:
        await home.db.execute(
            "INSERT INTO unplaced_call VALUES ($1, $2, $3, $4)",
            home.municipality,
            one.number,
            button,
            TEN,
        )
    watch, _ = watching(pool)

    await home.deliver(people, [press(button)])
    await until_quiet(watch)

    whose = [(alert["kind"], alert["citizen"]) for alert in await home.alerts()]
    assert whose == [("unknown_device", one.number) for one in (people[0], people[2])]


async def test_a_silence_of_weeks_ends_and_is_still_one_case(home: House, pool: Pool) -> None:
    citizen = await home.citizen()
    await home.contact(citizen)
    watch, clock = watching(pool)
    await home.lose_contact(citizen, TEN)
    clock.at = TEN + MINUTE
    await until_quiet(watch)

    for weeks in (1, 2, 3):
        clock.at = TEN + timedelta(weeks=weeks)
        await home.due(citizen, clock.at)
        await until_quiet(watch)
    await home.contact(citizen, clock.at)
    await home.due(citizen, clock.at)
    await until_quiet(watch)
    for _ in range(3):
        clock.at += HOUR
        await home.due(citizen, clock.at)
        await until_quiet(watch)

    (alert,) = await home.alerts()
    assert alert["ended"] == TEN + timedelta(weeks=3)
    assert await home.count("finding") == 1

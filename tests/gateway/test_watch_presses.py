"""Presses, from stored observations to alerts and notices, on the real database."""

import asyncio
from datetime import timedelta

from gateway.store.pool import Pool
from tests.gateway.house import House
from tests.gateway.watching import (
    HOUR,
    MINUTE,
    SECOND,
    TEN,
    called_twice,
    caller,
    press,
    until_quiet,
    watching,
)


async def test_a_press_is_one_alert_and_one_notice(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    watch, _ = watching(pool, TEN + SECOND)

    await home.deliver([citizen], [press(button)])
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert (alert["kind"], alert["citizen"], alert["district"], alert["state"]) == (
        "call_pressed",
        citizen.number,
        home.district,
        "new",
    )
    assert (alert["since"], alert["raised"], alert["late"]) == (TEN, TEN + SECOND, False)
    assert alert["reason"] == "Trykket på nødkaldsknappen (stue) kl. 10:00 den 10. januar."
    (notice,) = await home.rows("SELECT * FROM notice")
    assert (notice["alert"], notice["type"], notice["channel"], notice["state"]) == (
        alert["id"],
        "alert.raised",
        "webhook",
        "waiting",
    )


async def test_a_press_heard_five_times_by_two_lanes_and_delivered_twice_is_one(
    home: House, pool: Pool
) -> None:
    citizen, button = await caller(home)
    watch, clock = watching(pool)

    for lane in ("urgent", "bulk", "urgent"):
        hearings = [press(button, TEN + n * 3 * SECOND) for n in range(5)]
        await home.deliver([citizen], hearings, lane=lane)
        clock.at += 20 * SECOND
        await until_quiet(watch)

    assert [await home.count(table) for table in ("alert", "finding", "notice")] == [1, 1, 1]


async def test_pressing_again_joins_the_open_case_until_somebody_closes_it(
    home: House, pool: Pool
) -> None:
    citizen, button = await caller(home)
    watch, clock = watching(pool)
    for number in (1, 2):
        await home.deliver([citizen], [press(button, clock.at, number)])
        await until_quiet(watch)
        clock.at += 20 * MINUTE
    (alert,) = await home.alerts()
    assert alert["reason"].endswith("Trykket igen kl. 10:20 den 10. januar.")
    assert alert["version"] == 2

    await home.db.execute("UPDATE alert SET state = 'closed', outcome = 'helped'")
    await home.deliver([citizen], [press(button, clock.at, 3)])
    await until_quiet(watch)

    assert [one["state"] for one in await home.alerts()] == ["closed", "new"]
    types = [one["type"] for one in await home.rows("SELECT type FROM notice ORDER BY id")]
    assert types == ["alert.raised", "alert.again", "alert.raised"]


async def test_a_press_that_waits_for_a_nurse_who_is_closing_becomes_a_case_of_its_own(
    home: House, pool: Pool
) -> None:
    _, watch, _ = await called_twice(home, pool)

    async with home.db.transaction():
        await home.db.execute("UPDATE alert SET state = 'closed', outcome = 'helped'")
        judging = asyncio.create_task(watch.judge_pending(("urgent",)))
        await asyncio.sleep(0.2)
        assert not judging.done()
    await judging

    assert [one["state"] for one in await home.alerts()] == ["closed", "new"]


async def test_a_press_found_late_still_alerts_and_says_so(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    watch, clock = watching(pool, TEN + timedelta(days=20))

    await home.deliver([citizen], [press(button)], received=clock.at)
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert alert["late"]
    assert "efterregistreret" in alert["reason"]


async def test_after_a_restore_a_press_of_before_it_says_that_it_may_have_been_told(
    home: House, pool: Pool
) -> None:
    before, after = await home.citizen(), await home.citizen()
    buttons = [await home.placed(one, "call") for one in (before, after)]
    await home.db.execute("UPDATE store SET restored = $1", TEN + MINUTE)
    watch, _ = watching(pool, TEN + 2 * MINUTE)

    await home.deliver([before], [press(buttons[0], TEN)])
    await home.deliver([after], [press(buttons[1], TEN + MINUTE)])
    await until_quiet(watch)

    alerts = {alert["citizen"]: alert for alert in await home.alerts()}
    assert [alerts[one.number]["remade"] for one in (before, after)] == [True, False]
    told = "Databasen er gendannet fra en sikkerhedskopi; alarmen kan være meldt før."
    assert alerts[before.number]["reason"].endswith(told)
    assert told not in alerts[after.number]["reason"]


async def test_a_call_of_a_button_that_nobody_placed_alerts_in_the_home_that_heard_it(
    home: House, pool: Pool
) -> None:
    citizen, neighbour = await home.citizen(), await home.citizen()
    button = await home.device()
    await home.db.execute(
        "INSERT INTO unplaced_call VALUES ($1, $2, $3, $4)",
        home.municipality,
        citizen.number,
        button,
        TEN,
    )
    watch, _ = watching(pool)

    await home.deliver([citizen], [press(button)])
    await home.due(neighbour, TEN)
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert (alert["kind"], alert["citizen"]) == ("unknown_device", citizen.number)


async def test_a_press_before_the_placing_belongs_to_nobody_else_and_after_it_to_the_citizen(
    home: House, pool: Pool
) -> None:
    before, after = await home.citizen(), await home.citizen()
    button = await home.placed(before, "call")
    await home.db.execute('UPDATE placement SET "to" = $2 WHERE device = $1', button, TEN - HOUR)
    await home.db.execute(
        'INSERT INTO placement (municipality, device, citizen, role, "from")'
        " VALUES ($1, $2, $3, 'call', $4)",
        home.municipality,
        button,
        after.number,
        TEN - HOUR,
    )
    watch, _ = watching(pool)

    await home.deliver([before], [press(button, TEN - 2 * HOUR, 1)])
    await home.deliver([after], [press(button, TEN, 2)])
    await until_quiet(watch)

    whose = {alert["citizen"]: alert["since"] for alert in await home.alerts()}
    assert whose == {before.number: TEN - 2 * HOUR, after.number: TEN}

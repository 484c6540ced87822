"""Doses taken, missed and not known, from stored facts to alerts, on the real database."""

from datetime import timedelta

import pytest

from adapters.observation import Kind
from gateway.home import Citizen
from gateway.store.pool import Pool
from gateway.watch import Watch
from tests.gateway.days import local
from tests.gateway.house import House, Seen, StillClock
from tests.gateway.watching import (
    DEADLINE,
    EARLY,
    HOUR,
    MINUTE,
    SECOND,
    taken,
    until_quiet,
    watching,
)


async def dispenser(home: House) -> tuple[Citizen, int]:
    citizen = await home.citizen()
    device = await home.placed(citizen, "dispenser", "køkken")
    await home.plan(device, "08:00", valid_from=local("2027-01-10 00:00"))
    await home.due(citizen, local("2027-01-10 06:00"))
    return citizen, device


async def test_a_dispenser_dead_before_the_window_is_a_missed_dose(home: House, pool: Pool) -> None:
    citizen, _ = await dispenser(home)
    await home.contact(citizen)
    watch, clock = watching(pool, EARLY)
    await until_quiet(watch)
    (deadline,) = await home.rows("SELECT due FROM deadline")
    assert deadline["due"] == DEADLINE

    clock.at = DEADLINE
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert (alert["kind"], alert["since"]) == ("dose_missed", DEADLINE)
    assert "Dispenseren har været tavs" in alert["reason"]


async def test_a_dose_taken_in_time_asks_for_nobody(home: House, pool: Pool) -> None:
    citizen, device = await dispenser(home)
    await home.contact(citizen)
    watch, clock = watching(pool, EARLY)
    await home.deliver([citizen], [taken(device, local("2027-01-10 08:12"))])

    clock.at = DEADLINE + HOUR
    await until_quiet(watch)

    assert await home.count("finding") == 0


@pytest.mark.parametrize(("clock_quality", "alerts"), [(0, 1), (3, 0)])
async def test_a_taking_without_slot_counts_only_with_the_devices_own_time(
    home: House, pool: Pool, clock_quality: int, alerts: int
) -> None:
    citizen, device = await dispenser(home)
    await home.contact(citizen)
    watch, clock = watching(pool, EARLY)
    await home.deliver([citizen], [Seen(device, Kind.DOSE_TAKEN, local("2027-01-10 08:12"))])
    await home.db.execute("UPDATE observation SET clock = $1", clock_quality)

    clock.at = DEADLINE + MINUTE
    await until_quiet(watch)

    assert await home.count("alert") == alerts


async def cut_off(home: House, pool: Pool) -> tuple[Citizen, int, Watch, StillClock]:
    """The box is lost at 07:30 and its dose of 08:00 is not known at 09:30."""
    citizen, device = await dispenser(home)
    await home.contact(citizen)
    watch, clock = watching(pool, EARLY)
    await until_quiet(watch)
    clock.at = local("2027-01-10 07:30")
    await home.lose_contact(citizen, clock.at)
    for moment in (clock.at + MINUTE, DEADLINE):
        clock.at = moment
        await until_quiet(watch)
    return citizen, device, watch, clock


async def back(home: House, citizen: Citizen, watch: Watch, clock: StillClock) -> None:
    clock.at = local("2027-01-12 11:00")
    await home.contact(citizen, clock.at)
    await home.due(citizen, clock.at)
    await until_quiet(watch)


async def test_cut_off_over_the_window_the_dose_belongs_to_the_case_of_the_box(
    home: House, pool: Pool
) -> None:
    await cut_off(home, pool)

    (alert,) = await home.alerts()
    assert alert["kind"] == "box_silent"
    assert "det vides ikke, om den er taget" in alert["reason"]
    whose = await home.rows("SELECT rule, state, alert FROM finding ORDER BY rule")
    assert [(one["rule"], one["state"]) for one in whose] == [
        ("box_silent", "holds"),
        ("dose_missed", "unknown"),
    ]
    assert {one["alert"] for one in whose} == {alert["id"]}


async def test_doses_that_are_not_known_ask_again_after_the_boxs_case_was_closed(
    home: House, pool: Pool
) -> None:
    _, _, watch, clock = await cut_off(home, pool)
    await home.db.execute("UPDATE alert SET state = 'closed', outcome = 'technical'")

    for hours in range(60):
        clock.at = DEADLINE + hours * HOUR
        await until_quiet(watch)

    first, second = await home.alerts()
    assert (first["kind"], second["kind"]) == ("box_silent", "box_silent")
    assert (first["state"], second["state"]) == ("closed", "new")
    assert second["since"] == DEADLINE + timedelta(days=1)
    assert second["reason"].count("det vides ikke, om den er taget") == 2
    whose = await home.rows("SELECT alert FROM finding WHERE rule = 'dose_missed' ORDER BY since")
    assert [one["alert"] for one in whose] == [first["id"], second["id"], second["id"]]
    assert await home.count("notice") == 2


async def test_contact_back_after_two_days_with_the_taking_in_the_spool_is_never_an_alert(
    home: House, pool: Pool
) -> None:
    citizen, device, watch, clock = await cut_off(home, pool)
    await back(home, citizen, watch, clock)
    days = ("2027-01-10", "2027-01-11", "2027-01-12")
    await home.deliver([citizen], [taken(device, local(f"{day} 08:20")) for day in days])

    clock.at += 2 * MINUTE
    await until_quiet(watch)

    assert [alert["kind"] for alert in await home.alerts()] == ["box_silent"]
    states = await home.rows("SELECT state FROM finding WHERE rule = 'dose_missed'")
    assert {one["state"] for one in states} <= {"withdrawn"}


async def test_contact_back_after_two_days_and_nothing_in_the_spool_is_missed(
    home: House, pool: Pool
) -> None:
    citizen, _, watch, clock = await cut_off(home, pool)
    await back(home, citizen, watch, clock)

    clock.at += 2 * MINUTE
    await until_quiet(watch)

    missed = [alert["since"] for alert in await home.alerts() if alert["kind"] == "dose_missed"]
    assert sorted(missed) == [
        DEADLINE,
        DEADLINE + timedelta(days=1),
        DEADLINE + timedelta(days=2),
    ]


async def test_a_late_taking_ends_the_case_and_keeps_both(home: House, pool: Pool) -> None:
    citizen, device = await dispenser(home)
    await home.contact(citizen)
    watch, clock = watching(pool, EARLY)
    for moment in (EARLY, DEADLINE):
        clock.at = moment
        await until_quiet(watch)
    late = local("2027-01-10 10:20")

    clock.at = late + SECOND
    await home.deliver([citizen], [taken(device, late)])
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert (alert["state"], alert["ended"]) == ("new", late)
    assert "Taget for sent kl. 10:20" in alert["reason"]
    assert len(await home.rows("SELECT FROM observation")) == 1

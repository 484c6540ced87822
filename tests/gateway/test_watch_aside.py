"""Whom we cannot judge keeps nobody else waiting and is not forgotten."""

from gateway.health import Health
from gateway.home import Citizen
from gateway.store import claims
from gateway.store.pool import Pool
from gateway.watch import RuleBook, Watch
from tests.gateway.days import local
from tests.gateway.house import House, StillClock
from tests.gateway.watching import (
    HOUR,
    MINUTE,
    SECOND,
    TEN,
    WEBHOOK,
    opened,
    press,
    until_quiet,
    watching,
)


async def test_a_home_with_a_zone_that_does_not_exist_can_call_and_stops_nobody(
    home: House, pool: Pool
) -> None:
    odd, usual = await home.citizen(zone="Mars/Phobos"), await home.citizen()
    night = local("2027-01-10 23:30")
    watch, _ = watching(pool, night)
    for citizen in (odd, usual):
        button, door = await home.placed(citizen, "call"), await home.placed(citizen, "door")
        await home.deliver([citizen], [press(button, night), opened(door, night)])

    await until_quiet(watch)

    kinds = [(alert["citizen"], alert["kind"]) for alert in await home.alerts()]
    assert kinds == [
        (odd.number, "call_pressed"),
        (usual.number, "call_pressed"),
        (usual.number, "night_door"),
    ]
    (deadline,) = await home.rows("SELECT due FROM deadline WHERE citizen = $1", odd.number)
    assert deadline["due"] == night + 5 * MINUTE
    assert await home.count("pending") == 0


async def unreadable(home: House, citizen: Citizen, subject: str) -> None:
    """A stored finding that cannot be compared with anything: its end is no time of ours."""
    await home.db.execute(
        "INSERT INTO finding (municipality, citizen, rule, rule_version, subject, since, until,"
        " state, reason) VALUES ($1, $2, 'call_pressed', 0, $3, $4, 'infinity', 'ended', '')",
        home.municipality,
        citizen.number,
        subject,
        TEN - MINUTE,
    )


async def test_one_citizen_who_cannot_be_judged_stops_nobody_and_is_not_lost(
    home: House, pool: Pool
) -> None:
    odd, usual = await home.citizen(), await home.citizen()
    button, other = await home.placed(odd, "call"), await home.placed(usual, "call")
    await unreadable(home, odd, f"{button}:5")
    clock, health = StillClock(TEN + SECOND), Health()
    watch = Watch(pool, clock, RuleBook(), channels=WEBHOOK, health=health)
    health.ok("watch")

    await home.deliver([odd], [press(button)])
    await home.deliver([odd, usual], [press(other)])
    await home.due(odd, TEN)
    await until_quiet(watch)
    clock.at += MINUTE
    await home.deliver([usual], [press(other, clock.at, 6)], lane="bulk")
    await until_quiet(watch)

    assert [alert["citizen"] for alert in await home.alerts()] == [usual.number]
    assert await home.count("finding") == 3
    assert await home.count("pending") == 2
    assert dict(health.parts) == {"watch": None, "citizens set aside": "TypeError"}
    assert await claims.next_due(pool, without=watch.aside.citizens(clock.now())) is None

    await home.db.execute("DELETE FROM finding WHERE citizen = $1", odd.number)
    clock.at += 5 * MINUTE
    await until_quiet(watch)

    assert {alert["citizen"] for alert in await home.alerts()} == {odd.number, usual.number}
    assert await home.count("pending") == 0
    assert health.ready


async def test_more_citizens_set_aside_than_a_group_holds_keep_nobody_waiting(
    home: House, pool: Pool
) -> None:
    for _ in range(4):
        odd = await home.citizen()
        button = await home.placed(odd, "call")
        await unreadable(home, odd, f"{button}:5")
        await home.deliver([odd], [press(button)])
        await home.due(odd, TEN - HOUR)
    usual = await home.citizen()
    button = await home.placed(usual, "call")
    await home.deliver([usual], [press(button)])
    await home.due(usual, TEN)
    watch = Watch(pool, StillClock(TEN), RuleBook(), most=3, group=3)

    for _ in range(6):
        await watch.judge_due()
        await watch.judge_pending(("urgent",))

    assert [alert["citizen"] for alert in await home.alerts()] == [usual.number]
    assert await home.rows("SELECT FROM deadline WHERE citizen = $1", usual.number) == []
    assert await home.count("pending") == 4


async def test_a_rule_that_failed_is_well_again_when_it_works_and_its_fault_is_not_quoted(
    home: House, pool: Pool
) -> None:
    citizen = await home.citizen(zone="Mars/Phobos")
    door = await home.placed(citizen, "door")
    clock, health = StillClock(TEN), Health()
    watch = Watch(pool, clock, RuleBook(), health=health)
    health.ok("watch")
    await home.deliver([citizen], [opened(door, TEN)])
    await until_quiet(watch)
    assert health.parts["rule night_door"] == "ZoneInfoNotFoundError"

    await home.db.execute("UPDATE home SET zone = 'Europe/Copenhagen'")
    clock.at += 5 * MINUTE
    await until_quiet(watch)

    assert health.ready

"""From stored observations to alerts and notices, on the real database."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from adapters.observation import Kind
from deploy.runtime.paths import ROOT
from deploy.runtime.services import OneDatabase
from gateway import watch
from gateway.clock import Clock, WallClock
from gateway.health import Health
from gateway.home import Citizen
from gateway.rules.finding import BadSettings, Finding, Judgement, Rule, Window
from gateway.store import claims, rules
from gateway.store.pool import DatabaseDown, Pool, connect
from gateway.watch import RuleBook, Watch
from tests.gateway.days import local
from tests.gateway.house import House, Seen, StillClock, house

TEN = local("2027-01-10 10:00")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
WEBHOOK = ("webhook",)


@pytest.fixture
async def home(fresh_database: OneDatabase) -> AsyncIterator[House]:
    async with house(fresh_database) as made:
        yield made


@pytest.fixture
async def pool(home: House) -> AsyncIterator[Pool]:
    async with connect(home.settings(), "watch") as opened:
        yield opened


def watching(pool: Pool, at: datetime = TEN, *, driven: bool = False) -> tuple[Watch, StillClock]:
    clock = StillClock(at, driven=driven)
    return Watch(pool, clock, RuleBook(), channels=WEBHOOK), clock


async def until_quiet(watch: Watch) -> None:
    """Deadlines first, then what is new, until there is neither."""
    while True:
        due = await watch.judge_due()
        pending = await watch.judge_pending(("urgent", "bulk"))
        if not due.done and not pending.done:
            return


def press(device: int, at: datetime = TEN, number: int = 5) -> Seen:
    return Seen(device, Kind.CALL_PRESSED, at, value=float(number))


def opened(device: int, at: datetime) -> Seen:
    return Seen(device, Kind.DOOR, at, value=1.0)


def taken(device: int, at: datetime, slot: int = 1) -> Seen:
    return Seen(device, Kind.DOSE_TAKEN, at, code=slot)


# ---------------------------------------------------------------- presses


async def test_a_press_is_one_alert_and_one_notice(home: House, pool: Pool) -> None:
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
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
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
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
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
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
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
    watch, clock = watching(pool)
    await home.deliver([citizen], [press(button)])
    await until_quiet(watch)
    clock.at += MINUTE
    await home.deliver([citizen], [press(button, clock.at, 6)])

    async with home.db.transaction():
        await home.db.execute("UPDATE alert SET state = 'closed', outcome = 'helped'")
        judging = asyncio.create_task(watch.judge_pending(("urgent",)))
        await asyncio.sleep(0.2)
        assert not judging.done()
    await judging

    assert [one["state"] for one in await home.alerts()] == ["closed", "new"]


async def test_a_press_found_late_still_alerts_and_says_so(home: House, pool: Pool) -> None:
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
    watch, clock = watching(pool, TEN + timedelta(days=20))

    await home.deliver([citizen], [press(button)], received=clock.at)
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert alert["late"]
    assert "efterregistreret" in alert["reason"]


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


# ---------------------------------------------------------------- nights and lines


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


async def couple(home: House) -> tuple[Citizen, Citizen]:
    """Two citizens in one home with one box, whose contact both know."""
    first = await home.citizen()
    shared = await home.db.fetchval("SELECT home FROM citizen WHERE id = $1", first.number)
    second = await home.citizen_in(shared)
    await home.db.execute("DELETE FROM edge WHERE id = $1", home.edges[second.number])
    home.edges[second.number] = home.edges[first.number]
    await home.contact(first)
    return first, second


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


# ---------------------------------------------------------------- doses


async def dispenser(home: House) -> tuple[Citizen, int]:
    citizen = await home.citizen()
    device = await home.placed(citizen, "dispenser", "køkken")
    await home.plan(device, "08:00", valid_from=local("2027-01-10 00:00"))
    await home.due(citizen, local("2027-01-10 06:00"))
    return citizen, device


EARLY = local("2027-01-10 06:00")
DEADLINE = local("2027-01-10 09:30")


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


# ---------------------------------------------------------------- claims, deadlines, the ledger


async def test_what_is_judged_is_watched_and_no_longer_pending(home: House, pool: Pool) -> None:
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
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
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
    await home.contact(citizen)
    watch, clock = watching(pool)
    await home.deliver([citizen], [press(button)])
    await until_quiet(watch)
    clock.at += MINUTE
    await home.deliver([citizen], [press(button, clock.at, 6)])

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


@contextlib.asynccontextmanager
async def another(home: House) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(home.where.dsn())
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_watch_cut_off_in_the_middle_has_changed_nothing(home: House, pool: Pool) -> None:
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
    watch, clock = watching(pool)
    await home.deliver([citizen], [press(button)])
    await until_quiet(watch)
    clock.at += MINUTE
    await home.deliver([citizen], [press(button, clock.at, 6)])

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
    citizen = await home.citizen()
    button = await home.placed(citizen, "call")
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


# ---------------------------------------------------------------- the clock


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


# ---------------------------------------------------------------- settings and the running stage


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


@contextlib.asynccontextmanager
async def running(home: House, clock: Clock) -> AsyncGenerator[Health]:
    health = Health()
    task = asyncio.create_task(watch.run(home.settings(), clock, health))
    try:
        yield health
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def soon(home: House, query: str, seconds: float = 5) -> object:
    """The first value that is something, or None when time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not (found := await home.db.fetchval(query)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.002)
            return found
    return None


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
    assert sorted(took)[len(took) // 2] < 0.1


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

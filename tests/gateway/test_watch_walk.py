"""Calls of a device under test wake nobody; every other call does, whatever any clock says."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from adapters.observation import ClockQuality
from gateway.home import Citizen
from gateway.rules import press as press_rule
from gateway.rules.finding import Judgement, Rule, Window
from gateway.store import walk
from gateway.store.pool import Pool
from gateway.watch import RuleBook, Watch
from tests.gateway.house import House, StillClock
from tests.gateway.watching import (
    MINUTE,
    SECOND,
    TEN,
    WEBHOOK,
    caller,
    press,
    until_quiet,
    watching,
)

HALF = timedelta(minutes=30)


async def trying(
    home: House,
    citizen: Citizen,
    *devices: int,
    start: datetime = TEN,
    ended: datetime | None = None,
) -> None:
    """A test of these placed devices, for half an hour unless ended before."""
    test = await home.db.fetchval(
        "INSERT INTO walk_test (municipality, edge, home, started, until, ended, ended_by)"
        " SELECT municipality, $2, home, $3, $4, $5, CASE WHEN $5::timestamptz IS NULL THEN NULL"
        " ELSE 'person' END FROM citizen WHERE id = $1 RETURNING id",
        citizen.number,
        home.edges[citizen.number],
        start,
        start + HALF,
        ended,
    )
    await home.db.execute(
        "INSERT INTO walk_device SELECT p.municipality, $1, p.id, d.address, p.role, p.room"
        " FROM placement p JOIN device d ON d.id = p.device WHERE p.device = ANY ($2::integer[])",
        test,
        list(devices),
    )


async def told(home: House) -> tuple[int, int]:
    return await home.count("alert"), await home.count("notice")


async def test_a_press_under_test_is_a_finding_and_tells_nobody(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button)
    watch, _ = watching(pool, TEN + MINUTE)

    at = TEN + MINUTE
    await home.deliver([citizen], [press(button, at)], received=at + SECOND)
    await until_quiet(watch)

    assert await told(home) == (0, 0)
    (finding,) = await home.rows("SELECT * FROM finding")
    assert (finding["rule"], finding["state"], finding["alert"]) == ("call_pressed", "ended", None)
    assert finding["reason"].startswith("Prøvekald: trykket på nødkaldsknappen (stue) kl. 10:01")


async def test_another_device_alerts_while_the_first_is_under_test(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    spare = await home.placed(citizen, "call", "bad")
    neighbour, other = await caller(home)
    await trying(home, citizen, button)
    watch, _ = watching(pool, TEN + MINUTE)

    at = TEN + MINUTE
    for whose, device in ((citizen, button), (citizen, spare), (neighbour, other)):
        await home.deliver([whose], [press(device, at)], received=at + SECOND)
    await until_quiet(watch)

    reasons = [one["reason"] for one in await home.alerts()]
    assert await told(home) == (2, 2)
    assert sum("(bad)" in reason for reason in reasons) == 1
    assert not any("Prøvekald" in reason for reason in reasons)


async def test_an_unplaced_device_that_the_box_under_test_hears_alerts(
    home: House, pool: Pool
) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button)
    stray, at = await home.device(), TEN + MINUTE
    await home.db.execute(
        "INSERT INTO unplaced_call VALUES ($1, $2, $3, $4)",
        *(home.municipality, citizen.number, stray, at),
    )
    watch, _ = watching(pool, at)

    await home.deliver([citizen], [press(stray, at)], received=at + SECOND)
    await until_quiet(watch)

    assert [one["kind"] for one in await home.alerts()] == ["unknown_device"]


@pytest.mark.parametrize(
    ("occurred", "received"),
    [
        pytest.param(HALF + SECOND, HALF + 2 * SECOND, id="after its time"),
        pytest.param(-SECOND, SECOND, id="before it, come within it"),
        pytest.param(MINUTE, HALF + MINUTE, id="within it, come after it: nobody saw it"),
        pytest.param(MINUTE, 26 * HALF, id="a clock hours behind puts it into the test"),
    ],
)
async def test_a_press_that_was_not_made_and_seen_within_the_test_alerts(
    home: House, pool: Pool, occurred: timedelta, received: timedelta
) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button)
    watch, _ = watching(pool, TEN + received)

    await home.deliver([citizen], [press(button, TEN + occurred)], received=TEN + received)
    await until_quiet(watch)

    assert await told(home) == (1, 1)


async def test_after_the_end_by_a_person_the_next_press_alerts(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button, ended=TEN + 5 * MINUTE)
    watch, _ = watching(pool, TEN + 6 * MINUTE)

    for minutes in (4, 6):
        at = TEN + minutes * MINUTE
        await home.deliver([citizen], [press(button, at, minutes)], received=at)
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert alert["since"] == TEN + 6 * MINUTE


@pytest.mark.parametrize("clock", [ClockQuality.UNSURE, ClockQuality.AHEAD, ClockQuality.DEVICE])
async def test_a_press_by_a_clock_that_is_not_sure_alerts(
    home: House, pool: Pool, clock: ClockQuality
) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button)
    watch, _ = watching(pool, TEN + MINUTE)

    at = TEN + MINUTE
    await home.deliver([citizen], [press(button, at)], received=at)
    await home.db.execute("UPDATE observation SET clock = $1", int(clock))
    await until_quiet(watch)

    assert await told(home) == (1, 1)


async def test_an_end_that_comes_before_a_press_that_was_judged_already_alerts_it(
    home: House, pool: Pool
) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button)
    watch, clock = watching(pool, TEN + 5 * MINUTE)
    at = TEN + 5 * MINUTE
    await home.deliver([citizen], [press(button, at)], received=at)
    await until_quiet(watch)
    assert await told(home) == (0, 0)

    await home.db.execute(
        "UPDATE walk_test SET ended = $1, ended_by = 'person'", at - timedelta(milliseconds=5)
    )
    await home.due(citizen, clock.at)
    await until_quiet(watch)

    assert await told(home) == (1, 1)


async def test_what_has_alerted_is_not_taken_back_by_a_test(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    watch, clock = watching(pool, TEN + MINUTE)
    at = TEN + MINUTE
    await home.deliver([citizen], [press(button, at)], received=at)
    await until_quiet(watch)

    await trying(home, citizen, button)
    await home.due(citizen, clock.at)
    await until_quiet(watch)

    (alert,) = await home.alerts()
    assert alert["state"] == "new"
    assert await told(home) == (1, 1)


async def test_a_watch_that_starts_in_the_middle_finds_the_same(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button)
    for minutes in (1, 2):
        at = TEN + minutes * MINUTE
        watch, _ = watching(pool, at)  # nothing is carried over from the one before
        await home.deliver([citizen], [press(button, at, minutes)], received=at)
        await until_quiet(watch)

    assert await told(home) == (0, 0)
    assert await home.count("finding") == 2


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_every_order_of_delivery_ends_in_the_same(
    home: House, pool: Pool, order: Sequence[int]
) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button, ended=TEN + 5 * MINUTE)
    times = [TEN - MINUTE, TEN + MINUTE, TEN + 6 * MINUTE]
    watch, _ = watching(pool, TEN + 7 * MINUTE)

    for place in order:
        at = times[place]
        await home.deliver([citizen], [press(button, at, place)], received=at)
        await until_quiet(watch)

    rows = await home.rows("SELECT since, alert IS NULL AS quiet FROM finding ORDER BY since")
    assert [(row["since"], row["quiet"]) for row in rows] == list(
        zip(times, [False, True, False], strict=True)
    )


async def test_a_test_ends_by_itself_and_its_end_is_written_down(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button)

    assert await walk.end_overdue(pool, TEN + HALF - SECOND) == []
    ended = await walk.end_overdue(pool, TEN + HALF + SECOND)

    (row,) = await home.rows("SELECT * FROM walk_test")
    assert ended == [row["public"]]
    assert (row["ended"], row["ended_by"]) == (TEN + HALF, "time")


def _whole_home(window: Window, settings: Any) -> Judgement:
    """The saboteur: while a test runs, every call of the home is taken for one of its own."""
    made = press_rule.judge(window, settings)
    spans = [(test.start, test.end) for test in window.tests]
    return replace(
        made,
        findings=tuple(
            replace(one, alert_kind=None)
            if any(start <= one.since < end for start, end in spans)
            else one
            for one in made.findings
        ),
    )


async def test_a_rule_that_silences_the_whole_home_is_seen_to_fail(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    spare = await home.placed(citizen, "call", "bad")
    await trying(home, citizen, button)
    saboteur: Rule[Any] = replace(press_rule.RULE, judge=_whole_home)
    at = TEN + MINUTE
    watch = Watch(pool, StillClock(at), RuleBook(), channels=WEBHOOK, rules=(saboteur,))

    await home.deliver([citizen], [press(spare, at)], received=at)
    await until_quiet(watch)

    assert await told(home) == (0, 0), "another device's call is lost: what the tests above forbid"


def _by_any_clock(window: Window, settings: Any) -> Judgement:
    """The saboteur: it believes when a call says it was made, and does not ask when it came."""
    made = press_rule.judge(window, settings)
    places = [(test.placement, test.start, test.end) for test in window.tests]
    inside = {
        one.occurred
        for one in window.heard
        if any(one.placement == at and start <= one.occurred < end for at, start, end in places)
    }
    return replace(
        made,
        findings=tuple(
            replace(one, alert_kind=None) if one.since in inside else one for one in made.findings
        ),
    )


async def test_a_rule_that_believes_any_clock_is_seen_to_fail(home: House, pool: Pool) -> None:
    citizen, button = await caller(home)
    await trying(home, citizen, button)
    saboteur: Rule[Any] = replace(press_rule.RULE, judge=_by_any_clock)
    hours_later = TEN + 26 * HALF
    watch = Watch(pool, StillClock(hours_later), RuleBook(), channels=WEBHOOK, rules=(saboteur,))

    await home.deliver([citizen], [press(button, TEN + MINUTE)], received=hours_later)
    await until_quiet(watch)

    assert await told(home) == (0, 0), "a real call by a clock that is behind is lost"

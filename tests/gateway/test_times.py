"""Honest time: what a wrong clock heard, on exact dates, through ingest, database and rules."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.frame import Frame
from adapters.observation import ClockQuality, Kind
from tests.frames import door, press
from tests.gateway.chain import ZERO, Chain, Machine

MORNING = datetime(2026, 9, 21, 6, 15, tzinfo=UTC)
YEAR = timedelta(days=365)
SECOND = timedelta(seconds=1)
SURE, CORRECTED, UNSURE, AHEAD = (
    ClockQuality.SYNCHRONISED,
    ClockQuality.CORRECTED,
    ClockQuality.UNSURE,
    ClockQuality.AHEAD,
)


@pytest.fixture
def home(chained: Chain) -> Chain:
    return chained


async def one_call(home: Chain, *, since: datetime, late: bool = False) -> None:
    """Exactly one person was asked for, about a press at this time."""
    (alert,) = await home.alerts()
    assert (alert["kind"], alert["since"], alert["late"]) == ("call_pressed", since, late)


# ---------------------------------------------------------------- no clock at boot


async def test_a_press_before_the_clock_is_set_is_counted_back_from_its_receipt(
    home: Chain,
) -> None:
    box = Machine(now=MORNING)
    box.shows(ZERO + timedelta(minutes=1), sure=False)
    pressed = box.presses(1)
    box.passes(seconds=4)

    await home.take(box.sends(pressed), at=box.now)

    assert await home.heard() == {1: (MORNING, UNSURE)}
    await one_call(home, since=MORNING)


async def test_a_press_before_the_clock_is_set_is_exact_when_it_is_sent_after(home: Chain) -> None:
    box = Machine(now=MORNING)
    box.shows(ZERO + timedelta(minutes=1), sure=False)
    pressed = box.presses(1)
    box.passes(minutes=3)
    box.shows(box.now, sure=True)
    after = box.presses(2)
    box.passes(seconds=2)

    await home.take(box.sends(pressed, after), at=box.passes(hours=2))  # the broker was slow

    assert await home.heard() == {
        1: (MORNING, CORRECTED),
        2: (MORNING + timedelta(minutes=3), SURE),
    }


async def test_a_press_of_a_boot_without_a_clock_that_a_later_boot_sends_is_of_its_receipt(
    home: Chain,
) -> None:
    """Neither clock nor uptime says anything of that boot: it is told as if it were now."""
    box = Machine(now=MORNING)
    box.shows(ZERO + timedelta(minutes=1), sure=False)
    pressed, boot = box.presses(1), box.boot
    box.starts_again(box.now, sure=True)
    received = box.passes(seconds=20)

    await home.take(box.sends(pressed, boot=boot), at=received)

    assert await home.heard() == {1: (received, UNSURE)}
    await one_call(home, since=received)


async def test_a_press_of_an_earlier_boot_with_an_old_clock_keeps_what_it_said_and_alerts(
    home: Chain,
) -> None:
    """A box without a battery for its clock starts at the time of its last stop."""
    box, last_stop = Machine(now=MORNING), datetime(2026, 8, 30, 20, 0, tzinfo=UTC)
    box.shows(last_stop, sure=False)
    pressed, boot = box.presses(1), box.boot
    box.starts_again(last_stop + SECOND, sure=False)  # and again no clock

    await home.take(box.sends(pressed, boot=boot), at=box.now)

    assert await home.heard() == {1: (last_stop, UNSURE)}
    await one_call(home, since=last_stop, late=True)


async def test_what_an_earlier_boot_heard_with_a_good_clock_is_as_it_said(home: Chain) -> None:
    box = Machine(now=MORNING)
    pressed, boot = box.presses(1), box.boot
    box.passes(hours=9)
    box.starts_again(ZERO + SECOND, sure=False)
    box.passes(seconds=30)
    box.shows(box.now, sure=True)

    await home.take(box.sends(pressed, boot=boot), at=box.now)

    assert await home.heard() == {1: (MORNING, SURE)}
    await one_call(home, since=MORNING, late=True)


# ---------------------------------------------------------------- a clock that is far off


@pytest.mark.parametrize(
    ("wrong", "sure", "quality"),
    [
        (YEAR, True, AHEAD),
        (YEAR, False, UNSURE),
        (-YEAR, True, UNSURE),
        (-YEAR, False, UNSURE),
        (timedelta(minutes=6), True, AHEAD),
        (timedelta(days=-7, seconds=-1), True, UNSURE),
    ],
)
async def test_a_clock_that_is_far_off_is_not_believed_sure_or_not(
    home: Chain, wrong: timedelta, quality: ClockQuality, *, sure: bool
) -> None:
    box = Machine(now=MORNING, wrong=wrong, sure=sure)
    first = box.presses(1)
    second_at = box.passes(minutes=20)
    second = box.presses(2)
    box.passes(seconds=3)

    await home.take(box.sends(first, second), at=box.now)

    assert await home.heard() == {1: (MORNING, quality), 2: (second_at, quality)}
    (alert,) = await home.alerts()
    assert (alert["kind"], alert["since"]) == ("call_pressed", MORNING)


@pytest.mark.parametrize("wrong", [timedelta(days=-3), timedelta(minutes=4)])
async def test_between_what_a_broker_may_account_for_and_a_wrong_clock_nobody_can_tell(
    home: Chain, wrong: timedelta
) -> None:
    box = Machine(now=MORNING, wrong=wrong)
    pressed = box.presses(1)

    await home.take(box.sends(pressed), at=box.now)

    assert await home.heard() == {1: (MORNING + wrong, SURE)}
    assert len(await home.alerts()) == 1, "a call alerts however old its time"


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, -timedelta(days=3), timedelta(minutes=4)])
async def test_a_wrong_clock_that_is_set_before_sending_is_found_by_the_uptime(
    home: Chain, wrong: timedelta
) -> None:
    box = Machine(now=MORNING, wrong=wrong)
    pressed = box.presses(1)
    box.passes(hours=3)
    box.shows(box.now, sure=True)

    await home.take(box.sends(pressed), at=box.now)

    assert await home.heard() == {1: (MORNING, CORRECTED)}


async def test_a_frame_that_an_earlier_boot_dates_a_year_ahead_is_of_its_receipt(
    home: Chain,
) -> None:
    box = Machine(now=MORNING, wrong=YEAR)
    pressed, boot = box.presses(1), box.boot
    box.starts_again(box.now, sure=True)

    await home.take(box.sends(pressed, boot=boot), at=box.now)

    assert await home.heard() == {1: (box.now, AHEAD)}
    await one_call(home, since=box.now)


# ---------------------------------------------------------------- a clock that steps


async def test_a_clock_that_steps_back_inside_a_batch_leaves_the_order_of_the_uptime(
    home: Chain,
) -> None:
    box = Machine(now=MORNING, wrong=timedelta(minutes=10))
    first = box.presses(1)
    box.passes(seconds=30)
    box.shows(box.now, sure=True)
    second = box.presses(2)
    box.passes(hours=5)

    await home.take(box.sends(first, second), at=box.now)

    assert await home.heard() == {
        1: (MORNING, CORRECTED),
        2: (MORNING + 30 * SECOND, SURE),
    }


async def test_a_clock_that_steps_back_between_batches_leaves_the_order_of_the_uptime(
    home: Chain,
) -> None:
    box = Machine(now=MORNING, wrong=timedelta(hours=1))
    await home.take(box.sends(box.presses(1)), at=box.now)
    box.passes(seconds=30)
    waiting = box.presses(2)
    box.passes(seconds=30)
    box.shows(box.now, sure=True)

    await home.take(box.sends(waiting, box.presses(3)), at=box.now)

    assert await home.heard() == {
        1: (MORNING, AHEAD),
        2: (MORNING + 30 * SECOND, CORRECTED),
        3: (MORNING + 60 * SECOND, SURE),
    }
    rows = await home.findings("call_pressed")
    assert [row["subject"].split(":")[1] for row in rows] == ["1", "2", "3"]


@pytest.mark.parametrize("step", [timedelta(seconds=-1), timedelta(seconds=1.5)])
async def test_a_step_that_is_smaller_than_two_seconds_stays_as_it_was_said(
    home: Chain, step: timedelta
) -> None:
    box = Machine(now=MORNING)
    pressed = box.presses(1)
    box.passes(minutes=1)
    box.shows(box.now + step, sure=True)

    await home.take(box.sends(pressed), at=box.now)

    assert await home.heard() == {1: (MORNING, SURE)}


# ---------------------------------------------------------------- the leap second


NEW_YEAR = datetime(2017, 1, 1, tzinfo=UTC)
"""Before it came 2016-12-31T23:59:60, the last leap second there was."""


def at_the_leap(box: Machine) -> list[Frame]:
    """A press every half second from 23:59:59 on: the kernel shows that second twice."""
    frames: list[Frame] = []
    for counter in range(1, 7):
        frames.append(box.presses(counter))
        box.passes(seconds=0.5)
        if counter == 2:
            box.wrong -= SECOND  # at 23:59:60 the clock goes back to 23:59:59
    return frames


async def test_the_leap_second_loses_nothing_and_keeps_what_the_clock_said(home: Chain) -> None:
    box = Machine(now=NEW_YEAR - SECOND)
    frames = at_the_leap(box)
    half, before = SECOND / 2, NEW_YEAR - SECOND

    await home.take(box.sends(*frames), at=box.now)

    assert await home.heard() == {
        1: (before, SURE),
        2: (before + half, SURE),
        3: (before, SURE),
        4: (before + half, SURE),
        5: (NEW_YEAR, SURE),
        6: (NEW_YEAR + half, SURE),
    }
    assert len(await home.findings("call_pressed")) == 6
    assert len(await home.alerts()) == 1


async def test_a_smeared_leap_second_is_as_the_clock_said(home: Chain) -> None:
    """The clock runs slower by 1 s in 24 h around it, and so does the uptime that it disciplines.

    A box whose uptime is not smeared is off by that second at most, which is no step.
    """
    box = Machine(now=NEW_YEAR - timedelta(hours=12))
    frames: list[Frame] = []
    for counter in range(25):
        box.wrong = -SECOND * counter / 24
        frames.append(box.presses(counter))
        box.passes(hours=1)
    box.passes(hours=-1)

    await home.take(box.sends(*frames), at=box.now)

    said = await home.heard()
    assert [said[n] for n in range(25)] == sorted(said.values())
    assert {quality for _, quality in said.values()} == {SURE}
    assert said[24][0] == box.now - SECOND


# ---------------------------------------------------------------- late data


async def test_what_comes_late_fills_history_and_is_not_the_latest(home: Chain) -> None:
    box = Machine(now=MORNING)
    kept = [box.hears(door), box.presses(1)]
    box.passes(days=2)
    await home.take(box.sends(box.hears(door), box.presses(2)), at=box.now)

    await home.take(box.sends(*kept), at=box.passes(minutes=5))

    (latest,) = await home.rows(
        "SELECT * FROM observation WHERE kind = $1 ORDER BY occurred DESC LIMIT 1", Kind.DOOR
    )
    assert latest["occurred"] == MORNING + timedelta(days=2)
    (oldest,) = await home.rows(
        "SELECT * FROM observation WHERE kind = $1 ORDER BY occurred LIMIT 1", Kind.DOOR
    )
    assert (oldest["occurred"], oldest["received"]) == (MORNING, box.now)
    assert oldest["clock"] == SURE


async def test_of_last_night_nobody_is_woken_for_a_door_but_for_a_call(home: Chain) -> None:
    night = datetime(2026, 9, 19, 1, 30, tzinfo=UTC)  # 03:30 in Copenhagen
    box = Machine(now=night)
    kept = [box.hears(door), box.presses(1)]
    box.passes(days=2)

    await home.take(box.sends(*kept), at=box.now)

    (opened,) = await home.findings("night_door")
    assert (opened["since"], opened["alert"], opened["state"]) == (night, None, "ended")
    await one_call(home, since=night, late=True)
    (alert,) = await home.alerts()
    assert "kl. 03:30 den 19. september" in alert["reason"]
    assert "efterregistreret" in alert["reason"]


async def test_the_rows_of_one_frame_have_one_time_and_one_receipt(home: Chain) -> None:
    box = Machine(now=MORNING, wrong=-YEAR)
    pressed = box.presses(1)
    box.passes(seconds=5)

    await home.take(box.sends(pressed), at=box.now)

    rows = await home.rows("SELECT DISTINCT occurred, received, clock FROM observation")
    assert rows == [{"occurred": MORNING, "received": box.now, "clock": UNSURE}]


async def test_an_uptime_of_nothing_says_nothing(home: Chain) -> None:
    """Recorded homes have none: their times are believed."""
    box = Machine(now=MORNING)
    box.passes(hours=1)
    at = round(MORNING.timestamp() * 1_000)

    await home.take(box.sends(press(1, at=at, uptime=0.0)), at=box.now)

    assert await home.heard() == {1: (MORNING, SURE)}

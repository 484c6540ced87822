"""The steps against silence: mild ones first, and a reboot only with evidence and seldom."""

from dataclasses import replace

import pytest

from edge.hearing.ladder import (
    BUSY,
    DAY,
    LONGEST_PATIENCE,
    Ladder,
    Moment,
    Past,
    Reboot,
    Step,
    Trouble,
)

NOW = Moment(boot="a", uptime=50_000.0, at=None)
BUSY_HOME = Past(busy=True)


def climb(ladder: Ladder, trouble: Trouble, steps: int, now: Moment = NOW) -> list[Step]:
    """One step each five minutes."""
    return [
        ladder.next(trouble, replace(now, uptime=now.uptime + 300 * step)) for step in range(steps)
    ]


@pytest.mark.parametrize(
    ("trouble", "steps"),
    [
        ("silent", ["rescan", "renew", "power_cycle", "restart_daemon", "reboot"]),
        ("refused", ["renew", "power_cycle", "restart_daemon", "reboot"]),
        ("daemon_gone", ["renew", "restart_daemon", "reboot"]),
        ("no_adapter", ["renew", "restart_daemon", "reboot"]),
        ("powered_off", ["power_cycle", "restart_daemon", "reboot"]),
    ],
)
def test_each_trouble_has_its_steps(trouble: Trouble, steps: list[Step]) -> None:
    assert climb(Ladder(past=BUSY_HOME), trouble, len(steps)) == steps


def test_a_hearing_tells_what_healed_and_the_next_silence_begins_at_the_bottom() -> None:
    ladder = Ladder(past=BUSY_HOME)
    climb(ladder, "silent", 3)

    assert ladder.heard(NOW.uptime) == "power_cycle"
    assert ladder.heard(NOW.uptime + 1) is None
    assert ladder.next("silent", NOW) == "rescan"


def test_a_trouble_that_shows_its_cause_on_the_way_up_is_met_by_the_steps_left() -> None:
    ladder = Ladder()

    assert climb(ladder, "silent", 2) == ["rescan", "renew"]
    assert climb(ladder, "no_adapter", 1) == ["restart_daemon"]


def test_a_home_where_nothing_advertises_is_never_booted_for_it() -> None:
    ladder, steps = Ladder(), list[Step]()

    for day in range(365):
        steps += climb(ladder, "silent", 24, replace(NOW, uptime=day * DAY))

    assert "reboot" not in steps


def test_an_hour_of_hearing_shows_that_silence_is_a_fault_here() -> None:
    ladder = Ladder()

    ladder.heard(0.0)
    ladder.heard(BUSY - 1)
    assert not ladder.past.busy
    ladder.heard(BUSY)

    assert ladder.past.busy


def test_an_hour_with_a_silence_in_it_shows_nothing() -> None:
    ladder = Ladder()

    ladder.heard(0.0)
    ladder.next("silent", NOW)
    ladder.heard(BUSY)

    assert not ladder.past.busy


def test_a_trouble_of_minutes_is_not_booted_for() -> None:
    ladder = Ladder(past=BUSY_HOME)

    steps = [ladder.next("no_adapter", NOW) for _ in range(9)]

    assert "reboot" not in steps


def days_of_reboots(ladder: Ladder, trouble: Trouble, days: int) -> list[int]:
    """The days on which a reboot was asked for; each is a new boot, and nothing is ever heard."""
    found, booted = list[int](), 0
    for hour in range(24 * days):
        now = Moment(boot=f"boot {booted}", uptime=(hour - booted) * 3_600.0, at=None)
        if "reboot" in climb(ladder, trouble, 5, now):
            found.append(hour // 24)
            booted = hour
            ladder = Ladder(past=Past.noted(ladder.past.note()))
    return found


def test_reboots_that_heal_nothing_become_seldom() -> None:
    assert days_of_reboots(Ladder(), "no_adapter", 60) == [0, 2, 6, 14, 30, 46]


def test_silence_alone_is_booted_for_once_until_something_is_heard_again() -> None:
    assert days_of_reboots(Ladder(past=BUSY_HOME), "silent", 60) == [0]


def test_without_the_note_on_disk_it_would_boot_for_ever() -> None:
    """The saboteur: a ladder that forgets its past at each start."""
    asked = [climb(Ladder(), "no_adapter", 5) for _ in range(3)]

    assert all("reboot" in steps for steps in asked)


def test_a_reboot_that_healed_allows_the_next_after_a_day() -> None:
    ladder = Ladder(past=BUSY_HOME)
    climb(ladder, "silent", 5)
    ladder.heard(10.0)

    early = climb(ladder, "silent", 5, Moment(boot="b", uptime=DAY / 2, at=None))
    ladder.heard(DAY)
    late = climb(ladder, "silent", 5, Moment(boot="b", uptime=DAY + 1, at=None))

    assert ("reboot" in early, "reboot" in late) == (False, True)


def test_a_sure_clock_counts_the_time_that_the_box_was_switched_off() -> None:
    past = Past(busy=True, reboot=Reboot(boot="a", uptime=9.0, at=1_000, heard=True))
    later = Moment(boot="c", uptime=60.0, at=1_000 + int(DAY * 1000))

    assert "reboot" in climb(Ladder(past=past), "silent", 5, later)
    assert "reboot" not in climb(Ladder(past=past), "silent", 5, replace(later, at=None))


def test_patience_grows_with_every_round_and_is_greater_where_nobody_may_speak() -> None:
    busy, quiet = Ladder(past=BUSY_HOME), Ladder()

    assert (busy.patience(), quiet.patience()) == (1.0, 1.0)
    climb(busy, "silent", 1)
    climb(quiet, "silent", 1)
    assert (busy.patience(), quiet.patience()) == (1.0, 6.0)
    climb(busy, "silent", 100)
    assert busy.patience() == LONGEST_PATIENCE


@pytest.mark.parametrize("note", [None, "", "{", "[]", "7", '{"reboot": {"odd": 1}}'])
def test_a_note_that_cannot_be_read_is_no_past(note: str | None) -> None:
    assert Past.noted(note) == Past()


def test_the_past_is_read_as_it_was_noted() -> None:
    past = Past(busy=True, reboot=Reboot(boot="a", uptime=1.5, at=7, fruitless=2, heard=True))

    assert Past.noted(past.note()) == past

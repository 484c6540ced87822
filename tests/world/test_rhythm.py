"""The simulated home keeps the figures that were counted in recorded ones."""

import random

import pytest

from deploy.world.rhythm import (
    BATHROOM_VISITS,
    BY_HOUR,
    BY_SENSOR,
    GAPS,
    Dose,
    Happening,
    day,
    dose,
    gaps,
)

DAYS = [day(f"home {number}") for number in range(120)]


def test_the_day_has_the_recorded_hours() -> None:
    hours = [sum(event.at // 3600 == hour for event in _all()) / len(DAYS) for hour in range(24)]

    assert hours == pytest.approx(BY_HOUR, rel=0.25, abs=1.0)


def test_each_sensor_speaks_as_often_as_recorded() -> None:
    counted = {
        name: sum(event.sensor == name for event in _all()) / len(DAYS) for name in BY_SENSOR
    }

    assert counted == pytest.approx(dict(BY_SENSOR), rel=0.25)


def test_the_gaps_are_the_recorded_ones_within_a_third() -> None:
    drawn = sorted(gap for one in DAYS for gap in gaps(one))

    for share, recorded in GAPS[1:]:
        assert drawn[int(share * len(drawn))] == pytest.approx(recorded, rel=0.34)


def test_the_bathroom_is_visited_at_night_as_often_as_recorded() -> None:
    heard = [event for event in _all() if event.sensor == "bathroom"]
    night = [event for event in heard if event.at < 6 * 3600 or event.at >= 23 * 3600]

    assert len(night) / 2 / len(DAYS) == pytest.approx(BATHROOM_VISITS, rel=0.15)  # heard twice


def test_a_day_is_the_same_for_the_same_seed_and_fuller_at_a_higher_rate() -> None:
    assert day("a home") == day("a home") != day("another home")
    assert len(day("a home", rate=10)) == pytest.approx(10 * 390, rel=0.2)


def test_doses_are_missed_and_late_as_often_as_in_literature() -> None:
    dice = random.Random(1)  # noqa: S311 - a simulation
    evenings = [dose(dice, evening=True) for _ in range(20_000)]
    mornings = [dose(dice, evening=False) for _ in range(20_000)]

    assert _missed(mornings) == pytest.approx(0.02, abs=0.004)
    assert _missed(evenings) / _missed(mornings) == pytest.approx(1.5, abs=0.3)


def _missed(doses: list[Dose]) -> float:
    return sum(one.after is None for one in doses) / len(doses)


def _all() -> list[Happening]:
    return [event for one in DAYS for event in one]

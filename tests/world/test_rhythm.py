"""The simulated home keeps the figures that were counted in recorded ones."""

import csv
import gzip
import random
from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

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

SENSORS = {
    "pir_kitchen": "kitchen",
    "pir_hallway": "hall",
    "pir_lounge": "lounge",
    "pir_bedroom": "bedroom",
    "contact_fridge": "fridge",
    "pir_bathroom": "bathroom",
    "door_front": "front_door",
    "door_back": "back_door",
}
"""The recordings' names, and what the simulation calls them."""
DAYS = [day(f"home {number}") for number in range(120)]


@pytest.mark.slow
def test_the_figures_are_those_of_the_recordings_themselves(shared: Path) -> None:
    """Counted here from the rows, so that a wrong figure cannot agree with itself.

    Coarsely: the page that the figures are from left out days that were not whole.
    """
    rows = _recorded(shared / "data" / "tihm_events_shared.csv.gz")
    days = {(home, at.date()) for home, _, at in rows}
    hours = Counter(at.hour for *_, at in rows)
    of_day = Counter((sensor, home, at.date()) for home, sensor, at in rows)
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for home, _, at in rows:
        times[home].append(at)

    per_hour = [hours[hour] / len(days) for hour in range(24)]
    per_sensor = {
        name: median(n for (sensor, *_), n in of_day.items() if sensor == recorded)
        for recorded, name in SENSORS.items()
    }
    drawn = sorted(
        (later - earlier).total_seconds()
        for one in times.values()
        for earlier, later in pairwise(sorted(one))
    )
    assert list(BY_HOUR) == pytest.approx(per_hour, rel=0.25, abs=0.5)
    assert dict(BY_SENSOR) == pytest.approx(per_sensor, rel=0.35)
    for share, seconds in GAPS:
        assert seconds == pytest.approx(drawn[int(share * len(drawn))], rel=0.1)


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


def _recorded(file: Path) -> list[tuple[str, str, datetime]]:
    """Home, sensor and local time of each row."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        return [
            (row["home_id"], row["sensor_id"], datetime.fromisoformat(row["timestamp"]))
            for row in csv.DictReader(lines)
        ]

"""Half an hour of test calls a home, in one test or in several together."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.store.walk import LONGEST, Runs, TooSoon, until

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def tried(start: float, end: float, *, runs: bool = False) -> Any:
    """From minute to minute after noon."""
    return {
        "started": NOON + timedelta(minutes=start),
        "ended": NOON + timedelta(minutes=end),
        "runs": runs,
    }


def ends(*tests: Any, now: float, length: timedelta = LONGEST) -> float:
    """In which minute after noon a test that begins then is over."""
    return (until(tests, NOON + timedelta(minutes=now), length) - NOON).total_seconds() / 60


@pytest.mark.parametrize(
    ("tests", "now", "minutes", "over"),
    [
        ([], 5, 30, 35),
        ([], 5, 2, 7),
        ([tried(0, 1)], 2, 30, 30),  # a short one used up one minute, not the half hour
        ([tried(2, 3), tried(0, 1)], 4, 30, 30),
        ([tried(0, 20)], 25, 30, 30),
        ([tried(0, 20)], 30, 30, 60),  # the home has rested
        ([tried(20, 21), tried(0, 5)], 22, 30, 50),  # it had rested between those
    ],
)
def test_what_is_left_counts_from_the_first_of_those_that_follow_each_other(
    tests: list[Any], now: float, minutes: float, over: float
) -> None:
    assert ends(*tests, now=now, length=timedelta(minutes=minutes)) == over


def test_when_it_is_used_up_the_home_rests() -> None:
    with pytest.raises(TooSoon) as soon:
        ends(tried(0, 30), now=31)

    assert soon.value.at == NOON + timedelta(minutes=40)


def test_one_runs_at_a_time() -> None:
    with pytest.raises(Runs):
        ends(tried(0, 30, runs=True), now=3)

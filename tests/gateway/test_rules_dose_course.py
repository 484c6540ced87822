"""Where a dose is by its dispenser's word, and what a missed one's alert says of it."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.observation import Kind
from gateway.home import Dose, doses
from gateway.rules.dose import RULE
from gateway.rules.dose_course import State, course
from gateway.rules.finding import Heard
from tests.gateway.days import contact, dispenser, local, plan, window

MORNING = plan("08:00")  # due 08:00, missed 09:30
DEADLINE = local("2027-01-10 09:30")
EIGHT = local("2027-01-10 08:00")
A_MINUTE = timedelta(minutes=1)

DUE, OUT, TAKEN = Kind.DOSE_DUE, Kind.DOSE_DISPENSED, Kind.DOSE_TAKEN
JAM, FILLED, EMPTY = Kind.JAM, Kind.REFILL_DONE, Kind.REFILL_EMPTY


def the_dose() -> Dose:
    (dose,) = doses(MORNING, EIGHT - A_MINUTE, EIGHT + A_MINUTE)
    return dose


def told(*kinds: Kind) -> list[Heard]:
    """One a minute from eight o'clock."""
    return [dispenser(EIGHT + n * A_MINUTE, kind) for n, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ((), State.UNTOLD),
        ((DUE,), State.WAITS),
        ((DUE, OUT), State.OUT),
        ((DUE, OUT, TAKEN), State.TAKEN),
        ((DUE, OUT, Kind.DOSE_UNCONFIRMED), State.UNCONFIRMED),
        ((DUE, OUT, Kind.DOSE_UNCONFIRMED, Kind.DOSE_TAKEN_LATE), State.TAKEN),
        ((DUE, OUT, JAM), State.OUT),
        ((DUE, JAM), State.STUCK),
        ((DUE, JAM, FILLED), State.WAITS),
        ((DUE, JAM, OUT), State.OUT),
        ((DUE, EMPTY, FILLED, OUT), State.OUT),
        ((DUE, Kind.DISPENSE_BLOCKED, Kind.DOSE_MISSED), State.BLOCKED),
        ((DUE, Kind.DOSE_WITHHELD), State.WITHHELD),
        ((DUE, Kind.DOSE_WITHHELD, OUT, TAKEN), State.TAKEN),
        ((DUE, Kind.DOSE_SKIPPED), State.SKIPPED),
        ((Kind.TRAVEL_DOSE_RELEASED,), State.TRAVELS),
        ((TAKEN, Kind.DOSE_WITHHELD, DUE), State.TAKEN),
    ],
)
def test_a_dose_goes_where_its_dispenser_says(kinds: Sequence[Kind], state: State) -> None:
    assert course(the_dose(), told(*kinds)) is state


def test_yesterdays_dose_of_the_slot_and_another_slot_say_nothing_of_this_one() -> None:
    others = [
        dispenser(EIGHT - timedelta(hours=23), OUT),
        dispenser(EIGHT + A_MINUTE, TAKEN, slot=2),
    ]

    assert course(the_dose(), others) is State.UNTOLD


def test_a_jam_of_last_night_still_stands_in_the_way_this_morning() -> None:
    jam = dispenser(EIGHT - timedelta(hours=10), JAM, slot=None)

    assert course(the_dose(), [jam, *told(DUE)]) is State.STUCK


KINDS = st.sampled_from([kind for kind in Kind if Kind.DOSE_DUE <= kind <= Kind.TILTED])


@given(
    facts=st.lists(st.tuples(st.integers(-60, 300), KINDS), max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_no_order_of_delivery_changes_where_a_dose_is(
    facts: list[tuple[int, Kind]],
    order: Random,
) -> None:
    heard = [dispenser(EIGHT + minutes * A_MINUTE, kind) for minutes, kind in facts]
    mixed = list(heard)
    order.shuffle(mixed)

    assert course(the_dose(), mixed) is course(the_dose(), heard)


@given(facts=st.lists(st.tuples(st.integers(-60, 300), KINDS), max_size=8))
def test_a_dose_is_taken_only_where_somebody_confirmed_it(facts: list[tuple[int, Kind]]) -> None:
    heard = [dispenser(EIGHT + minutes * A_MINUTE, kind) for minutes, kind in facts]

    confirmed = any(kind is TAKEN for _, kind in facts)
    assert (course(the_dose(), heard) is State.TAKEN) == confirmed


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ((DUE, OUT), "Dosis er udleveret, men ikke bekræftet taget."),
        ((DUE, JAM), "Dispenseren sidder fast."),
        ((DUE, EMPTY, Kind.DOSE_MISSED), "Dispenseren er tom. Bekræftet af dispenseren."),
        ((DUE, Kind.DOSE_SKIPPED), "Dosis er meldt sprunget over."),
        ((DUE, Kind.DOSE_MISSED), "Bekræftet af dispenseren."),
    ],
)
def test_a_missed_doses_alert_says_what_the_dispenser_knows(
    kinds: Sequence[Kind], words: str
) -> None:
    seen = window(DEADLINE, heard=told(*kinds), contacts=[contact()], doses=[MORNING])

    judged = RULE.judge(seen, RULE.defaults)

    (found,) = [one for one in judged.findings if one.subject.endswith("2027-01-10")]
    assert found.alert_kind == "dose_missed"
    assert found.reason.endswith(f"er ikke taget inden kl. 09:30. {words}")


@pytest.mark.parametrize("kind", [Kind.DOSE_TAKEN_EARLY, TAKEN, Kind.DOSE_TAKEN_LATE])
def test_whatever_the_device_calls_it_a_confirmed_dose_is_not_missed(kind: Kind) -> None:
    seen = window(DEADLINE, heard=told(DUE, OUT, kind), contacts=[contact()], doses=[MORNING])

    judged = RULE.judge(seen, RULE.defaults)

    assert [one for one in judged.findings if one.subject.endswith("2027-01-10")] == []

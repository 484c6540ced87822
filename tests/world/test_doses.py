"""The inside of the reference dispenser: a dose goes only where a dose can go."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from deploy.world.dispenser import Confirmation, Event, Told
from deploy.world.doses import Blocked, Doses, NotNow, Slot, State

DAY = datetime(2026, 3, 1, tzinfo=UTC)
EIGHT = DAY.replace(hour=8)
MORNING, EVENING = Slot(1, time(8)), Slot(2, time(20))


def a_day(*, store: int = 10, drawer: int = 2) -> Doses:
    return Doses([MORNING, EVENING], DAY, store=store, drawer=drawer)


def events(told: Iterable[Told]) -> list[Event]:
    return [one.event for one in told]


def test_a_dose_waits_comes_out_and_is_confirmed() -> None:
    day = a_day()

    told = [
        *day.pass_time(EIGHT),
        *day.ask(1, EIGHT + timedelta(minutes=5)),
        *day.confirm(1, EIGHT + timedelta(minutes=6), Confirmation.LID),
    ]

    assert events(told) == [Event.DOSE_DUE, Event.DOSE_DISPENSED, Event.DOSE_TAKEN]
    assert told[-1].confirmation is Confirmation.LID
    assert day.state(1) is State.TAKEN


@pytest.mark.parametrize(
    ("minutes", "event"),
    [(-30, Event.DOSE_TAKEN_EARLY), (30, Event.DOSE_TAKEN), (61, Event.DOSE_TAKEN_LATE)],
)
def test_a_confirmation_is_early_in_time_or_late(minutes: int, event: Event) -> None:
    day, now = a_day(), EIGHT + timedelta(minutes=minutes)
    list(day.ask(1, min(now, EIGHT)))

    assert events(day.confirm(1, now, Confirmation.OK_BUTTON)) == [event]


def test_a_dose_that_nobody_fetches_is_missed_and_locked_away_until_the_drawer_is_full() -> None:
    day = a_day(drawer=1)

    told = events(day.pass_time(EIGHT + timedelta(hours=1)))

    assert told == [
        Event.DOSE_DUE,
        Event.DOSE_MISSED,
        Event.DOSE_WITHHELD,
        Event.WITHHELD_DRAWER_FULL,
    ]


def test_a_dose_that_came_out_and_is_not_confirmed_is_said_to_be_so_and_may_be_taken_still() -> (
    None
):
    day = a_day()
    list(day.ask(1, EIGHT))

    told = events(day.pass_time(EIGHT + timedelta(minutes=15)))

    assert told == [Event.DOSE_UNCONFIRMED]
    assert events(day.confirm(1, EIGHT + timedelta(minutes=20), Confirmation.CAREGIVER)) == [
        Event.DOSE_TAKEN
    ]


@pytest.mark.parametrize("obstacle", list(Blocked))
def test_what_stands_in_the_way_is_told_and_keeps_the_dose_inside(obstacle: Blocked) -> None:
    day = a_day()
    day.blocked = obstacle

    (told,) = day.ask(1, EIGHT)

    assert (told.event, told.detail) == obstacle.value
    assert events(day.refill(28)) == [Event.REFILL_DONE]
    assert events(day.ask(1, EIGHT)) == [Event.DOSE_DISPENSED]


@pytest.mark.parametrize(("store", "told"), [(5, Event.REFILL_LOW), (1, Event.REFILL_EMPTY)])
def test_the_last_doses_are_told(store: int, told: Event) -> None:
    assert events(a_day(store=store).ask(1, EIGHT)) == [Event.DOSE_DISPENSED, told]


def test_a_dose_is_left_out_or_goes_on_a_journey_once() -> None:
    day = a_day()

    (skipped,), (travelled,) = day.skip(1, by=2), day.travel(2)

    assert (skipped.event, skipped.detail) == (Event.DOSE_SKIPPED, 2)
    assert travelled.event is Event.TRAVEL_DOSE_RELEASED
    with pytest.raises(NotNow):
        list(day.travel(1))
    with pytest.raises(NotNow):
        list(day.confirm(2, EIGHT, Confirmation.OK_BUTTON))


def test_a_dose_is_not_had_hours_ahead() -> None:
    with pytest.raises(NotNow, match="due at 08:00"):
        list(a_day().ask(1, EIGHT - timedelta(minutes=61)))


class ADay(RuleBasedStateMachine):
    """Hands do anything in any order: no dose comes out twice, none is taken that stayed inside."""

    @initialize()
    def begin(self) -> None:
        self.day, self.now, self.told = a_day(store=1), DAY, list[Told]()

    @rule(minutes=st.integers(1, 300))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.told += self.day.pass_time(self.now)

    @rule(slot=st.sampled_from([1, 2]), deed=st.sampled_from(["ask", "confirm", "skip", "travel"]))
    def act(self, slot: int, deed: str) -> None:
        deeds = {
            "ask": lambda: self.day.ask(slot, self.now),
            "confirm": lambda: self.day.confirm(slot, self.now, Confirmation.OK_BUTTON),
            "skip": lambda: self.day.skip(slot, by=1),
            "travel": lambda: self.day.travel(slot),
        }
        try:
            self.told += list(deeds[deed]())
        except NotNow:
            return

    @rule()
    def fill(self) -> None:
        self.told += self.day.refill(3)

    @invariant()
    def a_dose_leaves_once_and_is_taken_only_if_it_left(self) -> None:
        for slot in (1, 2):
            mine = [one.event for one in self.told if one.slot == slot]
            out = mine.count(Event.DOSE_DISPENSED)
            taken = {Event.DOSE_TAKEN, Event.DOSE_TAKEN_EARLY, Event.DOSE_TAKEN_LATE}
            assert out + mine.count(Event.TRAVEL_DOSE_RELEASED) <= 1
            assert sum(event in taken for event in mine) <= out

    @invariant()
    def the_store_never_owes(self) -> None:
        assert self.day.store >= 0


TestADay = ADay.TestCase

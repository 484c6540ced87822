"""What goes on inside our reference dispenser: each dose's states, by the clock and by hand; pure.

A dose waits, comes out, and is confirmed; or its window closes and it is locked away. What stands
in the way (a jam, a roll, an empty store) keeps it inside until that is mended or it is too late.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import Enum, auto

from deploy.world.dispenser import Confirmation, Event, Told

EARLY = timedelta(minutes=60)
"""A dose may be had so long before its time."""
LOW = 4
"""Doses left at which it asks to be filled, as Pivotell's does."""
CONFIRM = timedelta(minutes=15)
"""A dose that came out and was not confirmed for so long is told as unconfirmed."""


class State(Enum):
    """Where one dose is."""

    AHEAD = auto()
    WAITING = auto()
    OUT = auto()
    UNCONFIRMED = auto()
    WITHHELD = auto()
    SKIPPED = auto()
    TRAVELLING = auto()
    TAKEN = auto()


class Blocked(Enum):
    """What stands in the way of dispensing: the event that tells it, and its detail."""

    JAM = (Event.JAM, 0)
    EMPTY = (Event.DISPENSE_BLOCKED, 1)
    POUCH = (Event.DISPENSE_BLOCKED, 2)
    ROLL = (Event.DISPENSE_BLOCKED, 3)


class NotNow(Exception):
    """A dose in this state cannot do that."""


@dataclass(frozen=True, slots=True)
class Slot:
    """When a dose is due each day, and how long after that it may come out."""

    number: int
    at: time
    window: timedelta = timedelta(minutes=60)


@dataclass(slots=True)
class _Dose:
    slot: Slot
    at: datetime
    state: State = State.AHEAD
    out_at: datetime | None = None


_LEGAL: Mapping[State, frozenset[State]] = {
    State.AHEAD: frozenset({State.WAITING, State.OUT, State.SKIPPED, State.TRAVELLING}),
    State.WAITING: frozenset({State.OUT, State.WITHHELD, State.SKIPPED, State.TRAVELLING}),
    State.OUT: frozenset({State.TAKEN, State.UNCONFIRMED, State.SKIPPED}),
    State.UNCONFIRMED: frozenset({State.TAKEN, State.SKIPPED}),
    State.WITHHELD: frozenset({State.OUT, State.SKIPPED}),
    State.SKIPPED: frozenset(),
    State.TRAVELLING: frozenset(),
    State.TAKEN: frozenset(),
}


class Doses:
    """One day of doses. Each method says what the device tells, in order; `now` only grows."""

    def __init__(
        self, slots: Sequence[Slot], day: datetime, *, store: int, drawer: int = 2
    ) -> None:
        """`day` is its midnight; `store` doses are inside, `drawer` withheld ones find room."""
        self.store = store
        self.blocked: Blocked | None = None
        self._drawer = drawer
        self._day = {
            slot.number: _Dose(slot, day.replace(hour=slot.at.hour, minute=slot.at.minute))
            for slot in slots
        }

    def state(self, slot: int) -> State:
        """Where the slot's dose of the day is."""
        return self._day[slot].state

    def pass_time(self, now: datetime) -> Iterator[Told]:
        """What happens by itself until now."""
        for number, dose in self._day.items():
            if dose.state is State.AHEAD and now >= dose.at:
                self._move(dose, State.WAITING)
                yield Told(Event.DOSE_DUE, number)
            if dose.state is State.WAITING and now >= dose.at + dose.slot.window:
                yield from self._lock_away(number, dose)
            if dose.state is State.OUT and dose.out_at and now >= dose.out_at + CONFIRM:
                self._move(dose, State.UNCONFIRMED)
                yield Told(Event.DOSE_UNCONFIRMED, number)

    def ask(self, slot: int, now: datetime) -> Iterator[Told]:
        """Somebody presses for the dose. Raises NotNow."""
        dose = self._day[slot]
        if dose.state is State.AHEAD and now < dose.at - EARLY:
            raise NotNow(f"the dose is due at {dose.at:%H:%M}")
        if stopped := self._stopped(slot):
            yield stopped
            return
        self._move(dose, State.OUT)
        dose.out_at = now
        yield Told(Event.DOSE_DISPENSED, slot)
        yield from self._one_less()

    def confirm(self, slot: int, now: datetime, by: Confirmation) -> Iterator[Told]:
        """Somebody shows that the dose is taken. Raises NotNow."""
        dose = self._day[slot]
        self._move(dose, State.TAKEN)
        late, early = now > dose.at + dose.slot.window, now < dose.at
        event = (
            Event.DOSE_TAKEN_LATE if late else Event.DOSE_TAKEN_EARLY if early else Event.DOSE_TAKEN
        )
        yield Told(event, slot, by)

    def skip(self, slot: int, *, by: int) -> Iterator[Told]:
        """The citizen (1) or a carer (2) leaves the dose out. Raises NotNow."""
        self._move(self._day[slot], State.SKIPPED)
        yield Told(Event.DOSE_SKIPPED, slot, detail=by)

    def travel(self, slot: int) -> Iterator[Told]:
        """The dose is had ahead of its time, to be taken away from home. Raises NotNow."""
        if stopped := self._stopped(slot):
            yield stopped
            return
        self._move(self._day[slot], State.TRAVELLING)
        yield Told(Event.TRAVEL_DOSE_RELEASED, slot)
        yield from self._one_less()

    def refill(self, doses: int) -> Iterator[Told]:
        """Somebody fills it up, which also takes away whatever stood in the way."""
        self.store, self.blocked, self._drawer = doses, None, 2
        yield Told(Event.REFILL_DONE)

    def _lock_away(self, number: int, dose: _Dose) -> Iterator[Told]:
        yield Told(Event.DOSE_MISSED, number)
        self._move(dose, State.WITHHELD)
        yield Told(Event.DOSE_WITHHELD, number)
        self._drawer -= 1
        if self._drawer == 0:
            yield Told(Event.WITHHELD_DRAWER_FULL)

    def _stopped(self, slot: int) -> Told | None:
        obstacle = self.blocked or (Blocked.EMPTY if self.store == 0 else None)
        if obstacle is None:
            return None
        event, detail = obstacle.value
        return Told(event, slot, detail=detail)

    def _one_less(self) -> Iterator[Told]:
        self.store -= 1
        if self.store == 0:
            yield Told(Event.REFILL_EMPTY)
        elif self.store == LOW:
            yield Told(Event.REFILL_LOW)

    def _move(self, dose: _Dose, to: State) -> None:
        if to not in _LEGAL[dose.state]:
            raise NotNow(f"from {dose.state.name.lower()} a dose does not go to {to.name.lower()}")
        dose.state = to

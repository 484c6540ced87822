"""What became of one dose, as its dispenser tells it: a state machine over its events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum, auto

from adapters.observation import Kind
from gateway.home import Dose
from gateway.rules.finding import Heard

_EARLY = timedelta(minutes=60)
_DAY = timedelta(hours=24)


class State(Enum):
    """Where a dose is. Only TAKEN is an end: what lies in a drawer today may be taken tomorrow."""

    UNTOLD = auto()
    WAITS = auto()
    STUCK = auto()
    BLOCKED = auto()
    EMPTY = auto()
    OUT = auto()
    UNCONFIRMED = auto()
    WITHHELD = auto()
    SKIPPED = auto()
    TRAVELS = auto()
    TAKEN = auto()


TAKEN = frozenset({Kind.DOSE_TAKEN, Kind.DOSE_TAKEN_EARLY, Kind.DOSE_TAKEN_LATE})
"""A confirmation by a person; that the device calls it early or late changes nothing here."""

_INSIDE = frozenset({State.UNTOLD, State.WAITS, State.STUCK, State.BLOCKED, State.EMPTY})
_OUTSIDE = frozenset({State.OUT, State.UNCONFIRMED})
_ANYWHERE = frozenset(State) - {State.TAKEN}

_MOVES: Mapping[Kind, tuple[frozenset[State], State]] = {
    Kind.DOSE_DUE: (frozenset({State.UNTOLD}), State.WAITS),
    Kind.JAM: (_INSIDE, State.STUCK),
    Kind.DISPENSE_BLOCKED: (_INSIDE, State.BLOCKED),
    Kind.REFILL_EMPTY: (_INSIDE, State.EMPTY),
    Kind.REFILL_DONE: (frozenset({State.EMPTY, State.STUCK, State.BLOCKED}), State.WAITS),
    Kind.DOSE_DISPENSED: (_INSIDE | {State.WITHHELD, State.SKIPPED}, State.OUT),
    Kind.TRAVEL_DOSE_RELEASED: (_INSIDE | {State.WITHHELD, State.SKIPPED}, State.TRAVELS),
    Kind.DOSE_UNCONFIRMED: (_INSIDE | _OUTSIDE, State.UNCONFIRMED),
    Kind.DOSE_WITHHELD: (_INSIDE | _OUTSIDE | {State.SKIPPED}, State.WITHHELD),
    Kind.DOSE_SKIPPED: (_INSIDE | _OUTSIDE | {State.WITHHELD}, State.SKIPPED),
    **dict.fromkeys(TAKEN, (_ANYWHERE, State.TAKEN)),
}
"""Which event moves a dose from where to where. Any other event leaves it where it is."""

_OF_THE_DEVICE = frozenset({Kind.JAM, Kind.DISPENSE_BLOCKED, Kind.REFILL_EMPTY, Kind.REFILL_DONE})
"""What concerns whichever dose is next: no slot is named, and it may have begun the day before."""

DANISH: Mapping[State, str] = {
    State.STUCK: "Dispenseren sidder fast.",
    State.BLOCKED: "Dispenseren kunne ikke udlevere dosis.",
    State.EMPTY: "Dispenseren er tom.",
    State.OUT: "Dosis er udleveret, men ikke bekræftet taget.",
    State.UNCONFIRMED: "Dosis er udleveret, men ikke bekræftet taget.",
    State.WITHHELD: "Dispenseren holder dosis tilbage.",
    State.SKIPPED: "Dosis er meldt sprunget over.",
    State.TRAVELS: "Dosis er udleveret til en rejse.",
}
"""What a state adds to an alert; the others add nothing."""


def course(dose: Dose, heard: Iterable[Heard]) -> State:
    """Where the dose was last, by what its own dispenser told, in the order of events."""
    state = State.UNTOLD
    for one in _about(dose, heard):
        sources, target = _MOVES[one.kind]
        if state in sources:
            state = target
    return state


def _about(dose: Dose, heard: Iterable[Heard]) -> Sequence[Heard]:
    """Events of one moment in the order of their numbers: no order of delivery changes a state."""
    own = (one for one in heard if one.placement == dose.placement and one.kind in _MOVES)
    return sorted(
        (one for one in own if _concerns(one, dose)), key=lambda one: (one.occurred, one.kind)
    )


def _concerns(one: Heard, dose: Dose) -> bool:
    if one.kind in _OF_THE_DEVICE:
        return one.code in (None, dose.slot) and -_DAY <= one.occurred - dose.at < _DAY
    return one.code == dose.slot and -_EARLY <= one.occurred - dose.at < _DAY

"""A case a person must look at: its states, its legal moves and how it ends; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

Kind = Literal["call_pressed", "dose_missed", "night_door", "box_silent", "unknown_device"]
State = Literal["new", "taken", "on_the_way", "with_citizen", "closed"]
Move = Literal["take", "set_out", "arrive", "close", "reopen", "hand_over"]
Outcome = Literal[
    "helped", "false_alarm", "test_call", "technical", "no_contact", "duplicate", "other"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
STATES: tuple[State, ...] = get_args(State)
MOVES: tuple[Move, ...] = get_args(Move)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

OPEN: tuple[State, ...] = ("new", "taken", "on_the_way", "with_citizen")
"""The states in which the case still waits for a person to close it."""

_AFTER: Mapping[tuple[State, Move], State] = {
    ("new", "take"): "taken",
    ("taken", "set_out"): "on_the_way",
    ("taken", "arrive"): "with_citizen",
    ("on_the_way", "arrive"): "with_citizen",
    ("taken", "hand_over"): "new",
    ("on_the_way", "hand_over"): "new",
    ("with_citizen", "hand_over"): "new",
    **{(state, "close"): "closed" for state in OPEN},
    ("closed", "reopen"): "new",
}
_LETS_GO: tuple[Move, ...] = ("reopen", "hand_over")


class RefusedMove(Exception):
    """The alert stays as it was. The caller is told why and may ask for another move."""


class IllegalMove(RefusedMove):
    """The move is not one of those that the alert's state allows: see `moves`."""


class OutcomeMissing(RefusedMove):
    """An alert is closed with a coded outcome, and only a closing has one."""


class TextMissing(RefusedMove):
    """The outcome `other` says nothing alone: it needs a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A case. Times are aware UTC; `reason` is Danish, for staff.

    `since` is when it began to be true, `raised` when it became an alert, `ended` when the last
    of its findings stopped holding (the case stays open until a person closes it). `holder` is
    the internal number of the person who has it. `remade` says that a store restored from a
    backup raised it for what was before, so that it may have been told already. `version` grows
    with every move and with every finding that joins, so that nobody closes what they have not
    seen.
    """

    public: UUID
    kind: Kind
    since: datetime
    raised: datetime
    reason: str
    state: State = "new"
    late: bool = False
    remade: bool = False
    ended: datetime | None = None
    holder: int | None = None
    outcome: Outcome | None = None
    outcome_text: str = ""
    version: int = 1


def moves(state: State) -> tuple[Move, ...]:
    """Return the moves that are legal in `state`, in the order in which they usually come."""
    return tuple(move for move in MOVES if (state, move) in _AFTER)


def move(
    alert: Alert, move: Move, *, person: int, outcome: Outcome | None = None, text: str = ""
) -> Alert:
    """Return the alert after `person` made `move`.

    Raises RefusedMove: IllegalMove when the state does not allow it, OutcomeMissing when a
    closing has no outcome or another move has one, TextMissing for `other` without a text.
    """
    after = _AFTER.get((alert.state, move))
    if after is None:
        raise IllegalMove(f"{move} is not possible while the alert is {alert.state}")
    if (move == "close") != (outcome is not None):
        raise OutcomeMissing("closing, and only closing, takes an outcome")
    if outcome == "other" and not text.strip():
        raise TextMissing("the outcome other needs a text")
    return replace(
        alert,
        state=after,
        holder=_holder(alert, move, person),
        outcome=outcome,
        outcome_text=text.strip() if move == "close" else "",
        version=alert.version + 1,
    )


def _holder(alert: Alert, move: Move, person: int) -> int | None:
    """Who acts on it holds it; closing does not change whose it was."""
    if move in _LETS_GO:
        return None
    return alert.holder if move == "close" else person

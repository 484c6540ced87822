"""Legal moves and how a case ends."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest

from gateway.alerts import words
from gateway.alerts.alert import (
    KINDS,
    MOVES,
    OUTCOMES,
    STATES,
    Alert,
    IllegalMove,
    Move,
    OutcomeMissing,
    RefusedMove,
    State,
    TextMissing,
    move,
    moves,
)

NOON = datetime(2027, 3, 28, 12, tzinfo=UTC)
NURSE, COLLEAGUE = 7, 8

LEGAL: dict[State, dict[Move, State]] = {
    "new": {"take": "taken", "close": "closed"},
    "taken": {
        "set_out": "on_the_way",
        "arrive": "with_citizen",
        "close": "closed",
        "hand_over": "new",
    },
    "on_the_way": {"arrive": "with_citizen", "close": "closed", "hand_over": "new"},
    "with_citizen": {"close": "closed", "hand_over": "new"},
    "closed": {"reopen": "new"},
}


def alert(state: State = "new", holder: int | None = None) -> Alert:
    made = Alert(public=UUID(int=1), kind="call_pressed", since=NOON, raised=NOON, reason="Nødkald")
    return replace(
        made, state=state, holder=holder, outcome="helped" if state == "closed" else None
    )


@pytest.mark.parametrize(("state", "wanted"), list(product(STATES, MOVES)))
def test_a_move_is_made_or_refused_as_the_table_says(state: State, wanted: Move) -> None:
    before = alert(state)
    outcome = "helped" if wanted == "close" else None

    if wanted in LEGAL[state]:
        after = move(before, wanted, person=NURSE, outcome=outcome)
        assert after.state == LEGAL[state][wanted]
        assert after.version == before.version + 1
    else:
        with pytest.raises(IllegalMove):
            move(before, wanted, person=NURSE, outcome=outcome)


@pytest.mark.parametrize("state", STATES)
def test_the_offered_moves_are_exactly_the_legal_ones(state: State) -> None:
    assert set(moves(state)) == set(LEGAL[state])


def test_who_acts_holds_it_and_handing_over_lets_go() -> None:
    taken = move(alert(), "take", person=NURSE)
    out = move(taken, "set_out", person=COLLEAGUE)
    back = move(out, "hand_over", person=COLLEAGUE)

    assert [taken.holder, out.holder, back.holder] == [NURSE, COLLEAGUE, None]


def test_closing_keeps_whose_it_was_and_reopening_asks_anew() -> None:
    taken = move(alert(), "take", person=NURSE)
    closed = move(taken, "close", person=COLLEAGUE, outcome="false_alarm", text=" fejl ")
    reopened = move(closed, "reopen", person=COLLEAGUE)

    assert (closed.holder, closed.outcome, closed.outcome_text) == (NURSE, "false_alarm", "fejl")
    assert (reopened.state, reopened.holder, reopened.outcome) == ("new", None, None)


def test_closing_needs_an_outcome_and_nothing_else_may_have_one() -> None:
    with pytest.raises(OutcomeMissing):
        move(alert(), "close", person=NURSE)
    with pytest.raises(OutcomeMissing):
        move(alert(), "take", person=NURSE, outcome="helped")


@pytest.mark.parametrize("text", ["", "   "])
def test_the_outcome_other_needs_a_text(text: str) -> None:
    with pytest.raises(TextMissing):
        move(alert(), "close", person=NURSE, outcome="other", text=text)

    assert move(alert(), "close", person=NURSE, outcome="other", text="nabo").state == "closed"


def test_every_refusal_is_one_family() -> None:
    assert all(issubclass(error, RefusedMove) for error in (IllegalMove, OutcomeMissing))


def test_staff_have_a_danish_word_for_everything() -> None:
    assert set(words.KIND) == set(KINDS)
    assert set(words.STATE) == set(STATES)
    assert set(words.MOVE) == set(MOVES)
    assert set(words.OUTCOME) == set(OUTCOMES)

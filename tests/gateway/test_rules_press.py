"""Presses: what is one, what is two, and whose."""

from datetime import timedelta

import pytest

from adapters.observation import Kind
from gateway.rules.finding import UNPLACED, BadSettings, Heard, Judgement
from gateway.rules.press import RULE
from tests.gateway.days import heard, local, press, window

TEN = local("2027-01-10 10:00")


def judge(*facts: Heard) -> Judgement:
    return RULE.judge(window(TEN + timedelta(minutes=5), heard=facts), RULE.defaults)


def after(seconds: float) -> Heard:
    return press(TEN + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "presses"),
    [
        ([0], 1),
        ([0, 0, 0, 0, 0], 1),  # five times at once, by two boxes
        ([0, 2, 4, 6, 8], 1),
        ([0, 10, 20, 30], 1),  # each within the echo of the last
        ([0, 10.1], 2),
        ([0, 5, 60, 65], 2),
        ([0, 20, 40], 3),
    ],
)
def test_hearings_within_ten_seconds_of_the_last_are_one_press(
    seconds: list[float], presses: int
) -> None:
    assert len(judge(*map(after, seconds)).findings) == presses


def test_another_number_or_another_button_is_another_press() -> None:
    found = judge(press(TEN, number=5), press(TEN, number=6), press(TEN, number=5, device=99))

    assert [one.subject for one in found.findings] == ["17:5", "17:6", "99:5"]


def test_a_press_says_where_and_when_and_is_over_at_once() -> None:
    (found,) = judge(after(0), after(3)).findings

    assert found.reason == "Trykket på nødkaldsknappen (stue) kl. 10:00 den 10. januar."
    assert (found.since, found.until) == (TEN, TEN + timedelta(seconds=13))
    assert (found.state, found.alert_kind) == ("ended", "call_pressed")


def test_a_bthome_button_in_the_call_role_is_a_call() -> None:
    (found,) = judge(heard(TEN, Kind.BUTTON, role="call", value=200.0, code=4)).findings

    assert (found.subject, found.alert_kind) == ("17:200", "call_pressed")


@pytest.mark.parametrize("kind", [Kind.CALL_TEST, Kind.BATTERY, Kind.HEARTBEAT])
def test_a_test_call_and_other_talk_of_the_button_is_no_press(kind: Kind) -> None:
    assert judge(heard(TEN, kind, role="call", value=5.0)).findings == ()


def test_a_button_in_another_role_is_no_call() -> None:
    assert judge(heard(TEN, Kind.BUTTON, role="other", value=5.0, code=1)).findings == ()


def test_a_call_of_a_button_that_nobody_placed_is_an_unknown_device() -> None:
    (found,) = judge(press(TEN, role=UNPLACED, placement=None, room="")).findings

    assert found.alert_kind == "unknown_device"
    assert "ikke er tilknyttet en borger" in found.reason


def test_one_press_heard_before_and_after_its_placing_is_a_known_call() -> None:
    (found,) = judge(press(TEN, role=UNPLACED, placement=None, room=""), after(4)).findings

    assert found.alert_kind == "call_pressed"


def test_a_press_needs_no_deadline() -> None:
    assert judge(after(0)).next is None


@pytest.mark.parametrize("bad", [{"echo_seconds": 0}, {"echo_seconds": "ti"}, {"ekko": 10}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(BadSettings, match="call_pressed"):
        RULE.configured(bad)


def test_stored_settings_change_what_is_one_press() -> None:
    settings = RULE.configured({"echo_seconds": 30})
    facts = [after(0), after(20)]

    found = RULE.judge(window(TEN + timedelta(minutes=5), heard=facts), settings).findings

    assert len(found) == 1

"""Findings become cases: once, in every order, and never again for what is known."""

from datetime import datetime, timedelta

from gateway.rules.finding import UNPLACED, Heard
from tests.gateway.cases import MemoryCase
from tests.gateway.days import local, opened, press

TEN = local("2027-01-10 10:00")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def at(seconds: float) -> Heard:
    return press(TEN + timedelta(seconds=seconds))


def soon(fact: Heard) -> datetime:
    return fact.occurred + SECOND


# ---------------------------------------------------------------- presses


def test_a_press_is_one_alert_and_one_notice() -> None:
    case = MemoryCase()

    case.deliver([at(0)], now=TEN + SECOND)

    (alert,) = case.of("call_pressed")
    assert (alert.since, alert.raised, alert.late) == (TEN, TEN + SECOND, False)
    assert alert.reason == "Trykket på nødkaldsknappen (stue) kl. 10:00 den 10. januar."
    assert alert.ended is None
    assert case.notices == ["alert.raised"]


def test_delivering_the_same_again_changes_nothing() -> None:
    case = MemoryCase()
    case.deliver([at(0)], now=TEN + SECOND)

    again = case.deliver([at(0)], now=TEN + HOUR)

    assert (again.findings, again.alerts, again.notices) == ([], [], [])


def test_a_press_heard_five_times_one_by_one_is_one_alert_and_one_notice() -> None:
    case = MemoryCase()

    for n in range(5):
        case.deliver([at(n * 3)], now=TEN + timedelta(seconds=n * 3 + 1))

    assert len(case.alerts) == len(case.open_findings()) == 1
    assert case.notices == ["alert.raised"]


def test_pressing_again_joins_the_open_case_and_tells_again() -> None:
    case = MemoryCase()
    case.deliver([at(0)], now=TEN)

    case.deliver([press(TEN + 20 * MINUTE, number=6)], now=TEN + 20 * MINUTE)

    (alert,) = case.of("call_pressed")
    assert alert.reason.endswith(" Trykket igen kl. 10:20 den 10. januar.")
    assert alert.version == 2
    assert case.notices == ["alert.raised", "alert.again"]

    case.deliver([press(TEN + 30 * MINUTE, number=7)], now=TEN + 30 * MINUTE)

    (alert,) = case.of("call_pressed")
    assert alert.reason.endswith(" Trykket igen 2 gange, senest kl. 10:30 den 10. januar.")


def test_pressing_after_the_case_is_closed_is_a_new_case() -> None:
    case = MemoryCase()
    case.deliver([at(0)], now=TEN)
    case.close(case.of("call_pressed")[0])

    case.deliver([press(TEN + 20 * MINUTE, number=6)], now=TEN + 20 * MINUTE)

    assert len(case.alerts) == 2
    assert case.notices == ["alert.raised", "alert.raised"]


def test_a_press_found_late_still_alerts_and_says_so() -> None:
    case = MemoryCase()

    case.deliver([at(0)], now=TEN + timedelta(days=30))

    (alert,) = case.of("call_pressed")
    assert alert.late
    assert "efterregistreret" in alert.reason
    assert case.notices == ["alert.raised"]


def test_a_press_ahead_of_a_driven_clock_is_never_late_and_raised_when_it_happened() -> None:
    case = MemoryCase()

    case.deliver([at(0)], now=TEN - HOUR)

    (alert,) = case.of("call_pressed")
    assert (alert.raised, alert.late) == (TEN, False)


def test_a_hearing_between_two_presses_makes_them_one() -> None:
    case = MemoryCase()
    case.deliver([at(0), at(16)], now=TEN + 20 * SECOND)
    assert len(case.open_findings()) == 2

    case.deliver([at(8)], now=TEN + 30 * SECOND)

    ((_, _, since, until, _, _),) = case.open_findings()
    assert (since, until) == (TEN, TEN + 26 * SECOND)
    assert case.of("call_pressed")[0].reason.count("igen") == 0


def test_a_button_nobody_placed_is_a_case_of_its_own_kind() -> None:
    case = MemoryCase()
    unplaced = press(TEN, role=UNPLACED, placement=None, room="")

    case.deliver([unplaced], now=soon(unplaced))

    assert [alert.kind for alert in case.alerts.values()] == ["unknown_device"]


# ---------------------------------------------------------------- nights


def test_a_night_is_one_case_and_its_reason_counts() -> None:
    case = MemoryCase()
    first, second = local("2027-01-10 23:10"), local("2027-01-11 02:00")
    case.deliver([opened(first)], now=first)
    case.deliver([opened(second)], now=second)

    case.look(now=local("2027-01-11 06:00"))

    (alert,) = case.of("night_door")
    assert "åbnet 2 gange" in alert.reason
    assert (alert.raised, alert.ended) == (first, local("2027-01-11 06:00"))
    assert case.notices == ["alert.raised"]


def test_the_next_night_is_a_new_case_though_the_first_is_open() -> None:
    case = MemoryCase()
    for day in ("2027-01-10", "2027-01-11"):
        case.deliver([opened(local(f"{day} 23:30"))], now=local(f"{day} 23:30"))

    assert len(case.of("night_door")) == 2


def test_a_night_that_is_over_when_it_is_heard_of_is_history() -> None:
    case = MemoryCase()
    opening = opened(local("2027-01-11 02:00"))

    case.deliver([opening], now=local("2027-01-11 06:15"))

    assert case.alerts == {}
    (kept,) = case.kept.values()
    assert (kept.state, kept.late, kept.alert) == ("ended", True, None)
    assert "efterregistreret" in kept.reason

    assert case.deliver([opening], now=local("2027-01-12 12:00")).findings == []

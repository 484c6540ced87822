"""Whose turn it is to be connected to, decided with a clock that the test moves."""

from dataclasses import replace

from edge.told.config import Config, Device, Plan, When
from edge.visiting.visits import Visits

ONE, TWO = "A4:C1:38:00:00:01", "A4:C1:38:00:00:02"


def config(*addresses: str, when: When = "advertised", seconds: float = 60) -> Config:
    plan = Plan(when=when, seconds=seconds)
    return Config(
        devices={
            address: Device(address=address, lane="urgent", advertisement=True, connect=plan)
            for address in addresses
        }
    )


def following(*addresses: str, when: When = "advertised") -> Visits:
    visits = Visits()
    visits.follow(config(*addresses, when=when), 0.0)
    return visits


def test_a_device_is_due_when_it_is_heard_and_not_before() -> None:
    visits = following(ONE)

    assert visits.next(0.0) is None
    assert visits.heard(ONE, 1.0)
    assert visits.next(1.0) == ONE


def test_a_visited_device_rests_and_what_it_said_meanwhile_is_not_forgotten() -> None:
    visits = following(ONE)
    visits.heard(ONE, 0.0)
    visits.begun(ONE)
    visits.heard(ONE, 2.0)
    visits.ended(ONE, 5.0, well=True)

    assert visits.next(64.0) is None
    assert visits.next(65.0) == ONE


def test_a_silent_device_is_left_alone_after_its_visit() -> None:
    visits = following(ONE)
    visits.heard(ONE, 0.0)
    visits.begun(ONE)
    visits.ended(ONE, 5.0, well=True)

    assert visits.wakes() is None


def test_a_failed_visit_is_tried_again_later_and_later_to_a_limit() -> None:
    visits, now, pauses = following(ONE), 0.0, list[float]()
    visits.heard(ONE, now)
    for _ in range(10):
        visits.begun(ONE)
        visits.ended(ONE, now, well=False)
        due = visits.wakes()
        assert due is not None
        pauses.append(due - now)
        now = due

    assert pauses[:3] == [5, 10, 20]
    assert pauses[-1] == 300


def test_every_means_from_the_start_and_again_and_again() -> None:
    visits = following(ONE, when="every")

    assert visits.next(0.0) == ONE
    visits.begun(ONE)
    visits.ended(ONE, 1.0, well=True)
    assert visits.wakes() == 61.0


def test_the_one_that_has_waited_longest_goes_first() -> None:
    visits = following(ONE, TWO)
    visits.heard(TWO, 1.0)
    visits.heard(ONE, 2.0)

    assert visits.next(3.0) == TWO


def test_a_device_whose_frames_are_urgent_goes_before_one_that_has_waited_longer() -> None:
    meter = Device(address=ONE, lane="bulk", advertisement=False, connect=Plan(when="advertised"))
    dispenser = replace(meter, address=TWO, lane="urgent")
    visits = Visits()
    visits.follow(Config(devices={ONE: meter, TWO: dispenser}), 0.0)
    visits.heard(ONE, 1.0)
    visits.heard(TWO, 2.0)

    assert visits.next(3.0) == TWO
    visits.begun(TWO)
    assert visits.next(3.0) == ONE


def test_an_unchanged_plan_stays_due_and_a_removed_device_is_forgotten() -> None:
    visits = following(ONE, TWO)
    visits.heard(ONE, 1.0)
    visits.heard(TWO, 1.0)

    visits.follow(config(ONE), 2.0)
    visits.ended(TWO, 2.0, well=True)

    assert visits.next(2.0) == ONE
    visits.begun(ONE)
    assert visits.next(2.0) is None

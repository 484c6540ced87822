"""That the wall clock was set is noticed and told, and nothing else is taken for it."""

from edge.clock import Steps
from tests.edge.frames import HandClock


def test_a_clock_that_was_set_is_noticed_with_how_far_and_whether_it_was_ever_right() -> None:
    clock = HandClock(ms=0, sure=False)
    steps = Steps(clock)

    clock.ms, clock.running = 5_000, 105.0
    ran = steps.look()
    clock.ms, clock.running, clock.sure = 1_790_000_000_000, 110.0, True
    first = steps.look()
    clock.ms, clock.running = clock.ms + 5_000 - 259_200_000, 115.0
    back = steps.look()

    assert ran is None
    assert first == (1_790_000_000 - 10, True)
    assert back == (-259_200, False)


def test_a_clock_that_proves_to_have_been_right_is_told_of_once() -> None:
    clock = HandClock(sure=False)
    steps = Steps(clock)

    looks = list[object]()
    for sure in (False, True, True, False, True):
        clock.ms, clock.running, clock.sure = clock.ms + 5_000, clock.running + 5, sure
        looks.append(steps.look())

    assert looks == [None, (0, True), None, None, None]


def test_a_clock_that_is_slewed_and_one_that_is_driven_are_not_set() -> None:
    slewed, driven = HandClock(), HandClock(driven=True)
    looks = [Steps(slewed), Steps(driven)]

    for _ in range(100):
        slewed.ms, slewed.running = slewed.ms + 5_003, slewed.running + 5  # 500 ppm
        driven.ms += 3_600_000
        assert [each.look() for each in looks] == [None, None]

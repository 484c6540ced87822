"""After a restore, a case of what was before it says that it may have been told already."""

from datetime import timedelta

from tests.gateway.cases import MemoryCase
from tests.gateway.days import local, press

TEN = local("2027-01-10 10:00")
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SAYS = " Databasen er gendannet fra en sikkerhedskopi; alarmen kan være meldt før."


def test_a_case_raised_again_says_so_to_the_end() -> None:
    case = MemoryCase()
    case.restored = TEN + MINUTE
    case.deliver([press(TEN)], now=TEN + 2 * MINUTE)

    (alert,) = case.of("call_pressed")
    assert alert.remade
    assert alert.reason.endswith(SAYS)

    case.deliver([press(TEN + 3 * MINUTE, number=6)], now=TEN + 3 * MINUTE)

    (alert,) = case.of("call_pressed")
    assert "Trykket igen" in alert.reason
    assert alert.reason.endswith(SAYS)


def test_what_happens_after_the_restore_says_nothing_of_it() -> None:
    case = MemoryCase()
    case.restored = TEN
    case.deliver([press(TEN + SECOND)], now=TEN + 2 * SECOND)

    (alert,) = case.of("call_pressed")
    assert not alert.remade
    assert SAYS not in alert.reason


def test_a_case_that_the_backup_held_says_nothing_of_the_restore() -> None:
    case = MemoryCase()
    case.deliver([press(TEN)], now=TEN + SECOND)
    case.restored = TEN + MINUTE
    case.deliver([press(TEN + 2 * MINUTE, number=6)], now=TEN + 2 * MINUTE)

    (alert,) = case.of("call_pressed")
    assert not alert.remade


def test_a_new_case_that_an_earlier_press_joins_says_so() -> None:
    """The first press that is heard after a restore may be a new one, and the old ones follow."""
    case = MemoryCase()
    case.restored = TEN + MINUTE
    case.deliver([press(TEN + 2 * MINUTE, number=6)], now=TEN + 2 * MINUTE)
    case.deliver([press(TEN)], now=TEN + 2 * MINUTE + SECOND)

    (alert,) = case.of("call_pressed")
    assert (alert.since, alert.remade) == (TEN, True)
    assert alert.reason.endswith(SAYS)

"""What is asked of a device with a Record Access Control Point, and what of its answer is news."""

import struct
import time

import pytest

from edge.told.config import Numbered, Racp
from edge.visiting.racp import MOST, DownloadFailed, Stored, answer

GLUCOSE, CONTEXT, SPOT = "2a18", "2a34", "2a5e"
NUMBERED = Racp(
    service="1808", records=(GLUCOSE, CONTEXT), number=Numbered(record=GLUCOSE, offset=1)
)
PLAIN = Racp(service="1822", records=(SPOT,))
ALL = bytes((1, 1))
DONE, NONE, NO_OPERATOR, NOT_DONE = 1, 6, 4, 8


def glucose(number: int, said: int = 0) -> bytes:
    return struct.pack("<BHB", 0, number, said)


def at_least(number: int) -> bytes:
    return struct.pack("<BBBH", 1, 3, 1, number)


def download(stored: Stored, *said: tuple[str, bytes], code: int = DONE) -> list[int]:
    """The places of what is news, until the answer."""
    news = [place for place, one in enumerate(said) if stored.take(*one)]
    stored.ended(code)
    return news


def numbered(*numbers: int, said: int = 0) -> list[tuple[str, bytes]]:
    return [(GLUCOSE, glucose(number, said)) for number in numbers]


def known(*numbers: int) -> str:
    """The note of a download of these."""
    stored = Stored(NUMBERED)
    stored.question()
    download(stored, *numbered(*numbers))
    return stored.note()


def test_the_first_time_all_is_asked_for_and_then_from_the_last_on() -> None:
    assert Stored(NUMBERED).question() == ALL
    again = Stored(NUMBERED, known(1, 2, 3))
    assert again.question() == at_least(3)
    assert download(again, *numbered(3, 4)) == [1]
    assert Stored(NUMBERED, again.note()).question() == at_least(4)


def test_a_context_of_the_last_record_that_was_cut_off_is_news_and_known_ones_are_not() -> None:
    record, context = (GLUCOSE, glucose(7)), (CONTEXT, glucose(7, said=9))
    cut = Stored(NUMBERED, known(6))
    cut.question()
    cut.take(*numbered(6)[0])
    cut.take(*record)

    after = Stored(NUMBERED, cut.note())
    assert after.question() == at_least(7)
    assert download(after, record, context) == [1]
    assert download(Stored(NUMBERED, after.note()), record, context) == []


def test_a_device_that_counts_anew_is_asked_for_all() -> None:
    stored = Stored(NUMBERED, known(1, 2, 3))

    assert stored.question() == at_least(3)
    assert stored.take(*numbered(3, said=1)[0])
    assert stored.ended(DONE)
    assert stored.question() == ALL
    assert download(stored, *numbered(1, 2, 3, said=1)) == [0, 1]
    assert Stored(NUMBERED, stored.note()).question() == at_least(3)


def test_an_emptied_device_is_asked_for_all_from_then_on() -> None:
    stored = Stored(NUMBERED, known(1, 2))

    stored.question()
    assert stored.ended(NONE)
    assert stored.question() == ALL
    assert not stored.ended(NONE)
    assert Stored(NUMBERED, stored.note()).question() == ALL


def test_no_records_at_all_is_a_good_end() -> None:
    stored = Stored(PLAIN)
    assert stored.question() == ALL
    assert not stored.ended(NONE)


def test_records_without_numbers_are_known_by_their_bytes_also_amid_a_download() -> None:
    spots = [(SPOT, bytes([n])) for n in range(4)]
    cut = Stored(PLAIN)
    cut.question()
    assert [cut.take(*one) for one in spots[:2]] == [True, True]

    after = Stored(PLAIN, cut.note())
    assert after.question() == ALL
    assert download(after, *spots[:3]) == [2]
    later = Stored(PLAIN, after.note())
    assert download(later, *spots[2:]) == [1]  # the device has let go of its oldest
    assert download(Stored(PLAIN, later.note()), *spots) == [0, 1]


def test_records_alike_in_all_are_as_many_as_the_device_has() -> None:
    first = Stored(PLAIN)
    first.question()
    assert download(first, (SPOT, b"a"), (SPOT, b"a")) == [0, 1]

    again = Stored(PLAIN, first.note())
    again.question()
    assert download(again, (SPOT, b"a"), (SPOT, b"a"), (SPOT, b"a")) == [2]


def test_thousands_of_records_come_over_several_visits_each_once() -> None:
    spots, note, visits = [(SPOT, n.to_bytes(2)) for n in range(3 * MOST - 5)], None, list[int]()

    for abort in (True, False, True, True):
        stored = Stored(PLAIN, note)
        stored.question()
        news = [place for place, one in enumerate(spots) if stored.take(*one)]
        if not (stored.over and abort):
            stored.ended(DONE)  # a device may be done before it hears that it is to stop
        note = stored.note()
        visits += news

    assert visits == list(range(len(spots)))


def test_thousands_of_records_alike_in_all_cost_as_much_each_as_a_few() -> None:
    stored = Stored(PLAIN)
    stored.question()
    begun = time.process_time()

    news = sum(stored.take(SPOT, b"a") for _ in range(20 * MOST))

    assert news == MOST
    assert time.process_time() - begun < 2, "one look at each; a look at all before takes minutes"


def test_a_device_that_does_not_know_the_operator_gives_all() -> None:
    stored = Stored(NUMBERED, known(1, 2))

    stored.question()
    assert stored.ended(NO_OPERATOR)
    assert stored.question() == ALL


def test_a_device_that_cannot_is_a_failed_download() -> None:
    stored = Stored(NUMBERED)
    stored.question()
    with pytest.raises(DownloadFailed):
        stored.ended(NOT_DONE)


def test_near_the_end_of_the_numbers_all_is_asked_for() -> None:
    assert Stored(NUMBERED, known(0xFFFE)).question() == ALL


@pytest.mark.parametrize("note", [None, "", "x", "[]", '{"last": 5}', '{"known": 7}', "null"])
def test_a_note_that_is_none_asks_for_everything(note: str | None) -> None:
    assert Stored(NUMBERED, note).question() == ALL


@pytest.mark.parametrize(
    ("value", "code"),
    [("06000101", 1), ("06000106", 6), ("06000301", None), ("0500", None), ("", None)],
)
def test_only_the_answer_to_a_report_ends_it(value: str, code: int | None) -> None:
    assert answer(bytes.fromhex(value)) == code

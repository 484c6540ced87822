"""Ranges behave as sets of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from edge.keeping.ranges import Range, Ranges

RANGES = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair))),
    max_size=8,
)


def numbers(ranges: list[Range]) -> set[int]:
    return {n for first, last in ranges for n in range(first, last + 1)}


@given(RANGES)
def test_ranges_are_ascending_and_neither_overlap_nor_touch(given_ranges: list[Range]) -> None:
    made = list(Ranges(given_ranges))

    assert numbers(made) == numbers(given_ranges)
    assert all(made[i][1] + 1 < made[i + 1][0] for i in range(len(made) - 1))


@given(RANGES, RANGES)
def test_union_and_cover_are_those_of_sets(one: list[Range], other: list[Range]) -> None:
    assert numbers(list(Ranges(one) | other)) == numbers(one) | numbers(other)
    assert Ranges(one).covers(other) == (numbers(other) <= numbers(one))


@given(RANGES, RANGES)
def test_the_difference_is_that_of_sets(one: list[Range], other: list[Range]) -> None:
    assert numbers(list(Ranges(one) - other)) == numbers(one) - numbers(other)


@given(RANGES, st.integers(1, 50))
def test_a_number_is_in_the_set_or_not(ranges: list[Range], number: int) -> None:
    assert (number in Ranges(ranges)) == (number in numbers(ranges))


@given(RANGES, st.integers(1, 50))
def test_count_counts_what_is_below(ranges: list[Range], below: int) -> None:
    assert Ranges(ranges).count(below=below) == len({n for n in numbers(ranges) if n < below})


@given(RANGES, st.integers(1, 50), st.integers(1, 60))
def test_a_gap_is_the_first_run_of_what_is_missing(
    ranges: list[Range], start: int, below: int
) -> None:
    missing = [n for n in range(start, below) if n not in numbers(ranges)]

    gap = Ranges(ranges).gap(start, below=below)

    assert (gap is None) == (not missing)
    if gap is not None:
        first, last = gap
        assert first == missing[0]
        assert set(range(first, last + 1)) <= set(missing)
        assert last + 1 not in missing


def test_a_number_of_any_length_is_in_its_range_and_leaves_nothing_when_taken_away() -> None:
    huge = Ranges([(1, 2**70)])

    assert 1 in huge
    assert Ranges([(1, 5)]) - huge == Ranges()

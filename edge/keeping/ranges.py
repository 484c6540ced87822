"""Sets of sequence numbers, kept as ranges with both ends included; pure."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class Ranges:
    """A set of whole numbers as ascending ranges that neither overlap nor touch.

    The gateway's receipts come in this form, so a stream of a year is one pair of numbers.
    """

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._ranges = _joined(ranges)

    def __iter__(self) -> Iterator[Range]:
        return iter(self._ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self._ranges == other._ranges

    def __hash__(self) -> int:
        return hash(tuple(self._ranges))

    def __repr__(self) -> str:
        return f"Ranges({self._ranges})"

    def __contains__(self, number: int) -> bool:
        return self._around(number) is not None

    def __or__(self, other: Iterable[Range]) -> "Ranges":
        return Ranges([*self._ranges, *other])

    def __sub__(self, other: Iterable[Range]) -> "Ranges":
        """What is left without the numbers of `other`."""
        left, taken = list[Range](), Ranges(other)
        for first, last in self._ranges:
            start = first
            while (gap := taken.gap(start, below=last + 1)) is not None:
                left.append(gap)
                start = gap[1] + 1
        return Ranges(left)

    def covers(self, other: Iterable[Range]) -> bool:
        """Whether every number of `other` is in this set."""
        return all(
            (around := self._around(first)) is not None and last <= around[1]
            for first, last in other
        )

    def count(self, *, below: int) -> int:
        """How many numbers from 1 on and smaller than `below` are in the set."""
        return sum(max(0, min(last, below - 1) - max(first, 1) + 1) for first, last in self._ranges)

    def gap(self, start: int, *, below: int) -> Range | None:
        """The first run of numbers that are not in the set, from `start` on and under `below`."""
        around = self._around(start)
        first = start if around is None else around[1] + 1
        if first >= below:
            return None
        following = bisect_right(self._ranges, (first, first))
        ends = self._ranges[following][0] if following < len(self._ranges) else below
        return first, min(ends, below) - 1

    def _around(self, number: int) -> Range | None:
        place = bisect_right(self._ranges, (number, _INFINITE)) - 1
        if place >= 0 and self._ranges[place][1] >= number:
            return self._ranges[place]
        return None


_INFINITE = math.inf  # greater than every whole number, however long


def _joined(ranges: Iterable[Range]) -> list[Range]:
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined

"""Sets of sequence numbers as ranges: added, subtracted, counted; pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]
"""Sequence numbers from first to last, both included."""

_FIRST, _LAST = itemgetter(0), itemgetter(1)


def add(known: list[Range], new: Range) -> None:
    """Add a range to a sorted list of ranges, in place; neighbours become one."""
    first, last = new
    start = bisect_left(known, first - 1, key=_LAST)
    end = bisect_right(known, last + 1, key=_FIRST)
    if start < end:
        first, last = min(first, known[start][0]), max(last, known[end - 1][1])
    known[start:end] = [(first, last)]


def minus(new: Range, known: Sequence[Range]) -> list[Range]:
    """The parts of a range that are in none of the sorted ranges."""
    first, last = new
    left: list[Range] = []
    for other_first, other_last in known[bisect_left(known, first, key=_LAST) :]:
        if other_first > last:
            break
        if first < other_first:
            left.append((first, other_first - 1))
        first = other_last + 1
    if first <= last:
        left.append((first, last))
    return left


def holes(known: Sequence[Range]) -> int:
    """How many gaps there are, the one before the first number not counted."""
    return max(len(known) - 1, 0)


def text(known: Iterable[Range]) -> str:
    """The ranges as PostgreSQL reads an int8multirange: {[1,4],[9,9]}."""
    return "{" + ",".join(f"[{first},{last}]" for first, last in known) + "}"

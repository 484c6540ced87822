"""Numbers that are said to a command of `deploy/`, checked as argparse reads them."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from itertools import pairwise


def at_least_one(text: str) -> int:
    """A whole number that counts something that must be there."""
    number = zero_or_more(text)
    if number < 1:
        raise ArgumentTypeError("at least 1")
    return number


def zero_or_more(text: str) -> int:
    """A whole number, or 0 for none of them."""
    try:
        number = int(text)
    except ValueError:
        raise ArgumentTypeError(f"a whole number, not {text!r}") from None
    if number < 0:
        raise ArgumentTypeError("not below 0")
    return number


def above_zero(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        raise ArgumentTypeError(f"a number, not {text!r}") from None
    if not (math.isfinite(number) and number > 0):
        raise ArgumentTypeError("a finite number above 0")
    return number


def from_one_to(most: int) -> Callable[[str], int]:
    """Whole numbers that count something that must be there, and of which there are not more."""

    def number(text: str) -> int:
        found = at_least_one(text)
        if found > most:
            raise ArgumentTypeError(f"at most {most:,}")
        return found

    return number


def rising(*, first: int = 1, apart: int = 1, most: int) -> Callable[[str], tuple[int, ...]]:
    """Lists as `100,1000`: at least `first`, then each so many more than the one before it."""
    number = from_one_to(most)

    def numbers(text: str) -> tuple[int, ...]:
        found = tuple(number(word.strip()) for word in text.split(",") if word.strip())
        if not found:
            raise ArgumentTypeError("at least one number, more of them with commas between")
        if found[0] < first:
            raise ArgumentTypeError(f"the first is at least {first:,}, not {found[0]:,}")
        for before, after in pairwise(found):
            if after < before + apart:
                raise ArgumentTypeError(f"{after:,} after {before:,}: each {_more(apart)}")
        return found

    return numbers


def _more(apart: int) -> str:
    return "is more than the one before" if apart == 1 else f"is at least {apart:,} more"

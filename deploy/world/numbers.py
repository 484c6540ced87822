"""Numbers that are said to a command of `deploy/`, checked as argparse reads them."""

import math
from argparse import ArgumentTypeError


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

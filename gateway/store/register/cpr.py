"""Knows what looks like a CPR number: none of them may come in, in whatever column; pure."""

import re

_DAY, _MONTH = r"(?:0[1-9]|[12]\d|3[01])", r"(?:0[1-9]|1[0-2])"
_LIKE = re.compile(rf"(?<![\d]){_DAY}[ .-]?{_MONTH}[ .-]?\d\d[ .-]?\d{{4}}(?!\d)", re.ASCII)
"""Ten digits that begin with a date (CPR-kontoret, "Personnummeret i CPR"). The check digit is not
asked: numbers given out since 2007 need not fit it."""
_GAPS = re.compile(r"[\s.\-\u2013\u2014/]+")
_TEN = re.compile(rf"{_DAY}{_MONTH}\d{{6}}", re.ASCII)


def is_like_cpr(text: str) -> bool:
    """Whether a CPR number seems to stand in the text, however its digits are grouped."""
    return _LIKE.search(text) is not None or _TEN.fullmatch(_GAPS.sub("", text)) is not None

"""Cuts what waits in a stream into runs that fit one message each; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.frame import Gone
from edge.keeping.ranges import Range

PACKET_LIMIT = 60_000
"""Bytes of one MQTT packet, below the 65 536 that the broker is set to take."""
HEAD_ROOM = 1_000
"""Bytes of a packet left for its topic and for what a batch says before its frames."""

_MOST_GONE = 4  # reasons in one batch: they take of its head room


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a lane: the spool's own number of a stream, and a sequence number in it."""

    stream: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A contiguous run of one stream that has no receipt yet, ready to become one batch."""

    stream: str
    boot: str
    first: int
    last: int
    frames: tuple[str, ...]
    gone: tuple[Gone, ...]
    following: Place


def fitting(text: str) -> tuple[str | None, str | None]:
    """The frame's text, or why no message can carry it. JSON text is ASCII: a letter is a byte."""
    if len(text) <= PACKET_LIMIT - HEAD_ROOM:
        return text, None
    return None, f"larger than a message of {PACKET_LIMIT} bytes can carry"


def frames_then_gone(
    rows: Sequence[tuple[int, str | None, str | None]], gap: Range, *, frames: int, octets: int
) -> tuple[list[str], list[Gone]]:
    """As many bodies as fit, then the numbers right behind them that will never come.

    Numbers without a row right behind one that is gone went for its reason.
    """
    bodies, gone = list[str](), list[Gone]()
    expected, room = gap[0], octets
    for sequence, body, reason in rows:
        if len(gone) >= _MOST_GONE:
            return bodies, gone
        _miss(gone, expected, sequence - 1)
        expected = sequence
        if body is not None and len(body) < octets:
            room -= len(body) + 1  # the comma
            if gone or room < 0 or len(bodies) == frames:
                return bodies, gone
            bodies.append(body)
        else:
            why = reason or f"larger than the broker's limit of {octets} bytes"
            _lengthen(gone, sequence, sequence, why)
        expected += 1
    if len(rows) <= frames:  # all that there are in the gap
        _miss(gone, expected, gap[1])
    return bodies, gone


def _miss(gone: list[Gone], first: int, last: int) -> None:
    if first <= last:
        follows = bool(gone) and gone[-1].last == first - 1
        _lengthen(gone, first, last, gone[-1].reason if follows else "no longer kept")


def _lengthen(gone: list[Gone], first: int, last: int, reason: str) -> None:
    if gone and gone[-1].last == first - 1 and gone[-1].reason == reason:
        gone[-1] = Gone(first=gone[-1].first, last=last, reason=reason)
    else:
        gone.append(Gone(first=first, last=last, reason=reason))

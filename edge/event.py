"""What the box says of itself: a word and a few numbers, kept and sent as every frame is."""

import json
import logging
from collections.abc import Callable
from typing import Protocol

from adapters.frame import Frame, Lane
from edge.clock import Clock

MOST_AN_HOUR = 60
"""Events of one word in an hour: a radio that fails every second is told once a minute."""

_URGENT = frozenset({"storage.failed", "spool.renewed", "line.hook"})
_HOUR = 3_600.0
_log = logging.getLogger(__name__)

Detail = str | int | float | bool | None


class Say(Protocol):
    """Tell the gateway that something happened to the box. Never raises."""

    def __call__(self, word: str, /, **details: Detail) -> None: ...


def say_nothing(_: str, /, **__: Detail) -> None:
    """For whom nobody listens to."""


def event(word: str, clock: Clock, edge: str, **details: Detail) -> Frame:
    """A frame of the box about itself: `value` is the JSON of the details.

    They are numbers and short words, and never a name or an address of what is not ours.
    """
    return Frame(
        device=edge,
        heard="box",
        at=clock.now_ms(),
        uptime=round(clock.uptime(), 3),
        sure=clock.synchronised(),
        uuid=word,
        value=json.dumps(details, ensure_ascii=False, separators=(",", ":")).encode(),
    )


def lane_of(word: str) -> Lane:
    """Calls are not held up by a box that talks of itself: only what costs calls is urgent."""
    return "urgent" if word in _URGENT else "bulk"


class Voice:
    """Says events into the spool: `say(word, **details)`.

    What the box says of itself is worth less than its hearing on: an event that cannot be kept
    is logged, and ends nothing. What is said too often is left out, and the next one tells how
    many (`unsaid`).
    """

    def __init__(self, keep: Callable[[Frame, Lane], None], clock: Clock, edge: str) -> None:
        self._keep = keep
        self._clock = clock
        self._edge = edge
        self._said: dict[str, list[float]] = {}
        self._unsaid: dict[str, int] = {}

    def __call__(self, word: str, /, **details: Detail) -> None:
        if not self._may(word):
            self._unsaid[word] = self._unsaid.get(word, 0) + 1
            return
        if unsaid := self._unsaid.pop(word, 0):
            details["unsaid"] = unsaid
        _log.warning("%s %s", word, details)
        try:
            self._keep(event(word, self._clock, self._edge, **details), lane_of(word))
        except Exception:  # noqa: BLE001 - whatever it is, the next frame meets it again
            _log.exception("the event %s was not kept", word)

    def _may(self, word: str) -> bool:
        now = self._clock.uptime()
        lately = [at for at in self._said.get(word, ()) if now - at < _HOUR]
        if len(lately) >= MOST_AN_HOUR:
            return False
        self._said[word] = [*lately, now]
        return True

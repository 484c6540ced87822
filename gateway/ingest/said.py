"""Reads what a box says of itself: a word and its details, or why it is neither."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from adapters.frame import Batch, Frame
from gateway.ingest import times
from gateway.store.events import BoxEvent
from gateway.store.known import Edge
from gateway.store.quarantine import Counted

_WORD = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_LONGEST_WORD, _LONGEST, _MOST_DETAILS, _LONGEST_NAME = 64, 2_048, 32, 40
_OF_A_DEVICE = "device."


class BadEvent(Exception):
    """A box said something of itself in a form that was not agreed: set aside with this text."""


def is_of(frame: Frame, edge: Edge) -> bool:
    """Whether the frame is what this box says of itself, and not of anything that it heard."""
    return frame.heard == "box" and frame.device == edge.name


def box_event(
    frame: Frame, batch: Batch, edge: Edge, *, topic: str, now_ms: int, driven: bool
) -> BoxEvent:
    """The event as it is kept; also of a word that we do not know. Raises BadEvent."""
    word, details = _word(frame.uuid or ""), _details(frame.value)
    at, clock = times.heard(frame, batch, now_ms, driven=driven)
    return BoxEvent(
        municipality=edge.municipality,
        edge=edge.id,
        topic=topic,
        name=edge.name,
        occurred=_told(word, times.moment(at)),
        clock=clock,
        word=word,
        details=details,
    )


def too_many(events: Iterable[BoxEvent]) -> Counter[Counted]:
    """What a box said beyond what is kept of it is only counted."""
    return Counter(
        Counted(one.municipality, one.topic, one.name, "too_many_events") for one in events
    )


def _told(word: str, at: datetime) -> datetime:
    """What a device did is told to the hour: to the minute it tells when somebody moved."""
    if word.startswith(_OF_A_DEVICE):
        return at.replace(minute=0, second=0, microsecond=0)
    return at


def _word(word: str) -> str:
    if len(word) > _LONGEST_WORD or _WORD.fullmatch(word) is None:
        raise BadEvent(f"no word of a box: {word[:_LONGEST_WORD]!r}")
    return word


def _details(value: bytes) -> str:
    """The JSON again, as the database takes it: names with numbers, truths and short texts."""
    if len(value) > _LONGEST:
        raise BadEvent(f"{len(value)} bytes of details; {_LONGEST} are allowed")
    try:
        said: Any = json.loads(value or b"{}")
        text = json.dumps(said, ensure_ascii=False, allow_nan=False)
        text.encode()  # a lone surrogate is no text
    except (ValueError, RecursionError) as bad:
        raise BadEvent(f"details: {bad}") from bad
    if not isinstance(said, dict) or not _are_plain(cast("dict[str, Any]", said)):
        raise BadEvent("details are not names with numbers and texts")
    return text


def _are_plain(details: dict[str, Any]) -> bool:
    return len(details) <= _MOST_DETAILS and all(
        len(name) <= _LONGEST_NAME
        and (each is None or isinstance(each, str | int | float))
        and "\0" not in f"{name}{each}"
        for name, each in details.items()
    )

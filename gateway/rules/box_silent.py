"""A box has no contact: the home cannot call, and what is not heard is not known."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import ClassVar

from pydantic import NonNegativeInt

from gateway.home import when
from gateway.rules.finding import Contact, Finding, Judgement, Rule, Window, earliest


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long the silence lasts before it is told, in seconds after contact ended.

    The broker says "lost" after 1.5 times the keep-alive (45 s with a call button, else 90 s);
    with `call_button_seconds` a box is on the board within 90 s of the cut, else within 180 s.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    call_button_seconds: NonNegativeInt = 30
    other_seconds: NonNegativeInt = 60
    stopped_seconds: NonNegativeInt = 900


def judge(window: Window, settings: Settings) -> Judgement:
    """Find the silences between a box's intervals of contact, and when a new one is due."""
    found: list[Finding] = []
    due: list[datetime] = []
    for last, until in _silences(window.contacts):
        tell = _told_at(last, settings)
        if until is not None and until <= tell:
            continue
        if tell > window.now:
            due.append(tell)
            continue
        found.append(_finding(last, until, window))
        if until is not None and until > window.now:
            due.append(until)
    return Judgement(tuple(found), window.start, earliest(due))


def _silences(contacts: Iterable[Contact]) -> Iterator[tuple[Contact, datetime | None]]:
    # The open one is the last, also when our clock was put back and it seems to begin earlier.
    in_order = sorted(contacts, key=lambda one: (one.name, one.end is None, one.start))
    for _, group in groupby(in_order, lambda one: one.name):
        of_box = list(group)
        following = [one.start for one in of_box[1:]]
        for contact, until in zip(of_box, [*following, None], strict=True):
            if contact.end is not None:
                yield contact, until


def _told_at(last: Contact, settings: Settings) -> datetime:
    if last.end is None:
        raise ValueError("contact has not ended")
    seconds = settings.other_seconds
    if last.ended_by == "stopped":
        seconds = settings.stopped_seconds
    elif last.call_button:
        seconds = settings.call_button_seconds
    told = last.end + timedelta(seconds=seconds)
    return told if last.sure_from is None else max(told, last.sure_from)


def _finding(last: Contact, until: datetime | None, window: Window) -> Finding:
    since = last.end or last.start
    stopped = " Boksen blev standset." if last.ended_by == "stopped" else ""
    reason = f"Boksen har ingen kontakt siden {when(since, window.zone)}.{stopped}"
    over = until is not None and until <= window.now
    if until is not None and over:
        reason = (
            f"Boksen havde ingen kontakt fra {when(since, window.zone)}"
            f" til {when(until, window.zone)}.{stopped}"
        )
    state = "ended" if over else "holds"
    known = until if over else None
    return Finding("box_silent", last.name, since, known, state, reason, "box_silent")


RULE = Rule(
    name="box_silent",
    reads=frozenset(),
    window=timedelta(hours=48),
    judge=judge,
    defaults=Settings(),
    history_after=timedelta(0),
    joins=True,
    of_home=True,
)

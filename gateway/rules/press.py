"""Someone asked for help: a call button was pressed, placed or not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import ClassVar

from pydantic import PositiveInt

from adapters.observation import Kind
from gateway.home import when
from gateway.rules.finding import UNPLACED, AlertKind, Finding, Heard, Judgement, Rule, Window

_PRESSES = (Kind.CALL_PRESSED, Kind.BUTTON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hearings of the same press lie at most `echo_seconds` apart."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    echo_seconds: PositiveInt = 10


def judge(window: Window, settings: Settings) -> Judgement:
    """Find the presses: hearings of one device and number, each within the echo of the last.

    If in doubt it is a second press. A press is over at once; its alert is not. One that a
    technician made and saw in a walk test, with every hearing of it, asks for nobody.
    """
    echo = timedelta(seconds=settings.echo_seconds)
    found = (
        _finding(press, subject, echo, window)
        for subject, hearings in _by_subject(window.heard)
        for press in _chains(hearings, echo)
    )
    return Judgement(tuple(sorted(found, key=_order)), window.start, None)


def _by_subject(heard: Iterable[Heard]) -> Iterator[tuple[str, list[Heard]]]:
    presses = [one for one in heard if one.kind in _PRESSES and one.role in ("call", UNPLACED)]
    presses.sort(key=lambda one: (_subject(one), one.occurred, one.placement or 0))
    for subject, hearings in groupby(presses, _subject):
        yield subject, list(hearings)


def _subject(heard: Heard) -> str:
    return f"{heard.device}:{0 if heard.value is None else int(heard.value)}"


def _chains(hearings: list[Heard], echo: timedelta) -> Iterator[list[Heard]]:
    chain = hearings[:1]
    for one in hearings[1:]:
        if one.occurred - chain[-1].occurred > echo:
            yield chain
            chain = []
        chain.append(one)
    yield chain


def _finding(press: list[Heard], subject: str, echo: timedelta, window: Window) -> Finding:
    # Whose button it is may change between two hearings: any placed one makes it a known call.
    placed = next((one for one in press if one.placement is not None), None)
    since = press[0].occurred
    reason, kind = _says(placed, when(since, window.zone))
    if all(any(test.covers(one) for test in window.tests) for one in press):
        reason, kind = f"Prøvekald: {reason[:1].lower()}{reason[1:]}", None
    until = press[-1].occurred + echo
    return Finding("call_pressed", subject, since, until, "ended", reason, kind)


def _says(placed: Heard | None, time: str) -> tuple[str, AlertKind | None]:
    if placed is None:
        return f"Trykket på en nødkaldsknap, der ikke er tilknyttet en borger, {time}.", (
            "unknown_device"
        )
    room = f" ({placed.room})" if placed.room else ""
    return f"Trykket på nødkaldsknappen{room} {time}.", "call_pressed"


def _order(finding: Finding) -> tuple[object, str]:
    return finding.since, finding.subject


RULE = Rule(
    name="call_pressed",
    reads=frozenset((role, kind) for role in ("call", UNPLACED) for kind in _PRESSES),
    window=timedelta(hours=1),
    judge=judge,
    defaults=Settings(),
    late_after=timedelta(minutes=5),
    joins=True,
)

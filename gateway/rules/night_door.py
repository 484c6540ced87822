"""A door was opened in the night: one finding a night, however often."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import ClassVar

from adapters.observation import Kind
from gateway.home import clock_time, day_name, instant, local_day, zone_info
from gateway.rules.finding import Finding, Heard, Judgement, Rule, Window, earliest

_OPENINGS = (Kind.DOOR, Kind.OPENING)
_OPEN = 1.0
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The night in local time, from `night_from` (included) to `night_to` (excluded)."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    night_from: time = time(23)
    night_to: time = time(6)


@dataclass(frozen=True, slots=True)
class Night:
    """A night by the local date on which it begins; its ends are aware UTC."""

    day: date
    start: datetime
    end: datetime


def judge(window: Window, settings: Settings) -> Judgement:
    """Find the nights with an opened door, of those that the window shows whole."""
    nights: defaultdict[date, set[tuple[datetime, int, str]]] = defaultdict(set)
    for one in window.heard:
        day = _night_of(one, window.zone, settings)
        if day is not None:
            nights[day].add((one.occurred, one.device, one.room))
    whole = (_night(day, window.zone, settings) for day in sorted(nights))
    found = tuple(
        _finding(night, sorted(nights[night.day]), window)
        for night in whole
        if night.start >= window.start
    )
    ends = (finding.until for finding in found if finding.state == "holds")
    return Judgement(found, _covered_from(window, settings), earliest(ends))


def _night_of(heard: Heard, zone: str, settings: Settings) -> date | None:
    if heard.kind not in _OPENINGS or heard.role != "door" or heard.value != _OPEN:
        return None
    local = heard.occurred.astimezone(zone_info(zone))
    at, start, end = local.time(), settings.night_from, settings.night_to
    if start <= end:
        return local.date() if start <= at < end else None
    if at >= start:
        return local.date()
    return local.date() - _DAY if at < end else None


def _night(day: date, zone: str, settings: Settings) -> Night:
    after = _DAY if settings.night_from > settings.night_to else timedelta()
    return Night(
        day,
        instant(day, settings.night_from, zone),
        instant(day + after, settings.night_to, zone),
    )


def _covered_from(window: Window, settings: Settings) -> datetime:
    day = local_day(window.start, window.zone)
    starts = (_night(day + n * _DAY, window.zone, settings).start for n in range(3))
    return next(start for start in starts if start >= window.start)


def _finding(night: Night, opened: Sequence[tuple[datetime, int, str]], window: Window) -> Finding:
    first = opened[0][0]
    state = "holds" if night.end > window.now else "ended"
    subject, reason = night.day.isoformat(), _says(night, opened, window.zone)
    return Finding("night_door", subject, first, night.end, state, reason, "night_door")


def _says(night: Night, opened: Sequence[tuple[datetime, int, str]], zone: str) -> str:
    morning = day_name(local_day(night.end, zone))
    rooms = sorted({room for _, _, room in opened if room})
    where = f" ({', '.join(rooms)})" if rooms else ""
    first, last = clock_time(opened[0][0], zone), clock_time(opened[-1][0], zone)
    if len(opened) == 1:
        return f"Døren{where} er åbnet {first} natten til den {morning}."
    return (
        f"Døren{where} er åbnet {len(opened)} gange natten til den {morning}, "
        f"første gang {first}, senest {last}."
    )


RULE = Rule(
    name="night_door",
    reads=frozenset(("door", kind) for kind in _OPENINGS),
    # The longest night before an opening, and an hour for the night in which the clocks change.
    window=timedelta(hours=26),
    judge=judge,
    defaults=Settings(),
    history_after=timedelta(minutes=15),
)

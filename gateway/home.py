"""Who lives where, what is planned for them, and what time it is there; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = (
    "januar",
    "februar",
    "marts",
    "april",
    "maj",
    "juni",
    "juli",
    "august",
    "september",
    "oktober",
    "november",
    "december",
)


@dataclass(frozen=True, slots=True, order=True)
class Citizen:
    """A citizen by internal numbers; outside the gateway they are known by a random id."""

    municipality: int
    number: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A dose of every day: due at the local time `at`, missed at `at` + `window` + `grace`."""

    number: int
    at: time
    window: timedelta
    grace: timedelta


@dataclass(frozen=True, slots=True)
class DosePlan:
    """One version of a placement's doses, valid from (included) to (excluded).

    `placed_until` is the end of the placement itself: a dispenser that has been taken away
    misses nothing, while a new version of the plan leaves the doses of the old one to be judged.
    """

    placement: int
    slots: tuple[Slot, ...]
    valid_from: datetime
    valid_to: datetime | None
    zone: str
    placed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dose:
    """One slot of one local day: due `at`, missed at `deadline` (aware UTC)."""

    placement: int
    slot: int
    day: date
    at: datetime
    deadline: datetime


@lru_cache(maxsize=512)
def zone_info(zone: str) -> ZoneInfo:
    """Return the rules of an IANA zone. Raises ZoneInfoNotFoundError for a name that is none."""
    return ZoneInfo(zone)


def instant(day: date, at: time, zone: str) -> datetime:
    """Return the UTC instant of a local time, once a day whatever the clocks do.

    A time that the spring night skips runs at the offset before the change (02:30 runs when the
    clocks show 03:30); a time that the autumn night has twice runs the first time.
    """
    local = datetime.combine(day, at, zone_info(zone)).replace(fold=0)
    return local.astimezone(UTC)


def local_day(moment: datetime, zone: str) -> date:
    """Return the local date of an instant."""
    return moment.astimezone(zone_info(zone)).date()


def clock_time(moment: datetime, zone: str) -> str:
    """Return "kl. 22:14", or with "(sommertid)"/"(vintertid)" in the hour that comes twice.

    A zone that does not exist gives "kl. 21:14 (UTC)": a call is told all the same.
    """
    try:
        local = moment.astimezone(zone_info(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return f"kl. {moment.astimezone(UTC):%H:%M} (UTC)"
    first, second = local.replace(fold=0), local.replace(fold=1)
    text = f"kl. {local:%H:%M}"
    if first.utcoffset() == second.utcoffset():
        return text
    return f"{text} ({'vintertid' if local.fold else 'sommertid'})"


def day_name(day: date) -> str:
    """Return "28. marts"."""
    return f"{day.day}. {_MONTHS[day.month - 1]}"


def when(moment: datetime, zone: str) -> str:
    """Return "kl. 22:14 den 28. marts"."""
    try:
        day = local_day(moment, zone)
    except (ZoneInfoNotFoundError, ValueError):
        day = moment.astimezone(UTC).date()
    return f"{clock_time(moment, zone)} den {day_name(day)}"


def doses(plan: DosePlan, start: datetime, end: datetime) -> Iterator[Dose]:
    """Yield the plan's doses that are due in [start, end), in no particular order."""
    since = max(start, plan.valid_from)
    until = end if plan.valid_to is None else min(end, plan.valid_to)
    if since >= until:
        return
    day, last = local_day(since, plan.zone), local_day(until, plan.zone)
    while day <= last:
        for slot in plan.slots:
            at = instant(day, slot.at, plan.zone)
            if since <= at < until:
                deadline = at + slot.window + slot.grace
                yield Dose(plan.placement, slot.number, day, at, deadline)
        day += timedelta(days=1)

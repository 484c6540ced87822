"""A dose was not taken in time: told by plan and clock, whether the dispenser speaks or not."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import NonNegativeInt, PositiveInt

from adapters.observation import Kind
from gateway.home import Dose, DosePlan, clock_time, doses, when
from gateway.rules.dose_course import DANISH, TAKEN, course
from gateway.rules.finding import Contact, Finding, Heard, Judgement, Rule, Window, earliest

_EARLY = timedelta(minutes=60)
_DAY = timedelta(hours=24)
_LOCAL_DAY = timedelta(hours=25)  # the autumn day
_SPEAKS = tuple(
    kind
    for kind in Kind
    if Kind.DOSE_DUE <= kind <= Kind.DOSES_LEFT
    or Kind.DOSE_TAKEN_EARLY <= kind <= Kind.SCHEDULE_CHANGED
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """When the gateway can know that a dose was not taken, and how long that wakes anyone.

    A box that has just come back is given `settle_seconds` to send what it kept. A dose that is
    not known asks for somebody `unknown_seconds` after its deadline, when the box itself has no
    case: a box that is stopped gets its own after as long. A dose whose deadline was more than
    `alert_hours` ago becomes history.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}

    settle_seconds: NonNegativeInt = 120
    unknown_seconds: NonNegativeInt = 900
    alert_hours: PositiveInt = 72


@dataclass(frozen=True, slots=True)
class _Case:
    """One dose with everything that bears on it."""

    dose: Dose
    taken: datetime | None
    known_at: datetime | None
    heard: Sequence[Heard]


def judge(window: Window, settings: Settings) -> Judgement:
    """Find the doses that passed their deadline without being taken, and the next deadline."""
    covered = window.start + _DAY + _longest(window.doses)
    planned = _planned(window)
    taken = _taken(window.heard, planned)
    found: list[Finding] = []
    due = [plan.valid_from for plan in window.doses if plan.valid_from > window.now]
    for dose in planned:
        if dose.deadline < covered:
            continue
        if dose.deadline > window.now:
            due.append(dose.deadline)
            continue
        case = _Case(
            dose,
            taken.get((dose.placement, dose.slot, dose.at)),
            _known_at(dose, window.contacts, timedelta(seconds=settings.settle_seconds)),
            window.heard,
        )
        finding = _finding(case, window, settings)
        unknown = finding is not None and finding.state == "unknown"
        moments = (case.taken, case.known_at, _asks_at(case, settings) if unknown else None)
        due += [at for at in moments if at is not None and at > window.now]
        found += [] if finding is None else [finding]
    return Judgement(tuple(sorted(found, key=_order)), covered, earliest(due))


def _longest(plans: Iterable[DosePlan]) -> timedelta:
    spans = (slot.window + slot.grace for plan in plans for slot in plan.slots)
    return max(spans, default=timedelta(0))


def _planned(window: Window) -> list[Dose]:
    """Every dose that could matter, up to the first of each slot that is still to come."""
    end = window.now + _LOCAL_DAY
    return [
        dose
        for plan in window.doses
        for dose in doses(plan, window.start - _LOCAL_DAY, end)
        if plan.placed_until is None or dose.deadline <= plan.placed_until
    ]


# ---------------------------------------------------------------- which dose was taken


def _taken(
    heard: Iterable[Heard], planned: Iterable[Dose]
) -> Mapping[tuple[int, int, datetime], datetime]:
    """The first time each dose was taken, by (placement, slot, due)."""
    of_placement: defaultdict[int, list[Dose]] = defaultdict(list)
    for dose in sorted(planned, key=lambda dose: dose.at):
        of_placement[dose.placement].append(dose)
    taken: dict[tuple[int, int, datetime], datetime] = {}
    for one in heard:
        if one.kind not in TAKEN or one.placement is None:
            continue
        if one.code is None and not one.dated:
            continue  # some dose was taken some time: it may not speak for the one that is due
        for dose in _meant(one, of_placement[one.placement]):
            key = (dose.placement, dose.slot, dose.at)
            taken[key] = min(taken.get(key, one.occurred), one.occurred)
    return taken


def _meant(taken: Heard, planned: Sequence[Dose]) -> list[Dose]:
    """The doses that this was: it depends on nothing but itself and the plans.

    The latest that was due and not over, of whichever version of the plan, else the first that
    may be taken early, else the latest that was due. With a slot it is also the slot's other
    doses of that day that it could be: a plan moved while a dose is due asks for it only once.
    """
    near = [
        dose
        for dose in planned
        if taken.code in (None, dose.slot) and dose.at - _EARLY <= taken.occurred < dose.at + _DAY
    ]
    due = [dose for dose in near if dose.at <= taken.occurred]
    ahead = [dose for dose in near if dose.at > taken.occurred]
    current = [dose for dose in due if taken.occurred <= dose.deadline]
    if current or not ahead:
        last = [dose for dose in due if dose.at == (current or due)[-1].at]
        moved = [
            dose
            for dose in (*current, *ahead)
            if taken.code is not None and dose.day == last[-1].day
        ]
        return [*last, *(dose for dose in moved if dose not in last)]
    return [dose for dose in ahead if dose.at == ahead[0].at]


# ---------------------------------------------------------------- when it can be known


def _known_at(dose: Dose, contacts: Iterable[Contact], settle: timedelta) -> datetime | None:
    """When silence about the dose first means that it was not taken; None: not as far as is known.

    A box that was in contact all the time has told by the deadline; one that came back meanwhile
    needs time to send what it kept.
    """
    return earliest(_tells(contact, dose, settle) for contact in contacts)


def _tells(contact: Contact, dose: Dose, settle: timedelta) -> datetime | None:
    settled = contact.start if contact.start <= dose.at else contact.start + settle
    moment = max(dose.deadline, settled)
    return moment if contact.end is None or moment < contact.end else None


# ---------------------------------------------------------------- what is said


def _finding(case: _Case, window: Window, settings: Settings) -> Finding | None:
    dose, now = case.dose, window.now
    subject = f"{dose.placement}:{dose.slot}:{dose.day.isoformat()}"
    if case.taken is not None and case.taken <= dose.deadline:
        return None
    missed = f"Medicin {when(dose.at, window.zone)} er ikke taget inden {_limit(dose, window)}."
    if case.taken is not None and case.taken <= now:
        reason = f"{missed} Taget for sent {when(case.taken, window.zone)}."
        return Finding("dose_missed", subject, dose.deadline, case.taken, "ended", reason, None)
    wakes = now - dose.deadline <= timedelta(hours=settings.alert_hours)
    if case.known_at is None or case.known_at > now:
        asks = wakes and now >= _asks_at(case, settings)
        reason, alert = _not_known(dose, window), "box_silent" if asks else None
        return Finding("dose_missed", subject, dose.deadline, None, "unknown", reason, alert)
    reason = f"{missed}{_device_says(case, window)}"
    alert = "dose_missed" if wakes else None
    return Finding("dose_missed", subject, dose.deadline, None, "holds", reason, alert)


def _asks_at(case: _Case, settings: Settings) -> datetime:
    return case.dose.deadline + timedelta(seconds=settings.unknown_seconds)


def _not_known(dose: Dose, window: Window) -> str:
    before = [one for one in window.contacts if one.start <= dose.deadline]
    ends = [one.end for one in before if one.end is not None]
    since = (
        f"været uden kontakt siden {when(max(ends), window.zone)}" if ends else "ikke haft kontakt"
    )
    return (
        f"Medicin {when(dose.at, window.zone)}: det vides ikke, om den er taget,"
        f" for boksen har {since}."
    )


def _limit(dose: Dose, window: Window) -> str:
    return clock_time(dose.deadline, window.zone)


def _device_says(case: _Case, window: Window) -> str:
    """What the dispenser itself adds: why, that it saw the same, or that it was silent."""
    dose = case.dose
    own = [one for one in case.heard if one.placement == dose.placement]
    why = DANISH.get(course(dose, own))
    said = f" {why}" if why else ""
    if any(_confirms(one, dose) for one in own):
        return f"{said} Bekræftet af dispenseren."
    if said:
        return said
    before = [one.occurred for one in own if dose.at - _DAY <= one.occurred <= dose.deadline]
    if not before:
        return " Dispenseren har været tavs i over et døgn."
    if max(before) < dose.at:
        return f" Dispenseren har været tavs siden {when(max(before), window.zone)}."
    return ""


def _confirms(heard: Heard, dose: Dose) -> bool:
    return (
        heard.kind is Kind.DOSE_MISSED
        and heard.code in (None, dose.slot)
        and dose.at <= heard.occurred < dose.at + _DAY
    )


def _order(finding: Finding) -> tuple[object, str]:
    return finding.since, finding.subject


RULE = Rule(
    name="dose_missed",
    reads=frozenset(("dispenser", kind) for kind in (*_SPEAKS, Kind.BATTERY)),
    # What is heard now may be about a dose of 25 h ago, whose deadline is covered only if the
    # window begins a day (silence) and the longest window with grace (24 h) before it.
    window=timedelta(hours=75),
    judge=judge,
    defaults=Settings(),
    late_after=timedelta(minutes=15),
)

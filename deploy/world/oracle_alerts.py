"""Works out in the plainest way which cases and notices a night must have come to.

A second implementation of what the rules and the casework promise, from the promises themselves
and not from their code: the two agree only by both being right. It is given the obligations of
the boxes, who lives where, and what was left undone on purpose. The world it speaks of is made
so that each answer is certain: one night, nobody closes a case, every dose has its limit long
after the last fault and is judged when all is stored; and no box counts as silent before it has
been so for an hour, which only boxes do that were ended on purpose.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from deploy.world.oracle import evening, is_night
from deploy.world.oracle_stored import Obligation

SAME_PRESS_MS = 10_000
"""The same counter of the same button within this of its last hearing is the same press."""

EARLY = timedelta(minutes=60)
"""A dose may be taken so long before it is due."""

Case = tuple[str, str]
"""Citizen and kind of alert."""

Fact = tuple[str, str, str]
"""Citizen, kind and what tells it from others: button, counter and second; night; dose slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """A dose that was due: `slot` of a citizen's dispenser, to be taken by `limit`."""

    citizen: str
    dispenser: str
    slot: int
    due: datetime
    limit: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """Who has which device, which box stands where, and which boxes were ended for good."""

    zone: ZoneInfo
    citizen_of_device: Mapping[str, str]
    citizen_of_edge: Mapping[str, str]
    doses: Sequence[Dose]
    silenced: frozenset[str]


@dataclass(frozen=True, slots=True)
class Night:
    """What it came to: the cases, the facts in them, and the notices of each case by type."""

    cases: Counter[Case]
    facts: Counter[Fact]
    notices: Counter[tuple[str, str, str]]


def night(obligations: Iterable[Obligation], town: Town) -> Night:
    """Every case that must be there, once, with its facts and notices."""
    kept = list(obligations)
    facts = Counter([*_presses(kept, town), *_doors(kept, town), *_missed(kept, town)])
    facts.update((town.citizen_of_edge[edge], "box_silent", edge) for edge in town.silenced)
    cases: Counter[Case] = Counter()
    notices: Counter[tuple[str, str, str]] = Counter()
    for citizen, kind, _ in facts.elements():
        if kind in _JOINING and cases[citizen, kind]:
            notices[citizen, kind, "alert.again"] += 1
        else:
            cases[citizen, kind] += 1
            notices[citizen, kind, "alert.raised"] += 1
    return Night(cases, facts, notices)


_JOINING = frozenset({"call_pressed", "unknown_device", "box_silent"})
"""Kinds whose new facts join the case that is open."""


def _presses(kept: Iterable[Obligation], town: Town) -> Iterable[Fact]:
    hearings: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)
    for one in kept:
        for word, value, _ in one.meant:
            if word == "call_pressed" and one.at is not None:
                owner = town.citizen_of_device.get(one.device)
                whose = owner or town.citizen_of_edge[one.edge]
                hearings[whose, one.device, int(value or 0)].append(one.at)
    for (whose, button, counter), times in hearings.items():
        kind = "call_pressed" if button in town.citizen_of_device else "unknown_device"
        for first in _firsts(sorted(times)):
            yield whose, kind, f"{button} {counter} {first}"


def _firsts(times: Sequence[int]) -> Iterable[int]:
    """The first hearing of each press."""
    last: int | None = None
    for at in times:
        if last is None or at - last > SAME_PRESS_MS:
            yield at
        last = at


def _doors(kept: Iterable[Obligation], town: Town) -> Iterable[Fact]:
    nights: dict[tuple[str, str], int] = {}
    for one in kept:
        if one.at is None or not any(said[:2] == ("door", 1.0) for said in one.meant):
            continue
        local = datetime.fromtimestamp(one.at / 1000, UTC).astimezone(town.zone)
        if is_night(local):
            which = town.citizen_of_device[one.device], evening(local).isoformat()
            nights[which] = min(one.at, nights.get(which, one.at))
    for (whose, day), first in nights.items():
        yield whose, "night_door", f"{day} {first}"


def _missed(kept: Iterable[Obligation], town: Town) -> Iterable[Fact]:
    taken: defaultdict[tuple[str, int | None], list[int]] = defaultdict(list)
    for one in kept:
        for word, _, slot in one.meant:
            if word == "dose_taken" and one.occurred is not None:
                taken[one.device, slot].append(one.occurred)
    for dose in town.doses:
        first, last = _ms(dose.due - EARLY), _ms(dose.limit)
        if not any(first <= at <= last for at in taken[dose.dispenser, dose.slot]):
            yield dose.citizen, "dose_missed", f"{dose.slot}"


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)

"""What a rule concluded, what it was given to conclude from, and what a rule is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Literal, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from adapters.observation import Kind
from gateway.home import DosePlan

S = TypeVar("S")
AlertKind = Literal["call_pressed", "dose_missed", "night_door", "box_silent", "unknown_device"]
State = Literal["holds", "unknown", "ended"]

UNPLACED = ""
"""The role of what nobody has placed."""


class BadSettings(Exception):
    """A rule's settings are not what the rule understands. Correct the newest rule version."""


class Heard(NamedTuple):
    """One observation of the citizen's home, with the placement that speaks for the citizen.

    `placement` is None and `role` UNPLACED for a call of a device that nobody has placed.
    `value` and `code` are those of `adapters.observation.Observation`. `dated` tells that the
    device itself says when; else `occurred` is when it was heard or fetched. When it came is not
    told: no order of delivery may change an answer.

    A tuple, because a citizen's day has hundreds: a frozen dataclass takes four times as long.
    """

    occurred: datetime
    device: int
    placement: int | None
    role: str
    room: str
    kind: Kind
    value: float | None
    code: int | None
    dated: bool = True


@dataclass(frozen=True, slots=True)
class Contact:
    """One interval in which a box was in contact; the open one has no end.

    After `ended_by` nothing is concluded before `sure_from`: the gateway or the broker had only
    just started. `call_button` tells that the home has one, so that silence is told sooner.
    """

    edge: int
    name: str
    start: datetime
    end: datetime | None
    ended_by: Literal["lost", "stopped", "stale"] | None
    sure_from: datetime | None
    call_button: bool


@dataclass(frozen=True, slots=True)
class WalkTest:
    """The period, `end` excluded, in which a technician tried one placed device.

    `seen` are the times of those of its calls that came, and were stored, while it ran, each by a
    clock that is sure: the technician saw them, so nobody else must be told.
    """

    placement: int
    start: datetime
    end: datetime
    seen: frozenset[datetime]

    def covers(self, heard: Heard) -> bool:
        """Whether that call is one the technician made and saw; if in doubt it is a call."""
        return (
            heard.placement == self.placement
            and self.start <= heard.occurred < self.end
            and heard.occurred in self.seen
        )


@dataclass(frozen=True, slots=True)
class Window:
    """One citizen's facts since `start`, as far as they are known at `now`.

    `heard` is sorted by time of occurrence. A fact may lie somewhat after `now`, when the clock
    is driven or a box's clock is ahead: it is a fact all the same.
    """

    zone: str
    start: datetime
    now: datetime
    heard: tuple[Heard, ...]
    contacts: tuple[Contact, ...] = ()
    doses: tuple[DosePlan, ...] = ()
    tests: tuple[WalkTest, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule holds for a citizen since a moment, for a Danish reason.

    `subject` says about what; the same rule, citizen and subject with overlapping times is the
    same finding. `alert_kind` is None when the finding alone asks for nobody.
    """

    rule: str
    subject: str
    since: datetime
    until: datetime | None
    state: State
    reason: str
    alert_kind: AlertKind | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule finds in a window.

    Whatever holds since `covered_from` or later is among `findings`; of older ones the window
    may not show enough. `next` is when the answer could change if nothing more becomes known.
    """

    findings: tuple[Finding, ...]
    covered_from: datetime
    next: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[S]):
    """A pure function of a window, and what must be known to run it.

    `reads` names the (role, kind) pairs it looks at, `window` how far before the oldest changed
    fact its window must begin. What has ended longer than `history_after` before it was found
    becomes history and wakes nobody; None: it alerts however late it was found. It is late when
    found more than `late_after` after it began. Findings of a rule that `joins` go to an open
    alert of the same kind. A rule `of_home` is about the home's boxes, whoever lives there: one
    of its citizens is shown the contacts.
    """

    name: str
    reads: frozenset[tuple[str, Kind]]
    window: timedelta
    judge: Callable[[Window, S], Judgement]
    defaults: S
    late_after: timedelta = timedelta(minutes=15)
    history_after: timedelta | None = None
    joins: bool = False
    of_home: bool = False

    def configured(self, stored: object) -> S:
        """Return the settings of a stored rule version, defaults filled in.

        Durations are seconds or ISO 8601 text, local times "HH:MM". Raises BadSettings.
        """
        try:
            return TypeAdapter(type(self.defaults)).validate_python(stored)
        except ValidationError as error:
            raise BadSettings(f"rule {self.name}: {error}") from error


def earliest(moments: Iterable[datetime | None]) -> datetime | None:
    """Return the first of the moments, None when there is none."""
    return min((moment for moment in moments if moment is not None), default=None)

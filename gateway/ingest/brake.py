"""Stops telemetry when too much cannot be read and the fault is ours, instead of setting it aside.

A bad version of ours would pour a whole town's frames into the quarantine, each with a receipt, and
somebody would have to find that out. Held back, they stay with the boxes, and are read when the
next version is better. Calls are never held back: one that can be read must pass.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.frame import Lane
from gateway import log
from gateway.health import Health
from gateway.ingest.batches import Arrival, edge_of
from gateway.store.quarantine import AsideFrame, AsideMessage

OURS = frozenset({"adapter_failed", "refused"})
"""Why a frame is set aside through no fault of the box or the device."""
OURS_OF_MESSAGES = frozenset({"wrong_format"})
"""The same of whole messages, if the box has been understood before."""

WINDOW, LEAST, BOXES, SHARE = 60.0, 200, 3, 5
"""Seconds looked back; frames and boxes at least; and more than one frame in so many."""
AGAIN = 30.0
"""Seconds until what is in hand is tried again."""

_log = log.get(__name__)


@dataclass(slots=True)
class Tally:
    """How many frames were looked at, and of each box how many could not be read by our fault."""

    frames: int = 0
    ours: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def unread(self) -> int:
        return sum(self.ours.values())

    def add(self, other: "Tally", times: int = 1) -> None:
        """Add another, or take it away again with `times` -1."""
        self.frames += times * other.frames
        for edge, number in other.ours.items():
            if left := self.ours.get(edge, 0) + times * number:
                self.ours[edge] = left
            else:
                self.ours.pop(edge, None)


class Braked(Exception):
    """Too much could not be read by our fault: nothing is stored, nothing is acknowledged.

    Tried again after AGAIN, with the messages in hand.
    """

    def __init__(self, why: str, tally: Tally) -> None:
        super().__init__(why)
        self.tally = tally


class Brake:
    """One lane's. Only telemetry is held; of both lanes /readyz says that something is wrong."""

    def __init__(
        self,
        lane: Lane,
        health: Health,
        *,
        least: int = LEAST,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.on = False
        """Whether telemetry is held: then one unreadable frame is enough for Braked."""
        self._part = f"ingest {lane}: brake"
        self._holds = lane == "bulk"
        self._health = health
        self._least = least
        self._seconds = seconds
        self._window = deque[tuple[float, Tally]]()
        self._sum = Tally()

    def weigh(self, tally: Tally) -> None:
        """Before a commit: may this be stored and set aside? Raises Braked."""
        if not self._holds or not tally.ours:
            return
        if self.on:
            raise Braked("still", tally)
        self._forget()
        together = Tally()
        together.add(self._sum)
        together.add(tally)
        if together.unread >= self._least and _is_bad(together):
            self.on = True
            raise Braked(self._told(together), tally)

    def note(self, tally: Tally) -> None:
        """After a commit."""
        if tally.frames or tally.ours:
            self._window.append((self._seconds(), tally))
            self._sum.add(tally)
        self._forget()
        if self._sum.unread >= self._least and _is_bad(self._sum):
            self._told(self._sum)
        elif not self.on:
            self._health.ok(self._part)

    def verdict(self, tried: Tally) -> None:
        """After a trial of all that is in hand: let go, or raise Braked again."""
        if _is_bad(tried):
            raise Braked(self._told(tried), tried)
        _log.info("telemetry is taken again", frames=tried.frames, unreadable=tried.unread)
        self.on, self._sum = False, Tally()
        self._window.clear()
        self._health.ok(self._part)

    def _forget(self) -> None:
        while self._window and self._window[0][0] < self._seconds() - WINDOW:
            self._sum.add(self._window.popleft()[1], -1)

    def _told(self, tally: Tally) -> str:
        why = (
            f"{tally.unread} of {tally.frames} frames from {len(tally.ours)} boxes cannot be read "
            "by our own fault" + ("; telemetry stays with the boxes" if self._holds else "")
        )
        self._health.bad(self._part, why)
        return why


def _is_bad(tally: Tally) -> bool:
    return len(tally.ours) >= BOXES and tally.unread * SHARE > tally.frames


def tally(
    arrivals: Iterable[Arrival],
    aside: Iterable[AsideFrame],
    rejected: Iterable[AsideMessage],
    fine: Collection[str],
) -> Tally:
    """What one transaction comes to. `fine` are boxes that have been understood before."""
    made = Tally(frames=sum(len(arrival.frames) for arrival in arrivals))
    for one in aside:
        if one.reason in OURS:
            edge = edge_of(one.topic)
            made.ours[edge] = made.ours.get(edge, 0) + 1
    for message in rejected:
        edge = edge_of(message.topic)
        if message.reason in OURS_OF_MESSAGES and edge in fine:
            frames = _frames(message)
            made.frames += frames
            made.ours[edge] = made.ours.get(edge, 0) + frames
    return made


def of_whole(arrival: Arrival) -> Tally:
    """A message that is refused whole."""
    return Tally(len(arrival.frames), {arrival.edge: len(arrival.frames)})


def suspects(rejected: Sequence[AsideMessage]) -> set[str]:
    """The boxes of which it matters whether they have been understood before."""
    return {edge_of(one.topic) for one in rejected if one.reason in OURS_OF_MESSAGES}


def _frames(message: AsideMessage) -> int:
    """How many frames a message of another format seems to have; at least one."""
    try:
        said: Mapping[str, Sequence[object]] = json.loads(message.payload or b"")
        return max(1, len(said["frames"]))
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return 1

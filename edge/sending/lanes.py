"""Which batch leaves next: calls first, then oldest first, again when no receipt came; pure."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from adapters.frame import Lane
from edge.keeping.run import Place, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a lane sends: messages in flight, frames in one, and seconds to wait for a receipt.

    `patience` at first, doubled to `longest` while none comes. Where receipts come but slowly,
    twice as long as the last one took, up to `slowest`: a country that comes back makes a queue
    of minutes at the gateway, and every batch sent again before its turn would make it longer.
    """

    in_flight: int
    frames: int
    patience: float
    longest: float
    slowest: float


PACES: Mapping[Lane, Pace] = {
    "urgent": Pace(in_flight=8, frames=100, patience=3, longest=5, slowest=5),
    "bulk": Pace(in_flight=1, frames=250, patience=10, longest=60, slowest=120),
}
"""One bulk message at most, so that a call never queues behind telemetry on its way.

A call is tried again every five seconds at the slowest: one message from each box that has one.
"""

SECOND: Mapping[Lane, Pace] = {
    "urgent": Pace(in_flight=8, frames=100, patience=5, longest=30, slowest=30)
}
"""The second way may be slow, and paid for by the byte."""

_STUBBORN = 3  # times that a batch may be first in line without a receipt before others pass it
_FEWEST = 1  # in flight while the gateway seems to be away: a probe


class Waiting(Protocol):
    """The part of the spool that a lane needs."""

    def cut(
        self, lane: Lane, after: Place | None = None, *, frames: int, octets: int
    ) -> Run | None: ...
    def waits(self, run: Run) -> bool: ...


@dataclass(slots=True, kw_only=True)
class Sent:
    """A batch on its way: published at `at` on the loop's clock, the first time at `since`."""

    run: Run
    lane: Lane
    at: float
    since: float
    due: float
    mid: int = 0
    acknowledged: bool = False


class Sender:
    """One lane's batches in flight. Told the time in seconds of any clock that does not step.

    It goes back to the oldest frame without a receipt when a batch's time is up, each time
    waiting longer, and probes with a single message until the gateway answers again.
    """

    def __init__(self, lane: Lane, pace: Pace) -> None:
        self.lane: Lane = lane
        self.sent: list[Sent] = []
        self._pace = pace
        self._after: Place | None = None
        self._failures = 0
        self._not_before = 0.0
        self._took = 0.0
        self._since: dict[tuple[str, int], float] = {}
        self._stubborn: tuple[tuple[str, int], int] | None = None

    def next(self, spool: Waiting, now: float, *, octets: int) -> Sent | None:
        """The batch to publish now, already counted as in flight; None when none may leave."""
        width = _FEWEST if self._failures else self._pace.in_flight
        if now < self._not_before or len(self.sent) >= width:
            return None
        self._not_before = 0
        run = spool.cut(self.lane, self._after, frames=self._pace.frames, octets=octets)
        if run is None and self._after is not None and not self.sent:
            # at the end of the lane: what was passed over on the way has its turn
            run = spool.cut(self.lane, frames=self._pace.frames, octets=octets)
        if run is None:
            return None
        self._after = run.following
        since = self._since.setdefault(_name(run), now)
        due = now + self._wait(self._patience())
        sent = Sent(run=run, lane=self.lane, at=now, since=since, due=due)
        self.sent.append(sent)
        return sent

    def receipted(self, spool: Waiting, now: float) -> None:
        """A receipt came: let go of what it covers. Anything stored is a sign of life."""
        left = [sent for sent in self.sent if spool.waits(sent.run)]
        took = [_took(sent, now) for sent in self.sent if sent not in left]
        self._took = max(took, default=self._took)
        self.sent, self._since = left, {_name(sent.run): sent.since for sent in left}
        self.alive()

    def alive(self) -> None:
        """The gateway is there: send without waiting."""
        self._failures = 0
        self._not_before = 0

    def refused(self, sent: Sent, now: float, *, away: bool) -> None:
        """The broker gives this batch to nobody, `away`: because nobody is there. Later again."""
        if sent in self.sent:
            self._since.pop(_name(sent.run), None)  # its next sending is the first
            self._again(None if away else sent, now, pause=self._wait(1))

    def expire(self, now: float) -> bool:
        """Go back when a batch's time is up; whether one's was."""
        late = next((sent for sent in self.sent if sent.due <= now), None)
        if late is not None:
            self._again(late, now, pause=0)
        return late is not None

    def reset(self) -> None:
        """A new connection: nothing is in flight, all without a receipt leaves again."""
        self.sent, self._after, self._since = [], None, {}
        self.alive()

    def wakes(self) -> float | None:
        """When, by the clock given to the others, there is something to do without an event."""
        times = [sent.due for sent in self.sent]
        if self._not_before:
            times.append(self._not_before)
        return min(times, default=None)

    def _again(self, late: Sent | None, now: float, *, pause: float) -> None:
        self._failures += 1
        self._not_before = now + pause
        self.sent, self._after = [], self._past(late)

    def _past(self, late: Sent | None) -> Place | None:
        """Behind a batch that never gets a receipt, so that it cannot hold up all the others."""
        if late is None:
            return None
        name = _name(late.run)
        times = self._stubborn[1] + 1 if self._stubborn and self._stubborn[0] == name else 1
        self._stubborn = name, times
        if times < _STUBBORN:
            return None
        self._stubborn = None
        return late.run.following

    def _patience(self) -> float:
        return max(self._pace.patience, min(2 * self._took, self._pace.slowest))

    def _wait(self, seconds: float) -> float:
        """Longer at every failure, and never in step with the other boxes."""
        longest = max(self._pace.longest, seconds)
        grown: float = min(seconds * 2.0 ** min(self._failures, 10), longest)
        return grown * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load


def _name(run: Run) -> tuple[str, int]:
    return run.stream, run.first


def _took(sent: Sent, now: float) -> float:
    """How long a receipt takes, in seconds.

    Of a batch that was sent twice nobody knows to which of the two it answers: the wait that was
    long enough is kept for the next batch, as TCP does (Karn's algorithm).
    """
    return now - sent.at if sent.at == sent.since else (sent.due - sent.at) / 2

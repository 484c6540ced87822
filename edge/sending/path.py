"""Which of two ways to the gateway is used, and since when an urgent frame waits; pure."""

import math
from collections.abc import Callable
from typing import Literal, Protocol

from adapters.frame import Lane
from edge.keeping.run import PACKET_LIMIT, Place, Run

Path = Literal[1, 2]
"""1: the way that joining gave; 2: the second one, for calls alone."""

GRACE = 5.0
"""Seconds that the first way has for a receipt when it has just been opened."""
UNDISTURBED = 10.0
"""Seconds that the second way has for a receipt before the first may be opened again.

A broker that both lead to knows the box by one name: the later connection ends the earlier one.
"""
RECENT = 600.0
"""Seconds within which needing the second way again means that the first one flaps."""
STAY, LONGEST_STAY = 60.0, 600.0
"""Seconds on the second way before the first is tried when it flaps; doubled each time."""
LAG = 180.0
"""Seconds after a change in which a last will of the way that was left may still be spoken."""

_SHORTEST_PAUSE = 5.0
_LONGEST_PAUSE = 15.0
_IDLE_PAUSE = 300.0  # while the broker answers on the first way: it is the gateway that is away
_LATELY = 60.0
_NOBODY = 60.0  # seconds that the first way is open, with nothing to send: it is back

Name = tuple[str, int]
"""A frame's stream and number."""


class Waiting(Protocol):
    """The part of the spool that is looked at."""

    def cut(
        self, lane: Lane, after: Place | None = None, *, frames: int, octets: int
    ) -> Run | None: ...
    def depth(self, lane: Lane | None = None) -> int: ...


def head(spool: Waiting) -> Name | None:
    """The oldest urgent frame without a receipt."""
    if not spool.depth("urgent"):
        return None
    run = spool.cut("urgent", frames=1, octets=PACKET_LIMIT)
    return None if run is None else (run.stream, run.first)


class Patience:
    """Since when the same frame has been the oldest without a receipt.

    It is not asked when a frame was heard: after a restore a box sends again what is days old,
    and each of these waits only for its turn.
    """

    def __init__(self) -> None:
        self._name: Name | None = None
        self.since: float | None = None

    def look(self, name: Name | None, now: float) -> None:
        if name != self._name:
            self._name, self.since = name, None if name is None else now

    def begin_anew(self, now: float) -> None:
        """The frame that waits is given as long again."""
        self.since = None if self._name is None else now


class Way:
    """Told what happens on both paths, in seconds of a clock that does not step.

    `after` is how long an urgent frame waits for its receipt before the second way is opened;
    None: there is none. `changed` is told the path that is used from now on and, in seconds, how
    long the frame has waited, or how long the second way was in use.
    """

    def __init__(
        self,
        after: float | None = None,
        changed: Callable[[Path, float], None] = lambda _path, _seconds: None,
    ) -> None:
        self.in_use: Path = 1
        self._after = after
        self._changed = changed
        self._patience = Patience()
        self._first: float | None = None  # open since
        self._second: float | None = None
        self._carried = False
        self._used_since = 0.0
        self._left: float | None = None
        self._tried_first = False
        self._served: float | None = None
        self._stay, self._stays_until = 0.0, 0.0
        self._failures, self._closed = 0, -math.inf
        self._answered = -math.inf

    def look(self, name: Name | None, now: float) -> None:
        """The oldest urgent frame without a receipt is this one."""
        self._patience.look(name, now)
        if name is None and self._first is not None and now - self._first >= _NOBODY:
            self._back(now)

    def wait(self, path: Path, now: float) -> float | None:
        """Seconds until this path may be opened; None: not before something else happens."""
        return self._hold(now) if path == 1 else self._due(now)

    def stays(self, path: Path) -> bool:
        """Whether an open path is to be kept open."""
        return path in (1, self.in_use)

    def opened(self, path: Path, now: float) -> None:
        """The broker has taken the connection."""
        if path == 1:
            self._first, self._tried_first = now, True
            return
        self._stay = self._next_stay(now)
        self._second, self._stays_until = now, now + self._stay
        self._carried = self._tried_first = False
        if self.in_use == 1:
            self.in_use, self._used_since = 2, now
            since = self._patience.since
            self._changed(2, 0 if since is None else now - since)

    def receipted(self, path: Path, now: float) -> None:
        """A receipt came by this path: it leads to the gateway and back."""
        if path == 1:
            self._back(now)
        else:
            self._carried, self._served, self._failures = True, now, 0

    def closed(self, path: Path, now: float) -> None:
        """The connection is gone, or there was none to be had."""
        if path == 1:
            self._first = None
            return
        if self._carried:
            self._served = now
        else:
            self._failures += 1
        self._second, self._carried, self._closed = None, False, now

    def answered(self, path: Path, now: float) -> None:
        """The broker has acknowledged something: this path leads to it, if not to the gateway."""
        if path == 1:
            self._answered = now

    def unsettled(self, now: float) -> bool:
        """Whether a last will of the other way may still be spoken: better to say how it is."""
        return self.in_use != 1 or (self._left is not None and now - self._left < LAG)

    def _due(self, now: float) -> float | None:
        since = self._patience.since
        if self._after is None or since is None:
            return None
        # the first way was not there when it was last needed: a new call gives it less time
        due = since + (self._after if self.in_use == 1 else min(GRACE, self._after))
        if self._first is not None:  # it may just be sending it
            due = max(due, min(self._first + GRACE, due + self._after))
        return max(due, self._closed + self._pause(now)) - now

    def _pause(self, now: float) -> float:
        """Seconds from one try of the second way to the next."""
        if not self._failures:
            return 1.0
        longest = _IDLE_PAUSE if now - self._answered < _LATELY else _LONGEST_PAUSE
        return min(_SHORTEST_PAUSE * 2.0 ** min(self._failures, 10), longest)

    def _hold(self, now: float) -> float:
        if self._second is None:
            return 0.0
        return (self._stays_until if self._carried else self._second + UNDISTURBED) - now

    def _next_stay(self, now: float) -> float:
        """The first way flaps if it was open since, and did not serve for long."""
        lately = self._served is not None and now - self._served < RECENT
        if not lately:
            return 0.0
        return min(max(STAY, 2 * self._stay), LONGEST_STAY) if self._tried_first else self._stay

    def _back(self, now: float) -> None:
        if self.in_use == 1 or (self._second is not None and now < self._stays_until):
            return
        self.in_use, self._left = 1, now
        self._patience.begin_anew(now)
        self._changed(1, now - self._used_since)

"""A day of a busy home in a spool: what it writes to the card, and how long an append takes.

`… edge_day FOLDER FRAMES` fills three days of receipted frames, as a box in contact has them, and
then lives so many frames of the fourth: each is kept by itself, receipted at once, and what is old
enough is forgotten every ten minutes. The clock is moved by hand.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from adapters.frame import LANES, Frame, Lane
from deploy.world.bench.busy import A_DAY, DAY_MS, HOUR_MS, BusyHome, HandClock
from deploy.world.bench.edge_bare import say
from deploy.world.bench.figures import percentile, written
from edge.care import terms
from edge.keeping.room import RESERVE
from edge.keeping.spool import Spool
from edge.settings import Settings

_KEPT_DAYS = 3
_FORGET_MS = 600_000
_EPOCH = "6a0c5a4e-0000-4000-8000-00000000be9c"
_CALL_EVERY = 20
"""More calls than there are, so that the time of theirs can be told too."""
_MOST = 1 << 20


@dataclass(slots=True, kw_only=True)
class Life:
    """One spool in contact with a gateway that answers at once."""

    spool: Spool
    clock: HandClock
    home: BusyHome = field(default_factory=lambda: BusyHome(name="a busy home"))
    took: dict[Lane, list[float]] = field(default_factory=lambda: {lane: [] for lane in LANES})
    """Seconds of each append."""
    _forget_at: int = 0

    def live(self, until: int) -> None:
        """Frame by frame."""
        for frame, lane in self.home.between(self.clock.ms, until, call_every=_CALL_EVERY):
            self.clock.ms = frame.at
            begun = time.perf_counter()
            self.spool.append(frame, lane)
            self.spool.tend()
            self.took[lane].append(time.perf_counter() - begun)
            self._receipt(lane)
            if self.clock.ms >= self._forget_at:
                self.spool.forget()
                self._forget_at = self.clock.ms + _FORGET_MS

    def skip(self, until: int) -> None:
        """An hour at a time: what is there is the same, at a fraction of the cost."""
        while self.clock.ms < until:
            hour = self.home.between(self.clock.ms, self.clock.ms + HOUR_MS)
            by_lane = groupby(sorted(hour, key=_lane), key=_lane)
            for lane, heard in by_lane:
                self._keep([frame for frame, _ in heard], lane)
            self.clock.ms += HOUR_MS

    def _keep(self, frames: Sequence[Frame], lane: Lane) -> None:
        self.spool.append_many(frames, lane)
        self._receipt(lane)

    def _receipt(self, lane: Lane) -> None:
        run = self.spool.cut(lane, frames=_MOST, octets=_MOST)
        while run is not None:
            self.spool.receipt({run.stream: [(1, run.last)]}, epoch=_EPOCH)
            run = self.spool.cut(lane, frames=_MOST, octets=_MOST)


def main(folder: Path, count: int) -> None:
    """Live the day, and say what it cost."""
    clock = HandClock(time.time_ns() // 1_000_000 - _KEPT_DAYS * DAY_MS)
    usual = terms(Settings().spool_mb)
    with Spool(folder / "spool.sqlite", clock, reserve=RESERVE, terms=usual) as spool:
        life = Life(spool=spool, clock=clock)
        life.skip(clock.ms + _KEPT_DAYS * DAY_MS)
        before = written(os.getpid())
        life.live(clock.ms + round(count / A_DAY * DAY_MS))
    say(
        octets_a_frame=(written(os.getpid()) - before) / count,
        p50_ms={lane: percentile(times, 50) * 1e3 for lane, times in life.took.items()},
        p99_ms={lane: percentile(times, 99) * 1e3 for lane, times in life.took.items()},
    )


def _lane(heard: tuple[Frame, Lane]) -> Lane:
    return heard[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

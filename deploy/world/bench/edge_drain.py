"""How fast a box that comes back sends what it kept: the real `edge run`, without a radio."""

import asyncio
import json
import time
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

from adapters.frame import Lane
from deploy.runtime.paths import PYTHON, ROOT
from deploy.world.bench.busy import A_DAY, DAY_MS, BusyHome, HandClock
from deploy.world.bench.edge_box import Used, furnish, spool_of, start_box
from deploy.world.bench.receipting import Place, receipting
from deploy.world.stack import clean_environment
from edge.keeping.spool import Spool

_AT_ONCE = 2_000
_PATIENCE = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What came of it: `frames` in `seconds` from the first batch to the last receipt."""

    frames: int
    twice: int
    seconds: float
    cpu: float
    rss_mb: float

    @property
    def per_s(self) -> float:
        return self.frames / self.seconds


def fill(file: Path, clock: HandClock, home: BusyHome, count: int) -> int:
    """Keep so many frames of the days before the clock's time; how many of them are calls."""
    start, calls = clock.ms - round(count / A_DAY * DAY_MS), 0
    with Spool(file, clock) as spool:
        heard = home.between(start, clock.ms)
        while some := list(islice(heard, _AT_ONCE)):
            for lane, of_lane in groupby(sorted(some, key=_lane), key=_lane):
                frames = [frame for frame, _ in of_lane]
                spool.append_many(frames, lane)
                calls += len(frames) if lane == "urgent" else 0
    return calls


async def drain(folder: Path, place: Place, count: int) -> Drained:
    """Fill a spool, let its box come back, and wait for the last receipt. Raises TimeoutError."""
    clock = HandClock(time.time_ns() // 1_000_000)
    furnish(folder, place, ())
    await asyncio.to_thread(fill, spool_of(folder), clock, BusyHome(name="away"), count)
    async with receipting(place) as receipter:
        box = await asyncio.to_thread(start_box, folder, bus=None)
        try:
            await receipter.until(lambda: receipter.received > 0, seconds=_PATIENCE)
            begun, before = time.monotonic(), Used.by(box.pid)
            await receipter.until(lambda: receipter.stored >= count, seconds=_PATIENCE)
            seconds, after = time.monotonic() - begun, Used.by(box.pid)
        finally:
            await asyncio.to_thread(box.stop)
    return Drained(
        frames=count,
        twice=receipter.received - receipter.stored,
        seconds=seconds,
        cpu=after.cpu - before.cpu,
        rss_mb=after.rss_mb,
    )


async def drain_bare(folder: Path, place: Place) -> Drained:
    """The same rows sent by SQLite and paho alone. Raises RuntimeError when they fail."""
    shown = "" if place.certificates is None else str(place.certificates)
    where = ("127.0.0.1", str(place.broker.port))
    words = ("drain", str(spool_of(folder)), *where, place.edge, place.password, shown)
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-P", "-m", "deploy.world.bench.edge_bare", *words),
        stdout=asyncio.subprocess.PIPE,
        env={**clean_environment(), "PYTHONPATH": str(ROOT)},
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the bare drain ended with {process.returncode}")
    said = json.loads(output)
    return Drained(twice=0, rss_mb=0.0, **said)


def _lane(heard: tuple[object, Lane]) -> Lane:
    return heard[1]

"""What hearing costs: the real `edge run` over the emulated BlueZ, beside an idle bleak."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.services import Guarded, PrivateBus
from deploy.world.bench.edge_air import Air, rounds
from deploy.world.bench.edge_box import Used, furnish, is_connected, start_box
from deploy.world.bench.receipting import Place, Receipter, receipting
from deploy.world.bluez import Bluez
from deploy.world.bluez_faults import Pace
from deploy.world.capture import Report
from deploy.world.stack import clean_environment

_PATIENCE = 30.0
_LOOK = 0.05
WARM = 3
"""Rounds in which each device has been heard once and the box has settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """So many seconds of hearing: CPU in per cent of a core, memory in megabytes (10^6 bytes)."""

    seconds: float
    reports: int
    kept: int
    cpu_percent: float
    rss_mb: float
    octets: int
    bare_cpu_percent: float = 0.0
    bare_rss_mb: float = 0.0

    @property
    def reports_per_s(self) -> float:
        return self.reports / self.seconds


@dataclass(slots=True, kw_only=True)
class Ears:
    """The box and, perhaps, a bare scanner, both listening."""

    air: Air
    receipter: Receipter
    box: Guarded
    bare: Guarded | None

    async def hear(self, reports: Iterable[Report]) -> Heard:
        """Play the reports, and say what they cost."""
        count, kept, begun = self.air.reports, self.receipter.stored, time.monotonic()
        before, bare_before = Used.by(self.box.pid), self._bare()
        await self.air.play(reports)
        seconds = time.monotonic() - begun
        after, bare = Used.by(self.box.pid), self._bare()
        return Heard(
            seconds=seconds,
            reports=self.air.reports - count,
            kept=self.receipter.stored - kept,
            cpu_percent=(after.cpu - before.cpu) / seconds * 100,
            rss_mb=after.rss_mb,
            octets=after.octets - before.octets,
            bare_cpu_percent=(bare.cpu - bare_before.cpu) / seconds * 100,
            bare_rss_mb=bare.rss_mb,
        )

    def _bare(self) -> Used:
        return Used(cpu=0, octets=0, rss_mb=0) if self.bare is None else Used.by(self.bare.pid)


@asynccontextmanager
async def listening(
    folder: Path,
    place: Place,
    placed: Collection[str],
    *,
    bare: str = "",
    pace: Pace | None = None,
) -> AsyncGenerator[Ears]:
    """A box that hears and is connected. Raises DidNotStart, TimeoutError.

    `bare` is the scanner beside it, by its word in `edge_bare`; `pace` the emulated BlueZ's.
    """
    furnish(folder, place, placed)
    async with _bluez(folder, pace) as (bluez, bus), receipting(place) as receipter:
        started = [await asyncio.to_thread(start_box, folder, bus=bus.address)]
        await until(lambda: bluez.listens and is_connected(folder))
        if bare:
            started.append(await asyncio.to_thread(start_bare, folder, bus, bare))
        try:
            box, *others = started
            yield Ears(
                air=Air(bluez=bluez),
                receipter=receipter,
                box=box,
                bare=others[0] if others else None,
            )
        finally:
            for process in started:
                await asyncio.to_thread(process.stop)


async def hear_home(
    folder: Path,
    place: Place,
    reports: Sequence[Report],
    count: int,
    *,
    ours: Callable[[Report], bool],
    bare: bool = False,
) -> Heard:
    """Hear a recording of a home's air so many times. `ours` are placed, each report is news."""
    placed = {report.address for report in reports if ours(report)}
    play = partial(rounds, reports, news=ours)
    async with listening(folder, place, placed, bare="scan" if bare else "") as ears:
        await ears.hear(play(WARM))
        return await ears.hear(play(count))


async def until(happened: Callable[[], bool]) -> None:
    """Look until it has happened. Raises TimeoutError."""
    async with asyncio.timeout(_PATIENCE):
        while not happened():  # noqa: ASYNC110 - other processes have no event
            await asyncio.sleep(_LOOK)


def start_bare(folder: Path, bus: PrivateBus, what: str) -> Guarded:
    """Bleak's scanner alone, as a program. Raises DidNotStart."""
    process = Guarded.start(
        [PYTHON, "-P", "-m", "deploy.world.bench.edge_bare", what],
        log=folder / "bare.log",
        env={
            **clean_environment(),
            "PYTHONPATH": str(ROOT),
            "DBUS_SYSTEM_BUS_ADDRESS": bus.address,
        },
    )
    process.wait_until(lambda: "ready" in process.log.read_text())
    return process


@asynccontextmanager
async def _bluez(folder: Path, pace: Pace | None) -> AsyncGenerator[tuple[Bluez, PrivateBus]]:
    bus = await asyncio.to_thread(PrivateBus.start, folder / "bus")
    bluez = Bluez(pace=pace)
    try:
        await bluez.start(bus.address)
        yield bluez, bus
        await bluez.stop()
    finally:
        await asyncio.to_thread(bus.stop)

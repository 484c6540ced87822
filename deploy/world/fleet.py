"""Simulated homes: their sensors are ours, spool and uplink are the box's own.

As a program (`python -m deploy.world.fleet FOLDER CLOCK`) it is one such box in a process by
itself, which a test or the demo may stop or kill like a box whose power is cut.
"""

import asyncio
import contextlib
import signal
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

from adapters.frame import LANES, Frame, Lane
from deploy.world import rhythm
from deploy.world.frames import frame, static_address
from edge.clock import Clock, clock_from
from edge.joining.identity import joined
from edge.keeping.disk import SPOOL
from edge.keeping.spool import KEEP_DAYS, Spool, Terms
from edge.sending.heartbeat import Heartbeat
from edge.sending.uplink import Uplink
from edge.told.config import Config, ConfigFile

_KINDS: Mapping[rhythm.Sensor, str] = {
    "fridge": "contact",
    "front_door": "door",
    "back_door": "door",
}
"""What a sensor of the rhythm is in the recordings' words; the others are motion."""

ROOMS: Mapping[rhythm.Sensor, str] = {
    "kitchen": "Køkken",
    "hall": "Entré",
    "lounge": "Stue",
    "bedroom": "Soveværelse",
    "fridge": "Køleskab",
    "bathroom": "Badeværelse",
    "front_door": "Hoveddør",
    "back_door": "Havedør",
}
_SECOND = timedelta(seconds=1)
_AHEAD = timedelta(minutes=15)
"""How far a simulated home knows what will happen in it: a day is drawn anew so often."""


class Box:
    """One box: what it is told to hear goes through the real spool and the real uplink."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        uplink: type[Uplink] = Uplink,
        keep_days: float = KEEP_DAYS,
        reserve: int = 0,
        terms: Terms | None = None,
    ) -> None:
        """The box's identity lies in the folder already, as joining left it."""
        identity = joined(folder)
        self.edge = identity.edge
        self.clock = clock
        self.spool = Spool(folder / SPOOL, clock, keep_days=keep_days, reserve=reserve, terms=terms)
        self.told = asyncio.Event()
        """Set whenever a configuration came; whoever waits for one clears it."""
        self._config = ConfigFile(folder / "config.json")
        self.uplink = uplink(
            self.spool,
            identity.link(),
            clock,
            heartbeat=Heartbeat(spool=self.spool, clock=clock, reader="hearing"),
            on_config=self._configured,
        )
        self._follow()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.spool.close()

    @property
    def config(self) -> Config:
        """What the gateway last said to hear."""
        return self._config.current

    def hear(self, frames: Iterable[Frame]) -> int:
        """Keep the frames that the configuration asks for, one transaction a lane; how many."""
        kept: defaultdict[Lane, list[Frame]] = defaultdict(list)
        for each in frames:
            lane = self._lane(each)
            if lane is not None:
                kept[lane].append(each)
        for lane in LANES:
            self.spool.append_many(kept[lane], lane)
        return sum(map(len, kept.values()))

    async def run(self) -> None:
        """Be connected and send until cancelled."""
        await self.uplink.run()

    async def knows(self, addresses: Iterable[str]) -> None:
        """Wait until the configuration names all these devices and the line follows it."""
        wanted = set(addresses)
        while not wanted <= self.config.devices.keys():
            self.told.clear()
            await self.told.wait()
        await self.uplink.online.wait()

    def _lane(self, heard: Frame) -> Lane | None:
        if heard.heard == "advertisement":
            return self.config.lane(heard)
        device = self.config.devices.get(heard.device)
        return device.lane if device is not None and device.connect is not None else None

    def _configured(self, payload: bytes) -> None:
        if self._config.take(payload) is not None:
            self._follow()
            self.uplink.tell()
            self.told.set()

    def _follow(self) -> None:
        beat = self.uplink.heartbeat
        beat.config, beat.keepalive = self.config.version, self.config.keepalive


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What happens in a simulated home: `rate` times what is usual, the same for the same name."""

    name: str
    zone: ZoneInfo
    rate: float = 1.0

    def address(self, sensor: rhythm.Sensor) -> str:
        """The sensor's Bluetooth address."""
        return static_address("simulated", self.name, sensor)

    def sensors(self) -> Mapping[rhythm.Sensor, str]:
        """Each sensor with the recordings' word for its kind."""
        return {sensor: _KINDS.get(sensor, "motion") for sensor in rhythm.BY_SENSOR}

    def between(self, start: datetime, end: datetime) -> Sequence[Frame]:
        """The frames that the sensors send in [start, end), in time order."""
        day, frames = start.astimezone(self.zone).date(), list[Frame]()
        while day <= end.astimezone(self.zone).date():
            midnight = datetime.combine(day, datetime.min.time(), self.zone).astimezone(UTC)
            for event in rhythm.day(f"{self.name} {day}", rate=self.rate):
                at = midnight + event.at * _SECOND
                if start <= at < end:
                    frames.append(self._frame(event.sensor, at))
            day += timedelta(days=1)
        return frames

    def _frame(self, sensor: rhythm.Sensor, at: datetime) -> Frame:
        return frame(
            _KINDS.get(sensor, "motion"),
            self.address(sensor),
            at=round(at.timestamp() * 1000),
            value=Decimal(1),
        )


async def live(box: Box, home: Simulation, *, since: datetime | None = None) -> None:
    """Hear what happens as it happens, until cancelled; first what has happened since then."""
    heard = since or box.clock.now()
    box.hear(home.between(heard, now := box.clock.now()))
    while True:
        until = now + _AHEAD
        for each in home.between(now, until):
            await _time(box.clock, each.at / 1000)
            box.hear((each,))
        await _time(box.clock, until.timestamp())
        now = until


async def _time(clock: Clock, seconds: float) -> None:
    """Wait until the clock shows so many seconds since 1970."""
    await asyncio.sleep(max(0.0, seconds - clock.now_ms() / 1000))


async def _alone(folder: Path, clock: Clock) -> None:
    """One box until it is told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with Box(folder, clock) as box:
        uplink = asyncio.create_task(box.run())
        home = Simulation(name=box.edge, zone=ZoneInfo("Europe/Copenhagen"))
        living = asyncio.create_task(live(box, home))
        await stop.wait()
        for task in (living, uplink):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


if __name__ == "__main__":
    asyncio.run(_alone(Path(sys.argv[1]), clock_from(sys.argv[2], synchronised="yes")))

"""`./deploy/bench growth`: how rate and latency change with homes, stored rows and streams."""

import argparse
import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.paths import RUNTIME
from deploy.world.bench import town
from deploy.world.bench.alert import latencies, presses_of, start_pressing
from deploy.world.bench.copying import connected
from deploy.world.bench.filling import add_rows, add_streams
from deploy.world.bench.homes import MOST_HOMES
from deploy.world.bench.legs import Leg, Say, one_after_another, plan_for, ride, shape_for
from deploy.world.bench.load import PRESS_EVERY, Shape
from deploy.world.bench.picture import picture
from deploy.world.bench.rig import Rig, make_sure_of_room_for, rig
from deploy.world.bench.sending import Sending
from deploy.world.bench.table import Column, table
from deploy.world.numbers import rising
from deploy.world.receiver import Receiver

_HOMES = (100, 1_000, 10_000, 160_000)
_ROWS = (1_000_000, 10_000_000, 100_000_000)
_STREAMS = (4_000_000,)
_MOST_ROWS = 10**15
"""The disk says no long before."""
_PRESSING, _ACTIVE = 10, 1_000
"""Real boxes of a point, and boxes that send at the same time, at most."""
_PRESSES = 200
_BACKGROUND = 5_000.0
"""Observations a second while the calls are measured."""
_MOST = 120_000
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """How large the store is, and what was measured then."""

    homes: int
    rows: int
    streams: int
    observations_per_s: int
    gateway_cpu_us_per_observation: float
    p50_ms: float | None
    p99_ms: float | None
    lost: int


_TABLE = (
    Column("homes", "homes", 9),
    Column("rows", "stored rows", 13),
    Column("streams", "streams", 11),
    Column("observations_per_s", "observations/s", 14),
    Column("gateway_cpu_us_per_observation", "gateway us each", 15, decimals=1),
    Column("p50_ms", "call p50 ms", 11, decimals=1),
    Column("p99_ms", "call p99 ms", 11, decimals=1),
    Column("lost", "lost", 6),
)
"""How points are shown to a person."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said after `growth`."""
    # a point presses in homes that are new at it, and others send meanwhile
    homes = rising(first=2 * _PRESSING, apart=_PRESSING, most=MOST_HOMES)
    others = rising(most=_MOST_ROWS)
    for name, of, steps in (
        *(("homes", homes, _HOMES), ("rows", others, _ROWS)),
        ("streams", others, _STREAMS),
    ):
        usual = ",".join(map(str, steps))
        what = f"rising, with commas between ({usual})"
        parser.add_argument(f"--{name}", type=of, default=steps, help=what)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of each measurement (%(default)s)"
    )
    parser.add_argument(
        "--picture",
        type=Path,
        default=RUNTIME / "growth.svg",
        help="the file that the picture is put in, an SVG (.runtime/growth.svg)",
    )


async def run(arguments: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The table, and where its picture is. Raises Stop when the disk is too short."""
    rows: Sequence[int] = arguments.rows
    make_sure_of_room_for(max(rows, default=0))
    if not arguments.picture.resolve().parent.is_dir():
        raise Stop(Exit.USAGE, f"--picture {arguments.picture}: there is no such folder.")
    async with Receiver() as receiver:
        settings = {"webhook_url": receiver.url, "webhook_secret": receiver.secret}
        async with rig(settings, say=say) as started:
            growing = _Growing(started, receiver, arguments, say)
            for homes in arguments.homes:
                await growing.to_homes(homes)
            for row_count in rows:
                await growing.to_rows(row_count)
            for streams in arguments.streams:
                await growing.to_streams(streams)
            complaints = started.complaints(say)
    points = [asdict(point) for point in growing.points]
    return {"points": points, "picture": str(arguments.picture), "complaints": complaints}


class _Growing:
    """One store that only grows; after each step it is measured."""

    def __init__(
        self, started: Rig, receiver: Receiver, arguments: argparse.Namespace, say: Say
    ) -> None:
        self.points: list[Point] = []
        self._steps: dict[str, list[tuple[int, Point]]] = {}
        self._rig = started
        self._receiver = receiver
        self._seconds: float = arguments.seconds
        self._picture: Path = arguments.picture
        self._say = say
        self._homes = 0

    async def to_homes(self, homes: int) -> None:
        """So many homes, and a measurement."""
        await self._settle(homes)
        if not self._rig.stages:
            await self._rig.start_gateway(notify=True)
        await self._measure("homes", homes)

    async def to_rows(self, rows: int) -> None:
        """So many observations, and a measurement."""
        self._say(f"Filling up to {rows:,} observations …")
        await add_rows(self._rig.stack.owner, rows, until=datetime.now(UTC), say=self._say)
        await self._settle(self._homes + _PRESSING)
        await self._measure("rows", rows)

    async def to_streams(self, streams: int) -> None:
        """So many streams, and a measurement."""
        self._say(f"Filling up to {streams:,} streams …")
        await add_streams(self._rig.stack.owner, streams)
        await self._settle(self._homes + _PRESSING)
        await self._measure("streams", streams)

    async def _settle(self, homes: int) -> None:
        """The new homes are at the end; of them the first have the real boxes of this point."""
        self._say(f"Settling up to {homes:,} homes …")
        self._pressing = self._homes
        new = homes - self._homes
        await town.settle(
            self._rig.stack, new, now=datetime.now(UTC), first=self._homes, say=self._say
        )
        self._homes = homes

    async def _measure(self, what: str, size: int) -> None:
        load, calls = self._shapes()
        outcome = await ride(self._rig, Leg(shape=load, seconds=self._seconds), self._say)
        told = await self._calls(calls)
        point = Point(
            **await self._size(),
            observations_per_s=round(outcome.sustained),
            gateway_cpu_us_per_observation=outcome.us(outcome.of("ingest") + outcome.of("watch")),
            p50_ms=told["p50_ms"],
            p99_ms=told["p99_ms"],
            lost=told["lost"],
        )
        self.points.append(point)
        self._steps.setdefault(what, []).append((size, point))
        await self._show()

    async def _show(self) -> None:
        """Table and picture so far: whoever stops an hour's run has them up to there."""
        self._say(table(_TABLE, [asdict(point) for point in self.points]))
        await asyncio.to_thread(self._picture.write_text, picture(self._steps))

    def _shapes(self) -> tuple[Shape, Shape]:
        """The load at full speed, and the one behind the calls; of homes that nobody presses in."""
        taken = self._pressing + _PRESSING
        active = min(_ACTIVE, self._homes - taken) or min(_ACTIVE, self._pressing)
        first = taken if self._homes > taken else 0
        rates = ((_MOST, PRESS_EVERY), (_BACKGROUND, 0))
        shapes = [
            shape_for(
                homes=active,
                seconds=self._seconds,
                most=most,
                frames_a_message=25,
                run=secrets.token_hex(4),
                press_every=press_every,
                first=first,
            )
            for most, press_every in rates
        ]
        load, calls = one_after_another(shapes, end=time.time_ns() // 1_000_000)
        return load, calls

    async def _calls(self, background: Shape) -> dict[str, Any]:
        """Presses at this point's real boxes while telemetry comes."""
        real = Shape(
            homes=_PRESSING,
            frames=1,
            frames_a_message=25,
            until=background.until,
            run=f"{background.run} real",
            first=self._pressing,
            press_every=0,
        )
        self._receiver.notices.clear()
        pressing, report = await start_pressing(
            self._rig, shape=real, draining=0, presses=_PRESSES, seconds=self._seconds
        )
        try:
            leg = Leg(shape=background, seconds=self._seconds, rate=_BACKGROUND)
            sending = await Sending.start(plan_for(self._rig, leg), self._rig.folder)
            pressing.go()
            await sending.run()
            presses = await presses_of(pressing, report)
        finally:
            await pressing.stop()
        notices = self._receiver.notices
        await self._receiver.until(lambda: len(notices) >= _PRESSES, seconds=_PATIENCE)
        return await latencies(self._rig, self._receiver, presses, draining=range(0))

    async def _size(self) -> dict[str, int]:
        async with connected(self._rig.stack.owner) as db:
            return {
                "homes": await db.fetchval("SELECT count(*) FROM home"),
                "rows": await db.fetchval("SELECT count(*) FROM observation"),
                "streams": await db.fetchval("SELECT count(*) FROM stream"),
            }

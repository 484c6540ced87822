"""`./deploy/bench edge`: what the box in the home costs, beside bleak, SQLite and paho alone."""

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.services import scratch_folder
from deploy.world.bench.busy import A_DAY
from deploy.world.bench.edge_drain import Drained, drain, drain_bare
from deploy.world.bench.edge_hearing import Heard, hear_home
from deploy.world.bench.legs import Say
from deploy.world.bench.receipting import Place, start_broker
from deploy.world.capture import ALL, OURS, Report, home_air
from deploy.world.stack import clean_environment

_EDGE = "bench-box"
_DAY_S = 86_400
_IDLE_ROUNDS = 24
"""Five minutes: as long as the slowest of what a box writes of itself every now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Everything that was measured."""

    air: str
    usual: Heard
    worst: Heard
    idle: Heard
    day: Mapping[str, Any]
    drained: Drained
    bare: Drained


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said after `edge`."""
    parser.add_argument(
        "--rounds", type=int, default=3, help="of the recording that are measured (%(default)s)"
    )
    parser.add_argument(
        "--idle",
        type=int,
        default=_IDLE_ROUNDS,
        help="of the recording in which nothing is placed, for what is written (%(default)s)",
    )
    parser.add_argument(
        "--frames", type=int, default=150_000, help="in the spool that drains (%(default)s)"
    )
    parser.add_argument(
        "--day", type=int, default=A_DAY, help="frames of the day that is lived (%(default)s)"
    )


async def run(arguments: argparse.Namespace, say: Say) -> dict[str, Any]:
    """All legs, one after the other; each with a box of its own."""
    reports, air = home_air()
    say(f"The air is {air}.")
    with scratch_folder() as folder:
        tls = bool(getattr(arguments, "tls", False))
        place = await asyncio.to_thread(start_broker, folder / "broker", _EDGE, tls=tls)
        legs = _Legs(folder=folder, place=place, reports=reports, air=air, asked=arguments, say=say)
        try:
            found = await legs.measure()
        finally:
            await asyncio.to_thread(place.broker.stop)
    return _figures(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Legs:
    """What is measured, and where."""

    folder: Path
    place: Place
    reports: Sequence[Report]
    air: str
    asked: argparse.Namespace
    say: Say

    async def measure(self) -> _Found:
        rounds: int = self.asked.rounds
        usual = await self._hear("usual", OURS, rounds, lambda one: one.is_ours, bare=True)
        worst = await self._hear("worst", ALL, rounds, lambda _: True)
        idle = await self._hear("idle", 0, self.asked.idle, lambda _: False)
        self.say(f"Keeping {self.asked.day} frames, each by itself …")
        day = await _day(self.folder / "day", self.asked.day)
        self.say(f"Draining {self.asked.frames} frames …")
        drained = await drain(self.folder / "drain", self.place, self.asked.frames)
        bare = await drain_bare(self.folder / "drain", self.place)
        heard = {"usual": usual, "worst": worst, "idle": idle}
        return _Found(air=self.air, **heard, day=day, drained=drained, bare=bare)

    async def _hear(
        self,
        leg: str,
        placed: int,
        rounds: int,
        ours: Callable[[Report], bool],
        *,
        bare: bool = False,
    ) -> Heard:
        self.say(f"Hearing {ALL} devices, {placed} of them placed …")
        folder = self.folder / leg
        return await hear_home(folder, self.place, self.reports, rounds, ours=ours, bare=bare)


def _figures(found: _Found) -> dict[str, Any]:
    usual, worst, drained, bare = found.usual, found.worst, found.drained, found.bare
    calls, bulk = found.day["p99_ms"]["urgent"], found.day["p99_ms"]["bulk"]
    return {
        "rss_mb": round(usual.rss_mb, 1),
        "cpu_percent_of_core": round(usual.cpu_percent, 2),
        "reports_per_s": round(usual.reports_per_s, 1),
        "spool_append_p99_ms": round(max(calls, bulk), 2),
        "drain_per_s": round(drained.per_s),
        "disk_mb_per_day": round(_disk_mb(found), 1),
        "air": found.air,
        "placed": {
            "devices": OURS,
            "of": ALL,
            "frames_per_s": round(usual.kept / usual.seconds, 2),
        },
        "ratio": {
            "rss": _ratio(usual.rss_mb, usual.bare_rss_mb),
            "cpu": _ratio(usual.cpu_percent, usual.bare_cpu_percent),
            "drain": _ratio(drained.per_s, bare.per_s),
        },
        "bare": {
            "rss_mb": round(usual.bare_rss_mb, 1),
            "cpu_percent_of_core": round(usual.bare_cpu_percent, 2),
            "drain_per_s": round(bare.per_s),
        },
        "worst": {
            "placed": ALL,
            "frames_per_s": round(worst.kept / worst.seconds, 1),
            "rss_mb": round(worst.rss_mb, 1),
            "cpu_percent_of_core": round(worst.cpu_percent, 2),
        },
        "drain": {
            "frames": drained.frames,
            "sent_twice": drained.twice,
            "cpu_us_a_frame": round(drained.cpu / drained.frames * 1e6, 2),
            "rss_mb": round(drained.rss_mb, 1),
        },
        "disk": {
            "octets_a_frame": round(found.day["octets_a_frame"]),
            "idle_octets_per_s": round(found.idle.octets / found.idle.seconds),
            "append_p50_ms": {k: round(v, 3) for k, v in found.day["p50_ms"].items()},
        },
    }


def _disk_mb(found: _Found) -> float:
    """A busy home's day: its frames, and what a box writes that hears nothing of ours."""
    idle = found.idle.octets / found.idle.seconds * _DAY_S
    return (found.day["octets_a_frame"] * A_DAY + idle) / 1e6


def _ratio(ours: float, bare: float) -> float | None:
    return round(ours / bare, 2) if bare else None


async def _day(folder: Path, count: int) -> dict[str, Any]:
    await asyncio.to_thread(folder.mkdir)
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-P", "-m", "deploy.world.bench.edge_day", folder, str(count)),
        stdout=asyncio.subprocess.PIPE,
        env={**clean_environment(), "PYTHONPATH": str(ROOT)},
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the day in the spool ended with {process.returncode}")
    said: dict[str, Any] = json.loads(output)
    return said

"""`./deploy/bench outage`: a country comes back, and people press while its backlog drains."""

import argparse
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from deploy.world.bench import counting, town
from deploy.world.bench.alert import counts, kept_homes, latencies, presses_of, start_pressing
from deploy.world.bench.copying import connected
from deploy.world.bench.legs import Leg, Say, judged, one_after_another, plan_for
from deploy.world.bench.load import A_DAY, PER_FRAME, Shape
from deploy.world.bench.rig import Rig, make_sure_of_room_for, rig
from deploy.world.bench.sending import Sending
from deploy.world.receiver import Receiver

_A_MESSAGE = 250
"""Frames of a bulk message of a box that has that many (edge/lanes.py)."""
_LONGEST = 7_200.0
_PATIENCE = 120.0
_PRESS_SHARE = 0.8
"""Of the time that the backlog is expected to take: presses after its end are not measured."""
_DRAIN = 60_000
"""Observations a second by which that time is reckoned when none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the benchmark was asked for; `seconds` 0 spreads the presses over the drain."""

    homes: int
    hours: float
    connected: int
    boxes: int
    presses: int
    seconds: float
    processes: int

    @property
    def backlog(self) -> int:
        """Observations that all homes have kept, about."""
        return round(self.homes * self.hours / 24 * A_DAY)

    @property
    def pressing(self) -> float:
        """Seconds over which the presses are spread."""
        return self.seconds or max(20.0, self.backlog / _DRAIN * _PRESS_SHARE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said after `outage`."""
    parser.add_argument("--homes", type=int, default=16_000, help="homes that were cut off")
    parser.add_argument("--hours", type=float, default=24.0, help="for so long")
    parser.add_argument("--connected", type=int, default=10_000, help="boxes connected at a time")
    parser.add_argument("--boxes", type=int, default=200, help="of the homes, real boxes")
    parser.add_argument("--presses", type=int, default=2_000, help="at the real boxes, in all")
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="in which they come; else most of the drain"
    )
    parser.add_argument("--processes", type=int, default=1, help="processes of ingest")


async def run(arguments: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The figures of the whole run. Raises Stop when the disk is too short for it."""
    asked = Asked(**{name: getattr(arguments, name) for name in Asked.__slots__})
    make_sure_of_room_for(asked.backlog)
    async with Receiver() as receiver:
        settings = {"webhook_url": receiver.url, "webhook_secret": receiver.secret}
        async with rig(settings, say=say) as started:
            say(f"Settling {asked.homes} homes …")
            await town.settle(started.stack, asked.homes, now=datetime.now(UTC))
            await started.start_gateway(asked.processes, notify=True)
            return await _measured(started, receiver, asked, say)


async def _measured(started: Rig, receiver: Receiver, asked: Asked, say: Say) -> dict[str, Any]:
    country, real = _shapes(asked)
    say(f"{asked.boxes} real boxes join and keep {asked.hours:g} hours …")
    pressing, report = await start_pressing(
        started,
        shape=real,
        draining=asked.boxes,
        presses=asked.presses,
        seconds=asked.pressing,
    )
    at_once = min(asked.connected, country.homes)
    try:
        say(f"{at_once} boxes connect …")
        plan = replace(plan_for(started, Leg(shape=country, seconds=_LONGEST)), connected=at_once)
        sending = await Sending.start(plan, started.folder)
        begun = time.monotonic()
        pressing.go()
        sent = await sending.run(lambda said: say(_told(said, receiver)))
        drained_at = begun + sent.seconds
        lag = await _judged_after(started, country, drained_at, say)
        presses = await presses_of(pressing, report)
    finally:
        await pressing.stop()
    await receiver.until(lambda: len(receiver.notices) >= asked.presses, seconds=_PATIENCE)
    say("Counting …")
    homes = kept_homes(real, asked.boxes)
    told = await latencies(started, receiver, presses, draining=homes, before=drained_at)
    later = sum(at > drained_at for pressed in presses.pressed.values() for at in pressed)
    return {
        "backlog": sent.receipted + sum(map(sum, presses.kept.values())),
        "homes": asked.homes,
        "connected": at_once + asked.boxes,
        "drain_per_s": round(sent.receipted / sent.seconds),
        "minutes": round(sent.seconds / 60, 2),
        "p99_ms": told.pop("p99_ms"),
        "watched_lag_s": round(lag, 1),
        **_lost(told, await counts(started, counting.expected([(country, sent)]), presses)),
        "presses_after_the_drain": later,
        "calls": told,
        "sent_again": sent.again,
        "complaints": started.complaints(say),
    }


async def _judged_after(started: Rig, country: Shape, drained_at: float, say: Say) -> float:
    """Seconds from the last receipt until all of it was judged."""
    async with connected(started.stack.owner) as db:
        await judged(db, country.streams, say)
    return max(0.0, time.monotonic() - drained_at)


def _lost(calls: Mapping[str, Any], counted: Mapping[str, int]) -> dict[str, int]:
    """Calls that nobody was told of count with the observations and findings that are missing."""
    missing = counted["observations_lost"] + counted["findings_missing"] + calls["lost"]
    surplus = counted["observations_duplicated"] + counted["findings_surplus"]
    return {"lost": missing, "duplicated": surplus + calls["notices_surplus"]}


def _told(said: Mapping[str, Any], receiver: Receiver) -> str:
    return (
        f"  {said['at']:6.1f} s: {said['receipted']:,} observations of the backlog receipted, "
        f"{len(receiver.notices)} notices"
    )


def _shapes(asked: Asked) -> tuple[Shape, Shape]:
    """What the country has kept, and its real boxes: the last of its homes."""
    simulated, now = asked.homes - asked.boxes, time.time_ns() // 1_000_000
    country = Shape(
        homes=simulated,
        frames=max(1, round(asked.hours / 24 * A_DAY / PER_FRAME)),
        frames_a_message=_A_MESSAGE,
        until=now,
        run=secrets.token_hex(4),
        press_every=0,
    )
    real = replace(country, homes=asked.boxes, first=simulated, run=f"{country.run} real")
    return one_after_another([country], end=now)[0], one_after_another([real], end=now)[0]

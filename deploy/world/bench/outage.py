"""`./deploy/bench outage`: a country comes back, and people press while its backlog drains."""

import argparse
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from deploy.runtime.exits import Exit, Stop
from deploy.world.bench import counting, town
from deploy.world.bench.alert import (
    MOST_PRESSES,
    Presses,
    counts,
    kept_homes,
    latencies,
    presses_of,
    start_pressing,
    warn_of_few,
)
from deploy.world.bench.copying import connected
from deploy.world.bench.homes import MOST_HOMES
from deploy.world.bench.legs import Leg, Say, judged, one_after_another, plan_for
from deploy.world.bench.load import A_DAY, PER_FRAME, Shape
from deploy.world.bench.rig import MOST_PROCESSES, Rig, make_sure_of_room_for, rig
from deploy.world.bench.sending import Sending, Sent
from deploy.world.numbers import from_one_to
from deploy.world.receiver import Receiver

_A_MESSAGE = 250
"""Frames of a bulk message of a box that has that many (edge/sending/lanes.py)."""
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
    homes = from_one_to(MOST_HOMES)
    for name, of, usual, what in (
        ("homes", homes, 16_000, "homes that were cut off"),
        ("hours", float, 24.0, "for so long"),
        ("connected", homes, 10_000, "simulated boxes connected at a time"),
        ("boxes", homes, 200, "of the homes, real boxes; fewer than homes"),
        ("presses", from_one_to(MOST_PRESSES), 2_000, "at the real boxes, in all"),
        ("processes", from_one_to(MOST_PROCESSES), 1, "processes of ingest"),
    ):
        parser.add_argument(f"--{name}", type=of, default=usual, help=f"{what} (%(default)s)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.0,
        help="seconds in which the presses come (four fifths of the time that the drain should "
        "take, at least 20)",
    )


async def run(arguments: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The figures of the whole run. Raises Stop when the disk is too short for it."""
    asked = Asked(**{name: getattr(arguments, name) for name in Asked.__slots__})
    if asked.boxes >= asked.homes:
        raise Stop(
            Exit.USAGE,
            f"--boxes {asked.boxes} is not below --homes {asked.homes}: real boxes are of them.",
        )
    make_sure_of_room_for(asked.backlog)
    async with Receiver() as receiver:
        settings = {"webhook_url": receiver.url, "webhook_secret": receiver.secret}
        async with rig(settings, tls=arguments.tls, say=say) as started:
            say(f"Settling {asked.homes} homes …")
            await town.settle(started.stack, asked.homes, now=datetime.now(UTC), say=say)
            await started.start_gateway(asked.processes, notify=True)
            return await _measured(started, receiver, asked, say)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drained:
    """What came of both kinds of boxes; `at` is the monotonic second of the last receipt."""

    country: Shape
    real: Shape
    connected: int
    sent: Sent
    presses: Presses
    at: float
    watched_lag: float

    @property
    def expected(self) -> counting.Expected:
        return counting.expected([(self.country, self.sent)])


async def _measured(started: Rig, receiver: Receiver, asked: Asked, say: Say) -> dict[str, Any]:
    drained = await _drain(started, receiver, asked, say)
    await receiver.until(lambda: len(receiver.notices) >= asked.presses, seconds=_PATIENCE)
    say("Counting …")
    presses, sent = drained.presses, drained.sent
    homes = kept_homes(drained.real, asked.boxes)
    told = await latencies(started, receiver, presses, draining=homes, before=drained.at)
    later = sum(at > drained.at for pressed in presses.pressed.values() for at in pressed)
    warn_of_few(told["measured"], say)
    return {
        "backlog": sent.receipted + sum(map(sum, presses.kept.values())),
        "homes": asked.homes,
        "connected": drained.connected,
        "drain_per_s": round(sent.receipted / sent.seconds),
        "minutes": round(sent.seconds / 60, 2),
        "p99_ms": told.pop("p99_ms"),
        "presses_measured": told.pop("measured"),
        "watched_lag_s": round(drained.watched_lag, 1),
        **_lost(told, await counts(started, drained.expected, presses)),
        "real_boxes_drained": presses.drained,
        "presses_after_the_drain": later,
        "calls": told,
        "sent_again": sent.again,
        "complaints": started.complaints(say),
    }


async def _drain(started: Rig, receiver: Receiver, asked: Asked, say: Say) -> _Drained:
    """Let both kinds of boxes come back, and people press, until all of it is judged."""
    country, real = _shapes(asked)
    say(f"{asked.boxes} real boxes join and keep {asked.hours:g} hours …")
    pressing, report = await start_pressing(
        started, shape=real, draining=asked.boxes, presses=asked.presses, seconds=asked.pressing
    )
    try:
        at_once = min(asked.connected, country.homes)
        say(f"{at_once} boxes connect …")
        plan = replace(plan_for(started, Leg(shape=country, seconds=_LONGEST)), connected=at_once)
        sending = await Sending.start(plan, started.folder)
        begun = time.monotonic()
        pressing.go()
        sent = await sending.run(lambda said: say(_told(said, receiver)))
        at = begun + sent.seconds
        lag = await _judged_after(started, country, at, say)
        say("The real boxes drain and press the rest …")
        presses = await presses_of(pressing, report)
    finally:
        await pressing.stop()
    return _Drained(
        country=country,
        real=real,
        connected=at_once + asked.boxes,
        sent=sent,
        presses=presses,
        at=at,
        watched_lag=lag,
    )


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

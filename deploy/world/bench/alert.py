"""`./deploy/bench alert`: from a press at a box to its notice, while telemetry pours in."""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import time
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

from deploy.runtime.exits import Exit, Stop
from deploy.world.bench import counting, town
from deploy.world.bench.copying import connected
from deploy.world.bench.homes import MOST_HOMES, edge_name
from deploy.world.bench.legs import Leg, Say, one_after_another, plan_for, shape_for
from deploy.world.bench.load import PER_FRAME, Shape
from deploy.world.bench.pressing import Pressing
from deploy.world.bench.rig import MOST_PROCESSES, Rig, make_sure_of_room_for, rig
from deploy.world.bench.sending import Sending, Sent
from deploy.world.bench.talking import Talking
from deploy.world.numbers import from_one_to, zero_or_more
from deploy.world.receiver import Notice, Receiver

_LEAD, _TAIL = 3.0, 1.0
"""Seconds of telemetry before the first press and after the last."""
_PATIENCE = 60.0
"""Seconds that the last notices and the backlog are waited for."""
MOST_PRESSES = 1_000_000
_MOST_KEPT = 1_000_000
_FEW = 100
"""Presses of which the slowest of a hundred is only the slowest of all."""


_WAY = """
    SELECT e.name,
           (SELECT array_agg(extract(epoch FROM o.received)::float8 ORDER BY o.occurred)
            FROM placement p JOIN observation o ON o.device = p.device
            WHERE p.municipality = c.municipality AND p.citizen = c.id AND p.role = 'call')
               AS received,
           (SELECT array_agg(extract(epoch FROM n.made)::float8 ORDER BY n.made)
            FROM alert a JOIN notice n ON n.municipality = a.municipality AND n.alert = a.id
            WHERE a.municipality = c.municipality AND a.citizen = c.id
              AND a.kind = 'call_pressed') AS made
    FROM edge e JOIN citizen c ON c.municipality = e.municipality AND c.home = e.home
    WHERE e.name = ANY ($1)
"""
"""When ingest read each press of a box, and when watch made each notice of it, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the benchmark was asked for."""

    background: float
    homes: int
    boxes: int
    draining: int
    kept: int
    presses: int
    seconds: float
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Presses:
    """What real boxes did: presses by home at monotonic seconds, in order; what they had kept."""

    pressed: Mapping[int, Sequence[float]]
    kept: Mapping[int, "array[int]"]
    drained: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said after `alert`."""
    homes = from_one_to(MOST_HOMES)
    parser.add_argument(
        "--background", type=float, default=20_000, help="observations a second (%(default)s)"
    )
    parser.add_argument(
        "--homes", type=homes, default=1_000, help="boxes of the background (%(default)s)"
    )
    parser.add_argument(
        "--boxes", type=homes, default=200, help="real boxes with a call button (%(default)s)"
    )
    parser.add_argument(
        "--draining",
        type=zero_or_more,
        default=20,
        help="of them, with a full spool (%(default)s)",
    )
    parser.add_argument(
        "--kept",
        type=from_one_to(_MOST_KEPT),
        default=5_000,
        help="frames in each full spool (%(default)s)",
    )
    parser.add_argument(
        "--presses", type=from_one_to(MOST_PRESSES), default=2_000, help="in all (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=80.0, help="in which they come (%(default)s)"
    )
    parser.add_argument(
        "--processes",
        type=from_one_to(MOST_PROCESSES),
        default=1,
        help="processes of ingest (%(default)s)",
    )


async def run(arguments: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The figures of the whole run. Raises Stop when it cannot be, or the disk is too short."""
    words = {name: getattr(arguments, name) for name in Asked.__slots__}
    asked = Asked(**words)
    if asked.draining > asked.boxes:
        raise Stop(Exit.USAGE, f"--draining {asked.draining} is more than --boxes {asked.boxes}.")
    kept = asked.draining * asked.kept * PER_FRAME
    make_sure_of_room_for(asked.background * asked.seconds + kept)
    async with Receiver() as receiver:
        settings = {"webhook_url": receiver.url, "webhook_secret": receiver.secret}
        async with rig(settings, tls=arguments.tls, say=say) as started:
            say(f"Settling {asked.homes + asked.boxes} homes …")
            await town.settle(
                started.stack, asked.homes + asked.boxes, now=datetime.now(UTC), say=say
            )
            await started.start_gateway(asked.processes, notify=True)
            return await _measured(started, receiver, asked, say)


async def _measured(started: Rig, receiver: Receiver, asked: Asked, say: Say) -> dict[str, Any]:
    background, kept = _shapes(asked)
    say(f"{asked.boxes} boxes join; {asked.draining} of them keep {asked.kept} frames …")
    pressing, report = await start_pressing(
        started, shape=kept, draining=asked.draining, presses=asked.presses, seconds=asked.seconds
    )
    try:
        seconds = _LEAD + asked.seconds + _TAIL
        leg = Leg(shape=background, seconds=seconds, rate=asked.background)
        say("Making batches …")
        sending = await Sending.start(plan_for(started, leg), started.folder)
        meter = started.meter(sender=sending.pid, receiver=os.getpid())
        meter.start()
        begun = time.monotonic()
        try:
            sent, _ = await asyncio.gather(
                sending.run(lambda said: say(_told(said, receiver))), _press(pressing)
            )
            cores = meter.cores(time.monotonic() - begun)
        finally:
            await sending.stop()
        pressed = await presses_of(pressing, report)
    finally:
        await pressing.stop()
    await receiver.until(lambda: len(receiver.notices) >= asked.presses, seconds=_PATIENCE)
    say("Counting …")
    wanted = counting.expected([(background, sent)])
    homes = kept_homes(kept, asked.draining)
    told = await latencies(started, receiver, pressed, draining=homes)
    warn_of_few(told["measured"], say)
    return {
        "background_per_s": round(sent.receipted / sent.seconds),
        **told,
        **await counts(started, wanted, pressed),
        "boxes": asked.boxes,
        "draining": asked.draining,
        "drained": pressed.drained,
        "sender_cpu_us": _us(sent),
        "cores": cores,
        "complaints": started.complaints(say),
    }


def _shapes(asked: Asked) -> tuple[Shape, Shape]:
    """The background, and what the draining boxes have kept: no presses are in either."""
    name, seconds = secrets.token_hex(4), _LEAD + asked.seconds + _TAIL
    wanted = shape_for(
        homes=asked.homes,
        seconds=seconds,
        most=asked.background,
        frames_a_message=25,
        run=name,
        press_every=0,
    )
    kept = Shape(
        homes=asked.boxes,
        frames=asked.kept,
        frames_a_message=25,
        until=0,
        run=f"{name} kept",
        first=asked.homes,
        press_every=0,
    )
    now = time.time_ns() // 1_000_000
    return one_after_another([wanted], end=now)[0], one_after_another([kept], end=now)[0]


async def start_pressing(
    started: Rig, *, shape: Shape, draining: int, presses: int, seconds: float
) -> tuple[Talking, Path]:
    """Real boxes for the homes of a shape, joined and filled; and where their result will be.

    Other homes' boxes that were started before on the same rig are not in their way.
    """
    report = started.folder / "pressed.json"
    plan = Pressing(
        shape=shape,
        draining=draining,
        presses=presses,
        seconds=seconds,
        patience=_PATIENCE,
        broker=started.stack.environment["edge_broker"],
        ca=await asyncio.to_thread(started.stack.certificate.cert.read_text),
        certificates=str(town.certificates(started.stack)) if started.tls else "",
        folder=str(started.folder / "boxes"),
        report=str(report),
    )
    plan.write(file := started.folder / "pressing.json")
    module = "deploy.world.bench.pressing"
    return await Talking.start(module, file, started.folder / "pressing.log"), report


async def _press(pressing: Talking) -> None:
    await asyncio.sleep(_LEAD)
    pressing.go()
    await pressing.until("pressed")


async def presses_of(pressing: Talking, report: Path) -> Presses:
    """What the real boxes say when all is drained, or not in time. Raises HelperFailed."""
    await pressing.until("done")
    return await asyncio.to_thread(read_presses, report)


def read_presses(report: Path) -> Presses:
    """From the file that pressing.py wrote."""
    said: dict[str, Any] = json.loads(report.read_text())
    pressed: defaultdict[int, list[float]] = defaultdict(list)
    for home, at in said["pressed"]:
        pressed[home].append(at)
    kept = {int(home): array("I", tally) for home, tally in said["tallies"].items()}
    return Presses(pressed=pressed, kept=kept, drained=said["drained"])


async def latencies(
    started: Rig, receiver: Receiver, presses: Presses, *, draining: range, before: float = inf
) -> dict[str, Any]:
    """What became of the presses: milliseconds to the notice, and what was lost.

    The milliseconds are of presses that were `before` a monotonic second.
    """
    told = await _notices(started, receiver)
    hops = await hops_of(started, presses, told)
    came = {home: [one.at for one in told.get(edge_name(home), ())] for home in presses.pressed}
    took, lost, surplus = follow(presses.pressed, came)
    every = [
        one
        for home, each in took.items()
        for one, at in zip(each, presses.pressed[home], strict=False)
        if at < before
    ]
    behind = [one for home, each in took.items() if home in draining for one in each]
    return {
        "presses": sum(map(len, presses.pressed.values())),
        "measured": len(every),
        **shares(every),
        "p99_ms_draining": shares(behind)["p99_ms"],
        "hops": {name: shares(each) for name, each in hops.items()},
        "lost": lost,
        "notices_surplus": surplus,
    }


def warn_of_few(presses: int, say: Say) -> None:
    """Say that a p99 of so few presses is no figure to compare with."""
    if presses < _FEW:
        say(f"Only {presses} presses were measured: of fewer than {_FEW} p99 is but the slowest.")


def follow(
    pressed: Mapping[int, Sequence[float]], told: Mapping[int, Sequence[float]]
) -> tuple[Mapping[int, Sequence[float]], int, int]:
    """Milliseconds of each press by home; how many were never told, and notices beyond them.

    The n-th press of a home is the n-th notice of it: where one is lost the others seem later.
    """
    took = {
        home: [(came - at) * 1_000 for at, came in zip(seconds, told.get(home, ()), strict=False)]
        for home, seconds in pressed.items()
    }
    followed = sum(map(len, took.values()))
    lost = sum(map(len, pressed.values())) - followed
    return took, lost, sum(map(len, told.values())) - followed


async def hops_of(
    started: Rig, presses: Presses, told: Mapping[str, Sequence[Notice]]
) -> dict[str, list[float]]:
    """The same way in three parts: to where ingest reads it, to the alert, to the channel."""
    ahead = time.time() - time.monotonic()
    hops: dict[str, list[float]] = {"gateway": [], "alert": [], "channel": []}
    async with connected(started.stack.owner) as db:
        rows = await db.fetch(_WAY, [edge_name(home) for home in presses.pressed])
    way = {row["name"]: (row["received"], row["made"]) for row in rows}
    for home, pressed in presses.pressed.items():
        received, made = way[edge_name(home)]
        notices = told.get(edge_name(home), ())
        for at, got, case, notice in zip(
            pressed, received or (), made or (), notices, strict=False
        ):
            hops["gateway"].append((got - at - ahead) * 1_000)
            hops["alert"].append((case - got) * 1_000)
            hops["channel"].append((notice.at + ahead - case) * 1_000)
    return hops


def shares(took: Sequence[float]) -> dict[str, float | None]:
    """Middle, 99th of a hundred and longest, in the unit given; None where there is nothing."""
    if len(took) < 2:  # noqa: PLR2004 - quantiles need two
        one = round(took[0], 1) if took else None
        return {"p50_ms": one, "p99_ms": one, "max_ms": one}
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
        "max_ms": round(max(took), 1),
    }


async def _notices(started: Rig, receiver: Receiver) -> dict[str, list[Notice]]:
    """Signed notices of calls by box, in order of arrival, each attempt of one only once."""
    async with connected(started.stack.owner) as db:
        rows = await db.fetch(
            """
            SELECT a.public, e.name
            FROM alert a
            JOIN citizen c ON c.municipality = a.municipality AND c.id = a.citizen
            JOIN edge e ON e.municipality = c.municipality AND e.home = c.home
            WHERE a.kind = 'call_pressed'
            """
        )
    box = {str(row["public"]): row["name"] for row in rows}
    found: defaultdict[str, list[Notice]] = defaultdict(list)
    first = {notice.id: notice for notice in reversed(receiver.notices) if notice.valid}
    for notice in sorted(first.values(), key=lambda one: one.at):
        if notice.alert in box:
            found[box[notice.alert]].append(notice)
    return found


async def counts(started: Rig, wanted: counting.Expected, presses: Presses) -> dict[str, Any]:
    pressed = [home for home, at in presses.pressed.items() for _ in at]
    counted = await counting.count(
        started.stack.owner, counting.with_presses(wanted, pressed, presses.kept)
    )
    return {
        "observations_lost": counted.lost,
        "observations_duplicated": counted.duplicated,
        "findings_missing": counted.findings_missing,
        "findings_surplus": counted.findings_surplus,
    }


def kept_homes(shape: Shape, draining: int) -> range:
    """The homes whose boxes come back from an outage."""
    return range(shape.first, shape.first + draining)


def _us(sent: Sent) -> float:
    return round(sent.cpu * 1e6 / max(1, sent.receipted), 2)


def _told(said: Mapping[str, Any], receiver: Receiver) -> str:
    return (
        f"  {said['at']:6.1f} s: {said['receipted']:,} observations of the background receipted, "
        f"{len(receiver.notices)} notices"
    )

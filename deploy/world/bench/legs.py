"""One load on a rig, from the first message to the last judgement, and what it came to."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from deploy.world.bench.copying import Connection, connected
from deploy.world.bench.counting import Progress, progress
from deploy.world.bench.load import PER_FRAME, PRESS_EVERY, Shape
from deploy.world.bench.plan import Plan
from deploy.world.bench.rig import NotReady, Rig
from deploy.world.bench.sending import Sending, Sent
from deploy.world.bench.town import certificates

Say = Callable[[str], None]

_LOOK = 0.05
_STANDSTILL = 60.0
"""Seconds without a judgement after which the rest is no longer waited for."""
_READY = 600_000_000
"""Bytes of batches that may lie ready in the sender."""
_MAKERS = 2
_APART = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A load and how it is sent."""

    shape: Shape
    seconds: float
    rate: float = 0.0
    ready: int = _READY


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a leg came to; seconds of CPU by process, counters of the stages since its start."""

    leg: Leg
    sent: Sent
    stored_per_s: float
    watched_per_s: float
    cpu: Mapping[str, float]
    memory: Mapping[str, Sequence[float]]
    counters: Mapping[str, float]

    @property
    def sustained(self) -> float:
        """Observations a second that were stored and judged."""
        return min(self.stored_per_s, self.watched_per_s)

    def us(self, seconds: float) -> float:
        """Seconds of the leg as microseconds an observation."""
        return round(seconds * 1e6 / max(1, self.sent.receipted), 2)

    def of(self, word: str) -> float:
        """Seconds of CPU of all processes whose name begins with the word."""
        return sum(used for name, used in self.cpu.items() if name.startswith(word))


def one_after_another(shapes: Sequence[Shape], *, end: int) -> list[Shape]:
    """The shapes, each in a time of its own before the next; the last ends at `end` (ms)."""
    placed: list[Shape] = []
    for shape in reversed(shapes):
        placed.insert(0, replace(shape, until=end))
        end -= shape.span + _APART
    return placed


def shape_for(
    *,
    homes: int,
    seconds: float,
    most: float,
    frames_a_message: int,
    run: str,
    press_every: int = PRESS_EVERY,
    first: int = 0,
) -> Shape:
    """Enough frames for so many seconds at `most` observations a second; not yet placed in time."""
    wanted = round(seconds * most / PER_FRAME / homes)
    whole = max(1, -(-wanted // frames_a_message)) * frames_a_message
    return Shape(
        homes=homes,
        frames=whole,
        frames_a_message=frames_a_message,
        until=0,
        run=run,
        press_every=press_every,
        first=first,
    )


async def ride(rig: Rig, leg: Leg, say: Say) -> Outcome:
    """Prepare the load, send it, and wait until all of it is judged. Raises NotReady."""
    say(f"Making batches of {leg.shape.frames_a_message} frames for {leg.shape.homes} boxes …")
    sending = await Sending.start(plan_for(rig, leg), rig.folder)
    async with connected(rig.stack.owner) as db:
        streams, counted = leg.shape.streams, await counters(rig)
        meter = rig.meter()
        meter.start()
        watching, begun = asyncio.create_task(meter.watching()), time.monotonic()
        try:
            sent = await sending.run(lambda said: say(_told(said)))
            await judged(db, streams, say)
            took = time.monotonic() - begun
        finally:
            watching.cancel()
            await asyncio.gather(watching, sending.stop(), return_exceptions=True)
        frames = (await progress(db, streams)).watched
    after = await counters(rig)
    return Outcome(
        leg=leg,
        sent=sent,
        stored_per_s=sent.receipted / sent.seconds,
        watched_per_s=frames / max(1, sum(sent.frames.values())) * sent.sent / took,
        cpu={**meter.seconds(), "sender": sent.cpu},
        memory=meter.memory,
        counters={name: value - counted.get(name, 0.0) for name, value in after.items()},
    )


def plan_for(rig: Rig, leg: Leg) -> Plan:
    """What the sender is told."""
    return Plan(
        shape=leg.shape,
        host="127.0.0.1",
        port=rig.port,
        seconds=leg.seconds,
        rate=leg.rate,
        makers=_MAKERS,
        ready=leg.ready,
        report=str(rig.folder / "sent.json"),
        certificates=str(certificates(rig.stack)) if rig.tls else "",
    )


async def counters(rig: Rig) -> dict[str, float]:
    """The counters of all stages, those of the same name added up."""
    found: dict[str, float] = {}
    for name in rig.stages:
        for counter, value in (await rig.counters(name)).items():
            found[counter] = found.get(counter, 0.0) + value
    return found


async def judged(db: Connection, streams: Sequence[UUID], say: Say) -> None:
    """Wait until watch has judged what is received now. Raises NotReady when it stands still."""
    goal = await progress(db, streams)
    last, since, told = Progress(0, 0, 0), time.monotonic(), 0.0
    while (now := await progress(db, streams)).watched < goal.received or now.pending:
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > _STANDSTILL:
            raise NotReady(f"watch stands still: {goal.received - now.watched} frames are left")
        if time.monotonic() - told > 1:
            say(f"  waiting for watch: {goal.received - now.watched} frames are left")
            told = time.monotonic()
        await asyncio.sleep(_LOOK)


def _told(said: Mapping[str, Any]) -> str:
    return (
        f"  {said['at']:6.1f} s: {said['receipted']:,} observations receipted, "
        f"a receipt takes {said['receipt_ms']} ms"
    )

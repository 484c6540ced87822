"""A reader at work with the real bleak, and what it kept; for the tests of the box."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from adapters.frame import Frame, Lane
from deploy.world.peripheral import Advertisement, Peripheral, Service
from edge.event import Detail, Say
from edge.hearing.patience import FIRST, LOOKING, Patience
from edge.hearing.reader import Reader
from edge.hearing.silence import Silence
from edge.keeping.spool import SpoolFailed
from edge.radio import Reader as State
from edge.told.config import Call, Config, Device, Plan
from edge.visiting.connection import STEP
from tests.edge.frames import HandClock

SOON = 8.0
"""Seconds within which what is expected has happened."""

CALLS = (Call(manufacturer=0xFFFF, service_data=None, data=b"TP", mask=b"\xff\xff"),)
PRESSED = {0xFFFF: b"TP\x01\x01\x05\x00\x5a"}


@dataclass
class Kept:
    """A spool that keeps in memory, and can be told that its disk fails."""

    frames: list[tuple[Lane, Frame]] = field(default_factory=list[tuple[Lane, Frame]])
    states: list[State] = field(default_factory=list[State])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    broken: bool = False
    clock: HandClock = field(default_factory=HandClock)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def keep(self, frames: Sequence[Frame], lane: Lane) -> None:
        if self.broken:
            raise SpoolFailed("the disk is gone")
        self.frames.extend((lane, frame) for frame in frames)
        self.changed.set()

    def told(self, state: State) -> None:
        self.states.append(state)
        self.changed.set()

    def remember(self, name: str, value: str) -> None:
        self.notes[name] = value
        self.changed.set()

    def recall(self, name: str) -> str | None:
        return self.notes.get(name)

    async def sees(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(SOON):
            while not what():
                self.changed.clear()
                await self.changed.wait()


def config(*devices: Device, calls: tuple[Call, ...] = CALLS) -> Config:
    return Config(version=1, devices={d.address: d for d in devices}, calls=calls)


def device(address: str, *, lane: Lane = "bulk", connect: Plan | None = None) -> Device:
    return Device(address=address, lane=lane, advertisement=connect is None, connect=connect)


def sensor(address: str, *services: Service) -> Peripheral:
    return Peripheral(address, advertisement=Advertisement(), services=services)


def _nobody_listens(_: str, /, **__: Detail) -> None:
    pass


def a_reader(
    kept: Kept,
    *,
    silence: float = 75.0,
    first: float = FIRST,
    step: float = STEP,
    say: Say | None = None,
    quiet: Silence | None = None,
    trial: float = 0.4,
) -> Reader:
    return Reader(
        clock=kept.clock,
        keep=kept.keep,
        records=kept,
        told=kept.told,
        say=say or _nobody_listens,
        patience=Patience(
            silence=silence,
            first=first,
            step=step,
            looking=LOOKING if quiet is None else 0.05,
            trial=trial,
        ),
        quiet=quiet,
    )


async def left(peripheral: Peripheral) -> None:
    """The connection has been given up."""
    for _ in range(400):
        if not peripheral.connected_to:
            return
        await asyncio.sleep(0.02)
    pytest.fail("still connected")


@dataclass
class Said:
    """What the box said of itself."""

    events: list[tuple[str, dict[str, Detail]]] = field(
        default_factory=list[tuple[str, dict[str, Detail]]]
    )

    def __call__(self, word: str, /, **details: Detail) -> None:
        self.events.append((word, details))

    def words(self) -> list[str]:
        return [word for word, _ in self.events]

    def last(self, word: str) -> dict[str, Detail]:
        return [details for said, details in self.events if said == word][-1]

    async def hears(self, word: str) -> None:
        await self.times(word, 1)

    async def times(self, word: str, number: int) -> None:
        """Wait until it was said so often."""
        async with asyncio.timeout(SOON):
            while self.words().count(word) < number:  # noqa: ASYNC110 - knows no event
                await asyncio.sleep(0.02)


@asynccontextmanager
async def hearing(
    following: Config,
    *,
    silence: float = 75.0,
    first: float = FIRST,
    step: float = STEP,
    say: Say | None = None,
    kept: Kept | None = None,
) -> AsyncGenerator[Kept]:
    """A reader at work; the scan has begun."""
    kept = kept or Kept()
    reader = a_reader(kept, silence=silence, first=first, step=step, say=say)
    reader.follow(following)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(0.1)
    try:
        yield kept
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

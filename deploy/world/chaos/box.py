"""Boxes in a process of their own, to be killed as by a power cut: real spools, real uplinks.

`python -m deploy.world.chaos.box SPEC`: the file names the boxes, what happens in their homes,
and the two files by which the chaos and this process talk: one says what is wanted (the steps of
clocks, and silence at the end), the other how far it has come. Every spool lets go of what is
receipted at once, so that nothing but the receipts keeps a frame.
"""

import asyncio
import json
import random
import signal
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.frame import Lane
from deploy.world.chaos.obligations import Obligations, Saying
from deploy.world.chaos.saboteurs import UPLINKS
from deploy.world.chaos.traffic import Home, Life, MovedClock, joint_moments
from deploy.world.fleet import Box
from edge.clock import clock_from

_NO_DAYS = 0.0
"""Receipted frames are kept no longer: they would mend what is looked for."""
_LOOKS = 0.1
_FORGETS = 0.5
_PACE = 0.12


@dataclass(slots=True, kw_only=True)
class Inhabited:
    """A box and the life around it."""

    box: Box
    life: Life
    clock: MovedClock
    record: Obligations
    stepped: Path
    kept: int = 0
    refused: int = 0

    def hear(self, lane: Lane, sayings: list[Saying]) -> None:
        """Keep what was said, and write down that it is kept."""
        if self.record.keep(self.box.spool, lane, sayings):
            self.kept += len(sayings)
        else:
            self.refused += len(sayings)

    def step(self, wanted: float) -> None:
        """Move the clock as is wanted, but not under a call that is still on its way.

        What was heard before a step and is sent after it has its time counted back by uptime: of
        telemetry only the row is compared then, while of calls each time must stay certain.
        """
        if wanted != self.clock.step and not self.box.spool.depth("urgent"):
            self.clock.step = wanted
            self.stepped.write_text(str(wanted))

    async def live(self, *, pace: float) -> None:
        """Hear what happens, at random moments, for ever; `pace`: mean seconds between two."""
        await self._is_told()
        if again := self.life.asked_again():
            self.hear("urgent", list(again))
        while True:
            await asyncio.sleep(self.life.rng.expovariate(1 / pace))
            lane, sayings = self.life.something()
            self.hear(lane, list(sayings))

    async def hear_joint(self) -> None:
        """Hear the presses that another box hears too, at their moments."""
        await self._is_told()
        world = self.clock.world
        for at, number, owner in joint_moments(self.life.home, world.now_ms() / 1000):
            wait = at + self.life.rng.uniform(0, 1) - world.now_ms() / 1000
            await asyncio.sleep(max(0.0, wait))
            if self.life.certain:
                self.hear("urgent", [self.life.joint(number, of=owner)])

    async def forget(self) -> None:
        """Let go of all that has its receipt, often."""
        while True:
            self.box.spool.forget()
            await asyncio.sleep(_FORGETS)

    async def _is_told(self) -> None:
        wanted = self.life.home.placed.keys()
        while not wanted <= self.box.config.devices.keys():
            self.box.told.clear()
            await self.box.told.wait()


@dataclass(slots=True, kw_only=True)
class House:
    """All boxes of this process, what is wanted of them, and the tasks that are their life."""

    wishes: Path
    status: Path
    pace: float
    homes: list[Inhabited] = field(default_factory=list[Inhabited])
    lives: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    async def run(self) -> None:
        """Until cancelled, or until a spool fails."""
        async with asyncio.TaskGroup() as group:
            for one in self.homes:
                group.create_task(one.box.run())
                group.create_task(one.forget())
                self.lives.append(group.create_task(one.live(pace=self.pace)))
                self.lives.append(group.create_task(one.hear_joint()))
            while True:
                self._look()
                self._tell()
                await asyncio.sleep(_LOOKS)

    def _look(self) -> None:
        wanted = json.loads(self.wishes.read_text())
        for one in self.homes:
            one.step(float(wanted["steps"].get(str(one.life.home.index), 0)))
        if wanted["hush"]:
            for task in self.lives:
                task.cancel()

    def _tell(self) -> None:
        hushed = all(task.done() for task in self.lives)
        boxes = {
            one.box.edge: {
                "depth": one.box.spool.depth(),
                "online": one.box.uplink.online.is_set(),
                "kept": one.kept,
                "refused": one.refused,
                "told": one.life.home.placed.keys() <= one.box.config.devices.keys(),
            }
            for one in self.homes
        }
        told = {"hushed": hushed, "boxes": boxes}
        self.status.with_suffix(".new").write_text(json.dumps(told))
        self.status.with_suffix(".new").rename(self.status)


def opened(spec: dict[str, Any], stack: ExitStack) -> House:
    """The house of a spec, its spools open and its records settled."""
    house = House(
        wishes=Path(spec["wishes"]), status=Path(spec["status"]), pace=spec.get("pace", _PACE)
    )
    for told in spec["boxes"]:
        clock, stepped = _clock(spec, Path(f"{told['record']}.step"))
        box = stack.enter_context(
            Box(
                Path(told["folder"]),
                clock,
                uplink=UPLINKS[spec["uplink"]],
                keep_days=_NO_DAYS,
                reserve=told["reserve"],
            )
        )
        record = Obligations(Path(told["record"]), box.spool.path)
        stack.callback(record.close)
        home = _home(told["home"])
        life = Life(
            home=home,
            rng=random.Random(f"{spec['seed']} {home.index} {record.starts}"),  # noqa: S311 - play
            clock=clock,
            starts=record.starts,
            log=Path(f"{told['record']}.dispenser"),
        )
        house.homes.append(
            Inhabited(box=box, life=life, clock=clock, record=record, stepped=stepped)
        )
    return house


def _home(told: dict[str, Any]) -> Home:
    takes: list[int] = told.pop("takes")
    return Home(**told, takes=tuple(takes))


def _clock(spec: dict[str, Any], stepped: Path) -> tuple[MovedClock, Path]:
    """The clock of a box as it stood when the box last lived, and where that is written."""
    clock = MovedClock(clock_from(spec["clock"], synchronised="yes"))
    if stepped.exists():
        clock.step = float(stepped.read_text())
    return clock, stepped


async def _main(spec: dict[str, Any]) -> None:
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: me.cancel() if me else None)
    with ExitStack() as stack, suppress(asyncio.CancelledError):
        await opened(spec, stack).run()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(Path(sys.argv[1]).read_text())))

"""Real boxes in a process of their own, whose call buttons are pressed: `… pressing PLAN`.

Spool and uplink are the box's own. Some boxes come back from an outage: their spools are full of
telemetry, which drains while people press. Presses are spread evenly over the time, box after box.
Like the sender it talks in lines of JSON: ready, and a result in a file.
"""

import asyncio
import contextlib
import json
import random
import resource
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from adapters.frame import Frame
from deploy.world.bench.homes import CALL, PASSWORD, address, edge_name, is_encrypted, key
from deploy.world.bench.issued import identify
from deploy.world.bench.load import Shape, Told
from deploy.world.bench.plan import Written
from deploy.world.fleet import Box
from deploy.world.frames import advertisement
from deploy.world.payloads import BTHOME, bthome_encrypted, bthome_payload, button_object
from edge.clock import Clock, clock_from
from edge.joining.identity import Identity

_FRAME: TypeAdapter[Frame] = TypeAdapter(Frame)
_AT_ONCE = 500
"""Frames of a backlog that are spooled in one transaction."""
_JOINING = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressing(Written):
    """What is pressed where. `shape` names the homes and what the draining ones kept."""

    draining: int
    presses: int
    seconds: float
    patience: float
    """Seconds that the last calls and the backlog are waited for."""
    broker: str
    ca: str | None
    folder: str
    certificates: str = ""
    """The folder of the boxes' certificates (issued.py); empty: they say a password."""

    @property
    def homes(self) -> range:
        """Their numbers; the first `draining` of them come back from an outage."""
        return range(self.shape.first, self.shape.first + self.shape.homes)


def _identify(plan: Pressing, name: str, folder: Path) -> None:
    """What joining leaves on a box."""
    if not plan.certificates:
        Identity(edge=name, broker=plan.broker, ca=plan.ca, username=name, password=PASSWORD).write(
            folder
        )
        return
    identify(Path(plan.certificates), name, folder, broker=plan.broker)


class Home:
    """One box with its call button, and what has been kept there while nobody listened."""

    def __init__(self, plan: Pressing, home: int, clock: Clock) -> None:
        folder = Path(plan.folder) / edge_name(home)
        folder.mkdir(parents=True)
        _identify(plan, edge_name(home), folder)
        self.home = home
        self.box = Box(folder, clock)
        self.kept = 0
        self.tally: array[int] | None = None
        self._clock = clock
        self._pressed = 0
        self._task: asyncio.Task[None] | None = None

    async def come(self) -> None:
        """Connect, and wait until the configuration names the call button."""
        self.begin()
        await self.box.knows([address(self.home, CALL)])

    def begin(self) -> None:
        """Be connected and send from now on."""
        self._task = asyncio.create_task(self.box.run())

    async def leave(self) -> None:
        """Say good-bye."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def keep(self, shape: Shape) -> None:
        """Fill the spool with the home's telemetry of the load."""
        told = Told(shape, self.home, self._clock.now_ms())
        for start in range(0, shape.frames, _AT_ONCE):
            count = min(_AT_ONCE, shape.frames - start)
            frames = [_FRAME.validate_json(told.next()[0]) for _ in range(count)]
            frames = [replace(each, uptime=0.0) for each in frames]  # heard in an earlier boot
            self.box.spool.append_many(frames, "bulk")
            await asyncio.sleep(0)
        self.kept, self.tally = sum(told.tally), told.tally

    def press(self) -> float:
        """Press; the monotonic second just before the spool was given the frame."""
        self._pressed += 1
        at = time.monotonic()
        if self.box.hear([self._frame()]) != 1:
            raise RuntimeError(f"{self.box.edge} does not hear its call button")
        return at

    def _frame(self) -> Frame:
        said, number = [button_object()], self._pressed & 0xFF
        device = address(self.home, CALL)
        payload = (
            bthome_encrypted(
                *(said, number),
                key=key(self.home, CALL),
                address=device,
                counter=time.time_ns() // 1_000_000_000 + self._pressed & 0xFFFFFFFF,
            )
            if is_encrypted(self.home, CALL)
            else bthome_payload(said, number)
        )
        now = self._clock.now_ms()
        return advertisement(device, at=now, uptime=self._clock.uptime(), data={BTHOME: payload})


async def run(plan: Pressing) -> dict[str, Any]:
    """Join, fill, wait for the word, press, drain; what was pressed and kept."""
    clock = clock_from("wall", synchronised="yes")
    homes = [Home(plan, home, clock) for home in plan.homes]
    try:
        async with asyncio.timeout(_JOINING):
            await asyncio.gather(*(home.come() for home in homes))
        draining = homes[: plan.draining]
        for home in draining:
            await home.leave()
            await home.keep(plan.shape)
        say(ready=True)
        await asyncio.to_thread(sys.stdin.readline)
        for home in draining:
            home.begin()
        pressed = await _press(plan, homes)
        say(pressed=len(pressed))
        drained = await _drained(homes, plan.patience)
        return _result(homes, pressed, drained=drained)
    finally:
        await asyncio.gather(*(home.leave() for home in homes))
        for home in homes:
            home.box.spool.close()


async def _press(plan: Pressing, homes: Sequence[Home]) -> list[tuple[int, float]]:
    """Home and monotonic second of each press, evenly spread and never quite regular."""
    begun, step = time.monotonic(), plan.seconds / plan.presses
    order = random.Random(plan.shape.run).sample(homes, len(homes))  # noqa: S311 - a load
    pressed: list[tuple[int, float]] = []
    for number in range(plan.presses):
        due = begun + (number + random.random() / 2) * step  # noqa: S311 - a load
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        home = order[number % len(order)]
        pressed.append((home.home, home.press()))
    return pressed


async def _drained(homes: Sequence[Home], patience: float) -> bool:
    """Whether all that the boxes kept was receipted in time."""
    try:
        async with asyncio.timeout(patience):
            await asyncio.gather(*(home.box.spool.drained.wait() for home in homes))
    except TimeoutError:
        return False
    return True


def _result(
    homes: Sequence[Home], pressed: Sequence[tuple[int, float]], *, drained: bool
) -> dict[str, Any]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "pressed": pressed,
        "drained": drained,
        "kept": sum(home.kept for home in homes),
        "tallies": {str(home.home): home.tally.tolist() for home in homes if home.tally},
        "cpu": used.ru_utime + used.ru_stime,
    }


def say(**words: object) -> None:
    """One line for whoever started us."""
    print(json.dumps(words), flush=True)  # noqa: T201 - how the processes talk


def main() -> None:
    """Do what the plan says."""
    plan = Pressing.read(Path(sys.argv[1]))
    result = asyncio.run(run(plan))
    Path(plan.report).write_text(json.dumps(result))
    say(done=True)


if __name__ == "__main__":
    main()

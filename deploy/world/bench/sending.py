"""The sender from outside: started with a plan, let go, listened to."""

import asyncio
import json
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from deploy.world.bench.plan import Plan
from deploy.world.bench.talking import Talking


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the sender says that it sent; observations, seconds, and seconds of CPU."""

    sent: int
    receipted: int
    messages: int
    again: int
    refused: int
    seconds: float
    cpu: float
    makers_cpu: float
    frames: Mapping[int, int]
    """By home, how many: the sequence numbers of its stream are 1 to that."""
    tallies: Mapping[int, "array[int]"]
    """By home, observations by slot and kind as in load.COLUMNS."""

    @classmethod
    def read(cls, report: Path) -> Self:
        """From the file that the sender wrote."""
        said: dict[str, Any] = json.loads(report.read_text())
        return cls(
            **{name: said[name] for name in ("sent", "receipted", "messages", "refused")},
            again=said["sent_again"],
            seconds=said["seconds"],
            cpu=said["cpu"],
            makers_cpu=said["makers_cpu"],
            frames={int(home): box[0] for home, box in said["boxes"].items()},
            tallies={int(home): array("I", box[2]) for home, box in said["boxes"].items()},
        )


class Sending:
    """One sender. Its process ends with us, however we end."""

    def __init__(self, plan: Plan, talking: Talking) -> None:
        self.plan = plan
        self.pid = talking.pid
        self._talking = talking

    @classmethod
    async def start(cls, plan: Plan, folder: Path) -> Self:
        """Start it, and wait until its batches are ready and its boxes connected."""
        plan.write(file := folder / "sender-plan.json")
        module = "deploy.world.bench.sender"
        return cls(plan, await Talking.start(module, file, folder / "sender.log"))

    async def run(self, told: Callable[[Mapping[str, Any]], None] = lambda _: None) -> Sent:
        """Let it go, and wait for its result; `told` hears of every half second.

        Raises HelperFailed. The process may still be closing its connections: see `stop`.
        """
        self._talking.go()
        while "done" not in (said := await self._talking.said()):
            told(said)
        return await asyncio.to_thread(Sent.read, Path(self.plan.report))

    async def stop(self) -> None:
        """End it, whatever it is doing."""
        await self._talking.stop()

"""The sender from outside: started with a plan, let go, listened to."""

import asyncio
import json
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.process import tail
from deploy.world.bench.plan import Plan
from deploy.world.stack import clean_environment

_LONGEST_LINE = 1 << 20


class SenderFailed(Exception):
    """The sender ended without a result; the text is what it said."""


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

    def __init__(self, plan: Plan, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.plan = plan
        self.pid = process.pid
        self._process = process
        self._log = folder / "sender.log"

    @classmethod
    async def start(cls, plan: Plan, folder: Path) -> Self:
        """Start it, and wait until its batches are ready and its boxes connected."""
        plan.write(file := folder / "plan.json")
        words = (PYTHON, "-P", "-m", "deploy.world.bench.sender", file)
        with (folder / "sender.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", *words),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LONGEST_LINE,
                env={**clean_environment(), "PYTHONPATH": str(ROOT)},
            )
        sending = cls(plan, folder, process)
        try:
            while "ready" not in await sending._said():
                pass
        except BaseException:
            await sending.stop()
            raise
        return sending

    async def run(self, told: Callable[[Mapping[str, Any]], None] = lambda _: None) -> Sent:
        """Let it go, and wait for its end; `told` hears of every half second."""
        if self._process.stdin is None:
            raise SenderFailed("no pipe to the sender")
        try:
            self._process.stdin.write(b"go\n")
            while "done" not in (said := await self._said()):
                told(said)
        finally:
            await self.stop()
        return await asyncio.to_thread(Sent.read, Path(self.plan.report))

    async def stop(self) -> None:
        """End it, whatever it is doing."""
        if self._process.returncode is None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                async with asyncio.timeout(5):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        await self._process.wait()

    async def _said(self) -> dict[str, Any]:
        line = await self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise SenderFailed(f"the sender ended: {await asyncio.to_thread(tail, self._log)}")
        said: dict[str, Any] = json.loads(line)
        if "refused" in said:
            raise SenderFailed(str(said["refused"]))
        return said

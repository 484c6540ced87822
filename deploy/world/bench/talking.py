"""A program of ours beside the benchmark: a plan in a file, then lines of JSON on its output."""

import asyncio
import json
from pathlib import Path
from typing import Any, Self

from deploy.runtime.paths import PYTHON, ROOT
from deploy.world.bench.parts import ended
from deploy.world.stack import clean_environment

_LONGEST_LINE = 1 << 20
_GRACE = 5.0


class HelperFailed(Exception):
    """A program beside the benchmark ended without a result; the text is what it said."""


class Talking:
    """One such program. Its process ends with us, however we end."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.pid = process.pid
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, module: str, plan: Path, log: Path) -> Self:
        """Start `python -m MODULE PLAN`, and wait until it says that it is ready."""
        words = (PYTHON, "-P", "-m", module, plan)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", *words),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                limit=_LONGEST_LINE,
                env={**clean_environment(), "PYTHONPATH": str(ROOT)},
            )
        talking = cls(process, log)
        try:
            await talking.until("ready")
        except BaseException:
            await talking.stop()
            raise
        return talking

    def go(self) -> None:
        """Let it begin."""
        if self._process.stdin is not None:
            self._process.stdin.write(b"go\n")

    async def until(self, word: str) -> dict[str, Any]:
        """What it says with this word in it; other lines are passed over. Raises HelperFailed."""
        while word not in (said := await self.said()):
            pass
        return said

    async def said(self) -> dict[str, Any]:
        """The next thing that it says. Raises HelperFailed."""
        line = await self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            name = f"The helper {self._log.stem}"
            raise HelperFailed(await asyncio.to_thread(ended, name, self._log))
        said: dict[str, Any] = json.loads(line)
        if "refused" in said:
            raise HelperFailed(str(said["refused"]))
        return said

    async def stop(self) -> None:
        """End it, whatever it is doing."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_GRACE):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

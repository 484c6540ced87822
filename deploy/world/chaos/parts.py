"""The real parts, each a process (or two) that can be killed, stopped and started again."""

import asyncio
import os
import shutil
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.services import Broker, Database, DidNotStart, Guarded
from deploy.world.stack import clean_environment

_LOOKS = 0.2
_TRIES = 20


@dataclass(kw_only=True)
class Part(ABC):
    """One part. Whoever does something to it holds its lock, so that no two faults meet in it."""

    name: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @abstractmethod
    def pids(self) -> Sequence[int]:
        """The processes of the part, none when it does not run."""

    @abstractmethod
    def end(self) -> None:
        """End by kill -9. Blocks."""

    @abstractmethod
    def begin(self) -> None:
        """Start again, after any end. Blocks until it is there, not until it is ready."""

    async def kill(self, *, down: float) -> None:
        """Kill -9, and so many seconds later a new start."""
        await asyncio.to_thread(self.end)
        await asyncio.sleep(down)
        await self.back()

    async def freeze(self, seconds: float) -> None:
        """Stop every process of the part in whatever it does, and let it go on later."""
        stopped = list(self.pids())
        _signal(stopped, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            _signal(stopped, signal.SIGCONT)

    async def back(self) -> None:
        """Start, however often it takes: a machine that is busy refuses now and then."""
        for _ in range(_TRIES):
            with suppress(DidNotStart):
                await asyncio.to_thread(self.begin)
                return
            await asyncio.sleep(_LOOKS)
        raise DidNotStart(f"{self.name} does not start any more")


@dataclass(kw_only=True)
class Program(Part):
    """A program of ours; one that ends by itself is started again, as systemd would."""

    command: Sequence[str]
    log: Path
    environment: Callable[[], Mapping[str, str]] = dict
    ended: int = 0
    process: Guarded | None = None
    wanted: bool = True

    def pids(self) -> Sequence[int]:
        return [self.process.pid] if self.process is not None and self.process.is_running else []

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
        self.process = None

    def begin(self) -> None:
        self.process = Guarded.start(
            [PYTHON, "-P", "-m", *self.command],
            log=self.log,
            env={**clean_environment(), "PYTHONPATH": str(ROOT), **self.environment()},
            grace=3,
        )

    async def look_after(self) -> None:
        """Start it again whenever it has ended by itself, until cancelled."""
        while True:
            await asyncio.sleep(_LOOKS)
            async with self.lock:
                if self.wanted and self.process is not None and not self.process.is_running:
                    self.ended += 1
                    await self.back()


@dataclass(kw_only=True)
class BrokerPart(Part):
    """Mosquitto."""

    broker: Broker

    def pids(self) -> Sequence[int]:
        with suppress(RuntimeError):
            return [self.broker.pid]
        return []

    def end(self) -> None:
        self.broker.kill()

    def begin(self) -> None:
        self.broker.restart()

    async def restart(self, *, down: float, keeps: bool) -> None:
        """End in good order and start again, with the store or as if its disk were new."""
        await asyncio.to_thread(self.broker.stop)
        if not keeps:
            for file in (self.broker.folder / "store").iterdir():
                file.unlink()
        await asyncio.sleep(down)
        await self.back()


@dataclass(kw_only=True)
class DatabasePart(Part):
    """PostgreSQL, all of its processes."""

    database: Database

    def pids(self) -> Sequence[int]:
        with suppress(RuntimeError):
            return [self.database.pid, *_children(self.database.pid)]
        return []

    def end(self) -> None:
        self.database.kill()

    def begin(self) -> None:
        self.database.restart()

    def runs(self) -> bool:
        """Whether the postmaster is there."""
        return any(Path(f"/proc/{pid}").exists() for pid in self.pids()[:1])

    async def stop_immediately(self, *, down: float) -> None:
        """PostgreSQL's own immediate stop: nothing is written any more, recovery must do."""
        _signal(self.pids()[:1], signal.SIGQUIT)
        await asyncio.sleep(down)
        await asyncio.to_thread(self.end)
        await self.back()


@dataclass(kw_only=True)
class Card:
    """A small file system of its own for one box, which can be filled up."""

    folder: Path

    async def fill(self, seconds: float, *, leave: int) -> None:
        """Take all but so many bytes for a while."""
        filler = self.folder / "filler"
        disk = os.statvfs(self.folder)
        with filler.open("wb") as file, suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - leave)
        try:
            await asyncio.sleep(seconds)
        finally:
            filler.unlink()


def may_mount() -> bool:
    """Whether we may have file systems of our own; if so, nobody but our children sees them."""
    if os.geteuid() != 0 or shutil.which("mount") is None or sys.platform != "linux":
        return False
    return os.environ.get(OWN_MOUNTS) == "yes"


OWN_MOUNTS = "TRYGPORT_CHAOS_OWN_MOUNTS"
"""Set by whoever started us in a mount namespace of our own (unshare(1))."""


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _children(parent: int) -> list[int]:
    """The children of a process, by the fourth field of /proc/PID/stat (proc(5))."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (process / "stat").read_text()
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                found.append(int(process.name))
    return found

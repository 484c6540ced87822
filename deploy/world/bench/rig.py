"""What a benchmark is run on: broker, database, and each stage of the gateway in a process."""

import asyncio
import contextlib
import inspect
import json
import resource
import signal
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from deploy.runtime.services import Broker, Database, Guarded, free_port, scratch_folder
from deploy.world.bench.figures import Meter
from deploy.world.stack import Stack

_LISTENER = """
listener {port} 127.0.0.1
max_connections 12000
max_qos 1
use_username_as_clientid true
"""
"""For the sender's boxes: as the boxes' own, but in clear, so that the sender costs less."""

_PATIENCE = 30.0
_LOOK = 0.02


class NotReady(Exception):
    """A stage of the gateway ended or does not get ready; the text is what it says."""


@dataclass(slots=True, kw_only=True)
class Rig:
    """Started by `rig`. Stages are started by name, several of one kind under several names."""

    stack: Stack
    folder: Path
    port: int
    """Where the sender's boxes connect."""
    stages: dict[str, Guarded] = field(default_factory=dict[str, Guarded])

    @classmethod
    def start(cls, folder: Path, settings: Mapping[str, str]) -> Self:
        """Broker, database with its log streamed away, and schema."""
        _many_files()
        port = free_port()
        stack = Stack.start(
            folder,
            settings={"log": "WARNING", **settings},
            database=database_with_streamed_log(folder / "database"),
            broker_extra=_LISTENER.format(port=port),
        )
        return cls(stack=stack, folder=folder, port=port)

    @property
    def broker(self) -> Broker:
        return self.stack.broker

    async def start_stage(self, name: str, stage: str) -> Guarded:
        """Start a stage and wait until all its parts work. Raises NotReady."""
        file = self._file(name)
        words = ("deploy.world.bench.stage", stage, str(file))
        process = await asyncio.to_thread(self.stack.start_program, name, *words)
        self.stages[name] = process
        async with asyncio.timeout(_PATIENCE):
            while not file.with_suffix(".up").exists() and process.is_running:
                await asyncio.sleep(_LOOK)
        said: dict[str, Any] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not (said := await self._said(name))["ready"]:
                    await asyncio.sleep(_LOOK * 5)
                return process
        raise NotReady(f"{name}: {said.get('bad', 'it has ended')}")

    async def counters(self, name: str) -> Mapping[str, float]:
        """What a stage has counted since its start. Raises NotReady when it has ended."""
        return (await self._said(name))["counted"]

    def meter(self, **others: int) -> Meter:
        """A meter of the stages, the broker and the database, and other processes by name."""
        pids = {name: [process.pid] for name, process in self.stages.items()}
        pids |= {"broker": [self.broker.pid], "database": [self.stack.database.pid]}
        return Meter(pids | {name: [pid] for name, pid in others.items()}, forking=("database",))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    async def _said(self, name: str) -> dict[str, Any]:
        file, process = self._file(name), self.stages[name]
        file.unlink(missing_ok=True)
        process.send(signal.SIGUSR1)
        async with asyncio.timeout(_PATIENCE):
            while not file.exists():
                if not process.is_running:
                    raise NotReady("; ".join(self.stack.complaints()) or f"{name} has ended")
                await asyncio.sleep(_LOOK / 4)
        return json.loads(file.read_text())


@asynccontextmanager
async def rig(
    settings: Mapping[str, str] | None = None, *, say: Callable[[str], None] = lambda _: None
) -> AsyncGenerator[Rig]:
    """A rig in a folder of its own, ended and swept away with the block."""
    with scratch_folder() as folder:
        say("Starting broker and database …")
        started = await asyncio.to_thread(Rig.start, folder, settings or {})
        try:
            yield started
        finally:
            await asyncio.to_thread(started.stack.stop)


def database_with_streamed_log(folder: Path) -> Database:
    """A database whose write-ahead log is streamed to a second place, as in production."""
    streaming = {"stream_wal": True}
    if "stream_wal" not in inspect.signature(Database.start).parameters:
        streaming = {}
    return Database.start(folder, **streaming)  # pyright: ignore[reportArgumentType]


def _many_files() -> None:
    """A thousand boxes are a thousand connections, at the broker too, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

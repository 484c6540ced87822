"""What a benchmark is run on: broker, database, and each stage of the gateway in a process."""

import asyncio
import json
import resource
import signal
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from deploy.runtime.machine import make_sure_of_room
from deploy.runtime.paths import RUN
from deploy.runtime.services import Broker, Database, Guarded, free_port, scratch_folder
from deploy.world.bench.figures import Meter
from deploy.world.bench.parts import Part, watched
from deploy.world.stack import Stack

_LISTENER = """
listener {port} 127.0.0.1
max_connections -1
max_qos 1
use_username_as_clientid true
"""
"""For the sender's boxes: as the boxes' own, but in clear, so that the sender costs less."""

_SERVER = {"max_wal_size": "4GB", "shared_buffers": "1GB"}
"""As the runbook asks of a server that is measured by its speed (deploy/README.md)."""
_KEEP_WAL = 1_000_000_000
"""Bytes of the streamed log that are kept: a benchmark writes it, nobody restores from it."""
AN_OBSERVATION = 280
"""Bytes on the disk that an observation takes in the end, all in all: measured, with its share of
index, raw message and journal, and a fifth more."""
MOST_PROCESSES = 64
"""Of one stage, on one machine."""
_PATIENCE = 30.0
_LOOK = 0.01


class NotReady(Exception):
    """A stage of the gateway ended or does not get ready; the text is what it says."""


@dataclass(slots=True, kw_only=True)
class Rig:
    """Started by `rig`. Stages are started by name, several of one kind under several names."""

    stack: Stack
    folder: Path
    port: int
    """Where the sender's boxes connect."""
    tls: bool
    """Whether they must show certificates."""
    stages: dict[str, Guarded] = field(default_factory=dict[str, Guarded])

    @classmethod
    def start(cls, folder: Path, settings: Mapping[str, str], *, tls: bool = False) -> Self:
        """Broker, database with its log streamed away, and schema.

        With `tls` every session at the broker shows a certificate, the sender's boxes' too.
        """
        _many_files()
        port = free_port()
        stack = Stack.start(
            folder,
            settings={"log": "WARNING", **settings},
            database=Database.start(
                folder / "database", stream_wal=True, keep_wal=_KEEP_WAL, settings=_SERVER
            ),
            broker_extra="" if tls else _LISTENER.format(port=port),
            certified=tls,
        )
        return cls(stack=stack, folder=folder, port=stack.broker.port if tls else port, tls=tls)

    @property
    def broker(self) -> Broker:
        return self.stack.broker

    async def start_gateway(self, processes: int = 1, *, notify: bool = False) -> None:
        """So many processes of ingest, one of watch, and with `notify` one that sends notices."""
        for number in range(1, processes + 1):
            self.stack.environment["ingest_name"] = str(number)
            await self.start_stage(f"ingest-{number}", "ingest")
        for stage in ("watch", *(("notify",) if notify else ())):
            await self.start_stage(stage, stage)

    async def start_stage(self, name: str, stage: str) -> Guarded:
        """Start a stage and wait until all its parts work. Raises NotReady."""
        file = self._file(name)
        words = ("deploy.world.bench.stage", stage, str(file))
        process = await asyncio.to_thread(self.stack.start_program, f"gateway-{name}", *words)
        self.stages[name] = process
        await asyncio.to_thread(process.wait_until, file.with_suffix(".up").exists)
        said, until = await self._said(name), time.monotonic() + _PATIENCE
        while not said["ready"]:
            if time.monotonic() > until:
                raise NotReady(f"{name}: {said['bad'] or 'nothing works yet'}")
            await asyncio.sleep(_LOOK)
            said = await self._said(name)
        return process

    async def counters(self, name: str) -> Mapping[str, float]:
        """What a stage has counted since its start. Raises NotReady when it has ended."""
        return (await self._said(name))["counted"]

    def complaints(self, say: Callable[[str], None]) -> int:
        """How often the gateway logged an error, or a stage ended; the first ones are said."""
        found = self.stack.complaints()
        for one in found[:3]:
            say(f"  the gateway complains: {one}")
        return len(found)

    def parts(self) -> list[Part]:
        """What must run as long as we do."""
        database, broker = self.stack.database, self.broker
        found = [
            Part(name="The broker", is_running=lambda: broker.is_running, log=broker.log),
            Part(name="The database", is_running=lambda: database.is_running, log=database.log),
        ]
        if (wal := database.wal) is not None:
            found.append(
                Part(name="The log stream", is_running=lambda: wal.is_running, log=wal.log)
            )
        return found + [
            Part(name=f"The stage {name}", is_running=partial(_runs, process), log=process.log)
            for name, process in list(self.stages.items())
        ]

    def kill(self) -> None:
        """End all that would only be in the way: nothing of it is needed any more."""
        for process in self.stack.gateways.values():
            process.kill()
        self.stack.database.kill()
        self.broker.kill()

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
        until = time.monotonic() + _PATIENCE
        while not await asyncio.to_thread(file.exists):
            if not process.is_running or time.monotonic() > until:
                raise NotReady("; ".join(self.stack.complaints()) or f"{name} says nothing")
            await asyncio.sleep(_LOOK)
        return json.loads(await asyncio.to_thread(file.read_text))


def _runs(process: Guarded) -> bool:
    return process.is_running


@asynccontextmanager
async def rig(
    settings: Mapping[str, str] | None = None,
    *,
    tls: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> AsyncGenerator[Rig]:
    """A rig in a folder of its own, ended and swept away with the block."""
    with scratch_folder() as folder:
        say("Starting broker and database …")
        started = await asyncio.to_thread(Rig.start, folder, settings or {}, tls=tls)
        try:
            async with watched(started.parts, folder):
                yield started
        except BaseException:
            await asyncio.to_thread(started.kill)
            raise
        finally:
            await asyncio.to_thread(started.stack.stop)


def make_sure_of_room_for(observations: float) -> None:
    """Raises Stop when the disk is too short for so many observations."""
    RUN.mkdir(parents=True, exist_ok=True)
    make_sure_of_room(RUN, needed=round(observations * AN_OBSERVATION) + 2 * _KEEP_WAL)


def _many_files() -> None:
    """A thousand boxes are a thousand connections, at the broker too, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

"""Watches what a benchmark runs on: a part that ends in the middle ends the benchmark, by name."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.paths import RUNTIME
from deploy.runtime.process import tail

LOGS = RUNTIME / "bench"
"""Where the log of a part that ended is kept: its own folder goes with the benchmark."""
LEAST_FREE = 100_000_000
"""Bytes of the disk below which the database is about to stand still, with all that wait for it."""
_EVERY = 0.25
_SETTLED = 0.5
"""Seconds after which the end of what the others stand on, the first of the parts, is seen too."""
_LATER = 2.0
"""Seconds in which a part is seen to have ended, after others have felt it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A process that must run as long as the benchmark."""

    name: str
    is_running: Callable[[], bool]
    log: Path


Parts = Callable[[], Iterable[Part]]
"""The parts that must run now: stages come while a benchmark goes on."""
Look = Callable[[], Stop | None]


@asynccontextmanager
async def watched(
    parts: Parts, folder: Path, *, least_free: int = LEAST_FREE
) -> AsyncGenerator[None]:
    """Look after the parts, and the disk under the folder, while the block runs.

    Raises Stop with the part's name and its last words, whatever the block was waiting for, or
    had felt of it.
    """
    found: list[Stop] = []
    look = partial(_trouble, parts, folder, least_free)
    looking = asyncio.create_task(_look(look, found, asyncio.current_task()))
    try:
        yield
    except asyncio.CancelledError:
        if found and (block := asyncio.current_task()) is not None:
            block.uncancel()  # it was ours
            raise found[0] from None
        raise
    except Stop:
        raise
    except Exception as felt:
        looking.cancel()
        if trouble := await _soon(look):
            raise trouble from felt
        raise
    finally:
        looking.cancel()


async def _look(look: Look, found: list[Stop], block: "asyncio.Task[object] | None") -> None:
    found.append(await _seen(look))
    if block is not None:
        block.cancel()


async def _soon(look: Look) -> Stop | None:
    """Whoever talks to a part may feel its end before it is seen."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LATER):
            return await _seen(look)
    return None


async def _seen(look: Look) -> Stop:
    while True:
        if trouble := await asyncio.to_thread(look):
            await asyncio.sleep(_SETTLED)
            return await asyncio.to_thread(look) or trouble
        await asyncio.sleep(_EVERY)


def _trouble(parts: Parts, folder: Path, least_free: int) -> Stop | None:
    for part in parts():
        if not part.is_running():
            return _ended(part)
    free = shutil.disk_usage(folder).free
    if free >= least_free:
        return None
    return Stop(
        Exit.NO_DISK,
        f"The disk of {folder.parent} is full in the middle: {free / 1e6:.0f} MB are free, and "
        f"below {least_free / 1e6:.0f} MB the database stands still.",
    )


def _ended(part: Part) -> Stop:
    return Stop(Exit.FAULT, ended(part.name, part.log))


def ended(name: str, log: Path) -> str:
    """The sentence about a process that was not to end yet."""
    return (
        f"{name} ended in the middle of the benchmark. Its last words: {tail(log)}. "
        f"Its log is {kept(log, name)}."
    )


def kept(log: Path, name: str) -> Path:
    """A copy of the log that outlives the benchmark; the log itself where there is no room."""
    copy = LOGS / f"{name.removeprefix('The ').replace(' ', '-')}.log"
    try:
        LOGS.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, copy)
    except OSError:
        return log
    return copy

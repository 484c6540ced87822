"""A benchmark does not wait for a part that has ended: it ends too, and says which one it was."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.paths import PYTHON, ROOT, RUN
from deploy.runtime.process import Guarded
from deploy.world.bench.parts import Part, watched
from deploy.world.bench.talking import HelperFailed, Talking
from deploy.world.stack import clean_environment

_LOAD = ("ingest", "--homes", "10", "--seconds", "60", "--rate", "200", "--only")
_GUARD = "guard.py"
_A_FEW = 15.0
"""Seconds on a machine that others use too; nothing that was waited for before is as short."""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Guarded]:
    log = tmp_path / "log"
    started = Guarded.start(["sh", "-c", "echo the last words; exec sleep 60"], log=log)
    started.wait_until(lambda: "words" in log.read_text())
    yield started
    started.kill()


async def test_whatever_is_waited_for_a_part_that_ends_is_named(process: Guarded) -> None:
    with pytest.raises(Stop, match=r"The part ended in the middle.*the last words") as stop:
        await beside(process, asyncio.Event().wait(), kill=True)

    assert stop.value.code == Exit.FAULT
    log = stop.value.sentence.rpartition("Its log is ")[2].removesuffix(".")
    assert await asyncio.to_thread(Path(log).read_text) == "the last words\n"
    await asyncio.to_thread(Path(log).unlink)


async def test_what_is_felt_of_its_end_is_told_as_its_end(process: Guarded) -> None:
    with pytest.raises(Stop, match="The part ended in the middle"):
        await beside(process, refused(), kill=True)


async def test_an_error_of_something_else_stays_what_it_is(process: Guarded) -> None:
    with pytest.raises(ConnectionError):
        await beside(process, refused())


async def test_who_is_cancelled_by_another_is_cancelled(process: Guarded) -> None:
    task = asyncio.create_task(beside(process, asyncio.Event().wait()))
    await asyncio.sleep(0.1)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_full_disk_ends_it_before_the_database_stands_still(process: Guarded) -> None:
    with pytest.raises(Stop, match="is full in the middle") as stop:
        await beside(process, asyncio.Event().wait(), least_free=1 << 60)

    assert stop.value.code == Exit.NO_DISK


async def refused() -> None:
    raise ConnectionError("by somebody")


async def beside(
    process: Guarded, work: Awaitable[object], *, kill: bool = False, least_free: int = 1
) -> None:
    """Do the work while the process is looked after."""
    part = Part(name="The part", is_running=lambda: process.is_running, log=process.log)
    if kill:
        process.send(signal.SIGKILL)
    async with asyncio.timeout(10):
        async with watched(lambda: [part], process.log.parent, least_free=least_free):
            await work


async def test_a_helper_that_ends_is_named(tmp_path: Path) -> None:
    (plan := tmp_path / "plan").write_text("not a plan")

    with pytest.raises(HelperFailed, match=r"helper sender ended in the middle.*JSONDecodeError"):
        await Talking.start("deploy.world.bench.sender", plan, tmp_path / "sender.log")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("database/data", "The database"),
        pytest.param("mosquitto.conf", "The broker", marks=pytest.mark.long),
        pytest.param("watch.json", "The stage watch", marks=pytest.mark.long),
        pytest.param("ingest-1.json", "The stage ingest-1", marks=pytest.mark.long),
        pytest.param("sender-plan.json", "The helper sender", marks=pytest.mark.long),
    ],
)
async def test_a_benchmark_ends_within_seconds_of_a_part(word: str, name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-P", "-m", "deploy.world.bench.main", *_LOAD),
        cwd=ROOT,
        env={**clean_environment(), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    while b"receipted" not in (line := await process.stderr.readline()):
        assert line

    killed = time.monotonic()
    os.kill(pid_in(process.pid, word), signal.SIGKILL)
    said, complaints = await process.communicate()

    assert (process.returncode, said) == (Exit.FAULT, b"")
    assert f"{name} ended in the middle of the benchmark." in complaints.decode()
    assert time.monotonic() - killed < _A_FEW


def pid_in(bench: int, word: str) -> int:
    """The process of that benchmark whose command has the word in it."""
    (folder,) = RUN.glob(f"{bench}-*")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
        command = " ".join(words)
        if str(folder) in command and word in command and _GUARD not in command:
            return int(entry.name)
    raise AssertionError(json.dumps(word))

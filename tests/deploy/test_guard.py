"""No process is left behind, however the program that started it ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from deploy.runtime.paths import ROOT
from deploy.runtime.services import DidNotStart, Guarded, scratch_folder

SOON = 15.0
"""Seconds for a broker and a database to end in good order."""


@pytest.fixture
def program(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A program that has started a broker, a database, a bus and a stubborn family of shells."""
    command = [sys.executable, "-m", "tests.deploy.starts_services", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        yield started
        started.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_program_that_is_killed_leaves_no_process(
    program: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    family = _told_and_descendants(program)
    assert len(family) > 8

    os.killpg(program.pid, number)
    program.wait()

    assert _left_after(SOON, family) == set()


def test_without_the_guard_a_process_is_left() -> None:
    # the saboteur of the test above: it is the guard that ends the process, and nothing else
    source = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        unguarded = int(program.stdout.readline())

        program.kill()
        program.wait()

    assert _left_after(1.0, {unguarded}) == {unguarded}
    os.kill(unguarded, signal.SIGKILL)


def test_a_killed_guard_takes_its_process_along(tmp_path: Path) -> None:
    guarded = Guarded.start(["sleep", "600"], log=tmp_path / "log")
    guard = _parent_of(guarded.pid)

    os.kill(guard, signal.SIGKILL)

    assert _left_after(SOON, {guarded.pid, guard}) <= {guard}
    guarded.wait()


def test_stopping_waits_for_a_good_end(tmp_path: Path) -> None:
    guarded = Guarded.start(
        ["sh", "-c", "trap 'echo in good order; exit 0' TERM; echo ready; sleep 600 & wait"],
        log=tmp_path / "log",
    )
    guarded.wait_until(lambda: "ready" in (tmp_path / "log").read_text())

    guarded.stop()

    assert not guarded.is_running
    assert (tmp_path / "log").read_text().splitlines() == ["ready", "in good order"]


def test_the_exit_code_is_the_commands_own(tmp_path: Path) -> None:
    assert Guarded.start(["sh", "-c", "exit 7"], log=tmp_path / "log").wait() == 7


def test_what_does_not_become_ready_is_ended_and_its_last_words_are_told(tmp_path: Path) -> None:
    guarded = Guarded.start(["sh", "-c", "echo no luck; sleep 600"], log=tmp_path / "log")

    with pytest.raises(DidNotStart, match="no luck"):
        guarded.wait_until(lambda: False, seconds=0.3)

    assert not guarded.is_running


def test_a_scratch_folder_is_swept_when_its_owner_was_killed() -> None:
    source = (
        "from deploy.runtime.scratch import scratch_folder\n"
        "with scratch_folder() as folder: print(folder, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", source],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        left = Path(program.stdout.readline().strip())
        program.kill()
        program.wait()
    assert left.is_dir()

    with scratch_folder() as ours:
        assert ours.is_dir()
        assert not left.exists()

    assert not ours.exists()


def _told_and_descendants(program: "subprocess.Popen[str]") -> set[int]:
    assert program.stdout is not None
    told = {int(pid) for pid in program.stdout.readline().split()}
    family = told | {_parent_of(pid) for pid in told}
    for _ in range(5):
        family |= {pid for pid in _processes() if _parent_of(pid) in family}
    return family


def _left_after(seconds: float, family: Iterable[int]) -> set[int]:
    deadline = time.monotonic() + seconds
    left = set(family)
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {pid for pid in left if _state_of(pid) not in {"", "Z"}}
    return left


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _fields_of(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return ["", "0"]


def _state_of(pid: int) -> str:
    return _fields_of(pid)[0]


def _parent_of(pid: int) -> int:
    return int(_fields_of(pid)[1])

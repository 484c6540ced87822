"""The commands of `deploy/`, such as `deploy/test`: set everything up, then do the job."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.machine import (
    ALWAYS,
    FOR_BOOTED,
    FOR_KILLS,
    FOR_LONG_TESTS,
    FOR_POWER_CUTS,
    Need,
    architecture_of,
    lacks_for_booted,
    lacks_for_power_cuts,
    make_sure_of_packages,
    make_sure_of_room,
)
from deploy.runtime.packages import build_venv, environment, venv_stamps
from deploy.runtime.paths import PYTHON, ROOT, RUNTIME
from deploy.runtime.prefix import build_prefix, prefix_stamp
from deploy.runtime.steps import say

CHECKS = (
    ("ruff check", ("ruff", "check", "--quiet")),
    ("ruff format", ("ruff", "format", "--check", "--quiet")),
    ("pyright", ("pyright",)),
    ("imports", ("lint-imports", "--cache-dir", ".runtime/cache/import-linter")),
)
"""What is looked at before the tests run; the settings stand in pyproject.toml."""

WHOLE = (
    ("tests", ("pytest", "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"), "not alone"),
    ("tests that measure time", ("pytest",), "alone"),
)
"""How the whole suite runs: most tests wait more than they work, so three files go at a time."""

_BY_SIGNAL = 128
"""Added to a signal's number, it is the exit code of what that signal has ended, as in a shell."""


def set_up(*needs: Need) -> None:
    """Make the runtime folder complete; quick and without network when it is.

    `needs` are packages of the distribution besides those that are always needed. Raises Stop when
    it cannot be made. Two at the same time wait for one another.
    """
    architecture = architecture_of()
    RUNTIME.mkdir(exist_ok=True)
    with (RUNTIME / "lock").open("w") as lock:
        _take(lock.fileno())
        make_sure_of_packages((*ALWAYS, *needs))
        fetched = (prefix_stamp(architecture=architecture), *venv_stamps()[:2])
        if not all(stamp.is_current() for stamp in fetched):
            say("Setting up (once; an interrupted set-up goes on where it was):")
            make_sure_of_room(RUNTIME)
        build_prefix(architecture=architecture)
        build_venv()


def told(job: Callable[[], int]) -> int:
    """Do a job and return its exit code; what a person can act on is said in one sentence."""
    try:
        return job()
    except Stop as stop:
        say(stop.sentence)
        return stop.code
    except KeyboardInterrupt:
        say("Interrupted.")
        return Exit.INTERRUPTED
    except OSError as problem:
        if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
            say("The disk is full: free some space and start again.")
            return Exit.NO_DISK
        if problem.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            say(f"Not allowed: {problem.strerror} at {problem.filename}.")
            return Exit.NO_DISK
        raise


def test(arguments: Sequence[str]) -> int:
    """Every check, then pytest with the arguments; pytest's own exit code comes first.

    Interrupted, it ends with the check or the tests that were running.
    """
    set_up(*(_for_long() if "--long" in arguments else ()), *_for_power_cuts(and_kills=True))
    checked = dict[str, tuple[int, float]]()
    for name, command in (dict(CHECKS) | tests(arguments)).items():
        checked[name] = _timed(command)
        if checked[name][0] > _BY_SIGNAL:
            break
    say("")
    for name, (code, seconds) in checked.items():
        say(f"  {name}: {'passed' if code == 0 else f'FAILED (exit code {code})'}, {seconds:.1f} s")
    codes = [code for code, _ in reversed(checked.values())]
    return next((code for code in codes if code), 0)


def tests(arguments: Sequence[str]) -> dict[str, Sequence[str]]:
    """The runs of pytest: one where tests are named or take long, else two files at a time."""
    if "--long" in arguments or any(not word.startswith("--") for word in arguments):
        return {"tests": ("pytest", *arguments)}
    return {name: (*words, "-m", marked, *arguments) for name, words, marked in WHOLE}


def demo(arguments: Sequence[str]) -> int:
    """The demo takes this process over, so that signals reach it directly."""
    return _handed_over("deploy.world.demo", arguments)


def bench(arguments: Sequence[str]) -> int:
    """A benchmark, in the same way."""
    return _handed_over("deploy.world.bench.main", arguments)


def chaos(arguments: Sequence[str]) -> int:
    """Random faults on the real parts; it takes this process over as well."""
    needs = _for_power_cuts() if arguments[:1] == ["power"] else ()
    _handed_over("deploy.world.chaos", arguments, *needs)


def fuzz(arguments: Sequence[str]) -> int:
    """Hostile input for as long as one likes, in the same way."""
    return _handed_over("tests.fuzz", arguments)


def package(arguments: Sequence[str]) -> int:
    """The Debian packages of the box, in the same way."""
    return _handed_over("deploy.packaging.main", arguments)


def main() -> int:
    """`python3 -m deploy.runtime.command test|demo|bench|chaos|fuzz|package|set-up …`."""
    jobs: dict[str, Callable[[Sequence[str]], int]] = {
        "test": test,
        "demo": demo,
        "bench": bench,
        "chaos": chaos,
        "fuzz": fuzz,
        "package": package,
    }
    name, *arguments = sys.argv[1:] or ["set-up"]
    if name == "set-up":
        set_up()
        return 0
    if name not in jobs:
        words = "|".join((*jobs, "set-up"))
        raise Stop(Exit.USAGE, f"Usage: python3 -m deploy.runtime.command {words} …")
    return jobs[name](arguments)


def _for_power_cuts(*, and_kills: bool = False) -> Sequence[Need]:
    """Nothing where they cannot be used: the tests are skipped there, and the command says why."""
    if lacks_for_power_cuts():
        return ()
    return (*FOR_POWER_CUTS, *FOR_KILLS) if and_kills else FOR_POWER_CUTS


def _for_long() -> Sequence[Need]:
    """The same of a system that is booted."""
    return FOR_LONG_TESTS if lacks_for_booted() else (*FOR_LONG_TESTS, *FOR_BOOTED)


def _handed_over(module: str, arguments: Sequence[str], *needs: Need) -> NoReturn:
    set_up(*needs)
    command = [str(PYTHON), "-P", "-m", module, *arguments]
    os.execve(command[0], command, environment())  # noqa: S606 -- our own words, and no shell is wanted


def _take(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another set-up is at work in this folder; waiting for it.")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _timed(command: Sequence[str]) -> tuple[int, float]:
    say(f"\n$ {' '.join(command)}")
    begun = time.monotonic()
    return _run(command), time.monotonic() - begun


def _run(command: Sequence[str]) -> int:
    """Run to the end, also through Ctrl-C: the terminal tells the tool itself, which cleans up."""
    temporary = RUNTIME / "cache" / "pytest-folders"
    temporary.mkdir(parents=True, exist_ok=True)
    heard = list[int]()
    child = subprocess.Popen(
        # should we be killed, the tool is told, and with it goes what it started
        ["setpriv", "--pdeathsig", "TERM", *command],
        cwd=ROOT,
        env=environment() | {"PYTEST_DEBUG_TEMPROOT": str(temporary)},
    )

    def pass_on(number: int, _frame: FrameType | None) -> None:
        heard.append(number)
        if number != signal.SIGINT:
            child.send_signal(number)

    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, pass_on) for number in caught}
    code = child.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
    if heard:
        return _BY_SIGNAL + heard[0]
    return code if code >= 0 else _BY_SIGNAL - code


if __name__ == "__main__":
    sys.exit(told(main))

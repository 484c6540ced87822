"""A process of ours that never outlives the program that started it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_QUOTED = 3
_GUARD = Path(__file__).with_name("guard.py")


class DidNotStart(Exception):
    """The process ended, or did not become ready in time; the text quotes its log.

    Retrying helps only when the log says that something was in its way (a used port).
    """


@dataclass(slots=True, kw_only=True)
class Guarded:
    """A command under the guard of `guard.py`: ended when we end, however we end."""

    pid: int
    """The command's own process number: the one to kill in a test, not the guard's."""
    log: Path
    grace: float
    _guard: subprocess.Popen[str]

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
        leftover: Path | None = None,
    ) -> "Guarded":
        """Start the command; what it says goes to the end of `log`.

        `stop` sends `stop_signal` and waits `grace` seconds before it kills; the folder
        `leftover` goes when the command has ended, however it did.
        """
        settings = [str(int(stop_signal)), str(grace), str(leftover or "")]
        asked = [*settings, "--", *map(str, command)]
        with log.open("ab") as output:
            guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), *asked],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=env,
                text=True,
                start_new_session=True,
            )
        told = guard.stdout.readline() if guard.stdout else ""
        if not told.strip():
            guard.communicate()  # and close the pipes
            raise DidNotStart(f"{command[0]}: {tail(log)}")
        return cls(pid=int(told), log=log, grace=grace, _guard=guard)

    @property
    def is_running(self) -> bool:
        """Whether the command still runs."""
        return self._guard.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Wait until `ready` says yes; raises DidNotStart when the command ends or time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.is_running or time.monotonic() > deadline:
                self.kill()
                raise DidNotStart(tail(self.log))
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send the command a signal, if it still runs."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End by kill -9 of the command; what it started dies with it."""
        self.send(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """End the command in its own good order, or by force after its grace."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self.wait()

    def wait(self) -> int:
        """Wait for the end; the command's exit code, 128 and the signal's number when killed."""
        code = self._guard.wait()
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                pipe.close()
        return code


def tail(log: Path) -> str:
    """The last lines of a log, to be quoted: the reason often stands before the last."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "; ".join(lines[-_QUOTED:]) or "no log"

"""Stands between a service and the program that wants it, so that neither outlives the other.

Run as a script of its own, standard library only: `guard.py SIGNAL GRACE LEFTOVER -- COMMAND…`.
It says the process number of the command on standard output. When its standard input closes, or
the program that started it is gone (also by kill -9), it sends SIGNAL, waits GRACE seconds, and
then kills whatever is left; when the command ends by itself, it kills what the command left
behind. The folder LEFTOVER, if one is named, goes in either case. Its exit code is the command's.
"""

import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

SET_PDEATHSIG = 1
"""`PR_SET_PDEATHSIG` of prctl(2): the signal that a process gets when its parent dies."""

SET_CHILD_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of prctl(2): orphans of the command become ours, so none escapes."""

OPEN_FILES = 65536
"""A broker of 12 000 boxes needs a descriptor for each; the usual soft limit is 1 024."""

GLANCE = 1.0
"""Seconds between two looks at who our parent is; the closed pipe usually says it first."""


def main(arguments: list[str]) -> int:
    """Start the command, outlive it, and leave nothing of it."""
    libc = ctypes.CDLL(None)
    libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    number, grace, leftover, _, *command = arguments
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, OPEN_FILES), most))
    parent = os.getppid()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        # the command follows the guard into death as well, should somebody kill the guard
        preexec_fn=lambda: libc.prctl(SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 -- one thread
    )
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()
    ended = os.pidfd_open(child.pid)
    if _nobody_wants_it(ended, parent):
        child.send_signal(int(number))
        select.select([ended], [], [], float(grace))
    child.kill()
    code = child.wait()
    _kill_orphans()
    if leftover:
        shutil.rmtree(leftover, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _nobody_wants_it(ended: int, parent: int) -> bool:
    """Wait until the command has ended (False) or whoever wanted it has gone (True)."""
    wanted = sys.stdin.fileno()
    while os.getppid() == parent:
        ready, _, _ = select.select([wanted, ended], [], [], GLANCE)
        if ended in ready:
            return False
        if wanted in ready and not os.read(wanted, 1):
            return True
    return True


def _kill_orphans() -> None:
    """Kill all that is left below us, generation by generation, until nothing is."""
    while True:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _children() -> list[int]:
    """Our children, by the fourth field of /proc/PID/stat (proc(5)); the second may hold spaces."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (process / "stat").read_text()
            if int(stat.rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(process.name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

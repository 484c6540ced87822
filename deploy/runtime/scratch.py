"""Folders for services that run now, inside the runtime folder, swept when their owner is gone."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from deploy.runtime.paths import RUN

LONGEST_SOCKET = 99
"""Bytes that dbus-daemon allows in a socket's path; unix(7) allows everybody else 107."""


@contextmanager
def scratch_folder() -> Generator[Path]:
    """A new folder that goes when the block ends, or at the next call after a crash."""
    RUN.mkdir(parents=True, exist_ok=True)
    _sweep()
    folder = _new_folder()
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_for_socket(folder: Path, *, name: str) -> Path:
    """Where a socket of that name may lie: in the folder, or somewhere with a shorter path.

    The place is not made yet; one outside of the folder is for the caller to remove.
    """
    places = (folder / "socket", _new_folder())
    fitting = (place for place in places if len(os.fsencode(place / name)) <= LONGEST_SOCKET)
    return next(fitting, None) or Path(tempfile.mkdtemp(prefix="trygport-"))


def _new_folder() -> Path:
    return RUN / f"{os.getpid()}-{_started(os.getpid())}-{secrets.token_hex(2)}"


def _sweep() -> None:
    for folder in RUN.iterdir():
        pid, started, *_ = folder.name.split("-")
        if not pid.isdecimal() or _started(int(pid)) != started:
            shutil.rmtree(folder, ignore_errors=True)


def _started(pid: int) -> str | None:
    """When the process started, in clock ticks since boot: a number alone is used again.

    The 22nd field of /proc/PID/stat (proc(5)); None when there is no such process.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]

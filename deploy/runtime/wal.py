"""The write-ahead log streamed away while it is written, base backups, and what is made of them.

A backup of last night and the stream since then give back what no box can send again: who took
which alert, and when. `pg_receivewal` writes what it hears into a file at once, so what is lost
with the database is what was on its way (PostgreSQL 17 manual, pg_receivewal, pg_basebackup,
"Recovering Using a Continuous Archive Backup").
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.runtime.paths import program
from deploy.runtime.process import DidNotStart, Guarded
from deploy.runtime.server import as_the_server, belonging_to_the_server

SLOT = "away"
"""The replication slot: what was not streamed yet the server keeps, up to its setting
max_slot_wal_keep_size."""
FLUSHED_EVERY = 10.0
"""Seconds between two fsyncs of what was streamed."""

_PARTIAL = ".partial"


@dataclass(slots=True, kw_only=True)
class WalStream:
    """The stream into `folder`, one file a segment of 16 MB; it connects again by itself.

    Whole segments beyond `keep` bytes are let go of, the oldest first; None keeps them all, as a
    restore needs all since the last base backup.
    """

    folder: Path
    keep: int | None
    log: Path
    _process: Guarded
    _stop: threading.Event = field(default_factory=threading.Event)
    _flusher: threading.Thread | None = None

    @classmethod
    def start(
        cls, where: Sequence[str | Path], folder: Path, *, log: Path, keep: int | None = None
    ) -> "WalStream":
        """Stream from the server that the connection options `where` reach.

        Raises DidNotStart when the server refuses.
        """
        belonging_to_the_server(folder)
        command = [*as_the_server(folder), program("pg_receivewal"), *where, "--no-password"]
        made = subprocess.run(
            [*command, "--slot", SLOT, "--create-slot", "--if-not-exists"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise DidNotStart(f"pg_receivewal: {made.stderr.strip()}")
        streaming = ["-D", folder, "--slot", SLOT, "--status-interval", str(int(FLUSHED_EVERY))]
        process = Guarded.start([*command, *streaming], log=log, stop_signal=signal.SIGINT)
        stream = cls(folder=folder, keep=keep, log=log, _process=process)
        stream._flusher = threading.Thread(target=stream._tend, name="wal", daemon=True)
        stream._flusher.start()
        process.wait_until(stream.has_begun)
        return stream

    @property
    def pid(self) -> int:
        """The process number of pg_receivewal."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether pg_receivewal runs: it goes on by itself when the server was away."""
        return self._process.is_running

    def has_begun(self) -> bool:
        """Whether anything was streamed yet."""
        return any(self.folder.iterdir())

    def stop(self) -> None:
        """End the stream; what was streamed is on the disk."""
        self._process.stop()
        self._stop.set()
        if self._flusher is not None:
            self._flusher.join()
        self._flush()

    def _tend(self) -> None:
        while not self._stop.wait(FLUSHED_EVERY):
            self._flush()
            self._let_go()

    def _flush(self) -> None:
        for path in self.folder.glob(f"*{_PARTIAL}"):
            with contextlib.suppress(FileNotFoundError):  # renamed: whole, and flushed by that
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)

    def _let_go(self) -> None:
        if self.keep is None:
            return
        whole = sorted(path for path in self.folder.iterdir() if path.suffix != _PARTIAL)
        held = sum(path.stat().st_size for path in whole)
        for path in whole:
            if held <= self.keep:
                return
            held -= path.stat().st_size
            path.unlink()


def base_backup(where: Sequence[str | Path], folder: Path) -> None:
    """Copy the running server's cluster into a new folder, whole in itself.

    Raises DidNotStart when the server refuses.
    """
    belonging_to_the_server(folder)
    command = [*as_the_server(folder), program("pg_basebackup"), *where, "--no-password"]
    done = subprocess.run(
        [*command, "-D", folder, "--checkpoint=fast", "--wal-method=stream", "--no-sync"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DidNotStart(f"pg_basebackup: {done.stderr.strip()}")


def restore(backup: Path, data: Path, *, wal: Path | None = None) -> None:
    """Put a base backup in place of a cluster's data; with `wal`, all streamed since is added.

    The server does the rest at its next start, and is ready when it is done. The folder `wal`
    then belongs to a life that is over: the next stream begins in another.
    """
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(backup, data)
    if wal is not None:
        for partial in wal.glob(f"*{_PARTIAL}"):
            whole = partial.with_suffix("")
            if not whole.exists():
                shutil.copy2(partial, whole)
        found = f"cp {shlex.quote(str(wal))}/%f %p"
        with (data / "postgresql.auto.conf").open("a") as settings:
            # nobody is to read what is half restored, or to be refused a write in it
            settings.write("hot_standby = off\n")
            settings.write(f"restore_command = '{found.replace(chr(39), chr(39) * 2)}'\n")
        (data / "recovery.signal").touch()
    for path in (data, *data.rglob("*"), *(wal.iterdir() if wal else ())):
        belonging_to_the_server(path)

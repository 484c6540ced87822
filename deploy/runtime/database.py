"""Starts a private PostgreSQL cluster with TimescaleDB, and ends it in every way."""

import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.runtime.paths import program
from deploy.runtime.ports import claim, free_port
from deploy.runtime.process import DidNotStart, Guarded
from deploy.runtime.scratch import folder_for_socket
from deploy.runtime.server import as_the_server, belonging_to_the_server
from deploy.runtime.wal import WalStream, base_backup

OWNER = "owner"
"""The cluster's superuser. Stages connect as their own roles, made by the migrations."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_preload_libraries": "timescaledb",
    # no policies run in the Apache edition; its workers would only hold template databases open
    "timescaledb.max_background_workers": "0",
    "timescaledb.telemetry_level": "off",
    # a small log is replayed quickly: 3.7 GB took 23 s, and crash tests wait for it
    "max_wal_size": "256MB",
    # a stream that hangs or is gone must not fill the disk: it is cut off instead
    "max_slot_wal_keep_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class DatabaseRefused(Exception):
    """A statement of ours was refused; the text is PostgreSQL's own. Never retried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDatabase:
    """One database of a cluster, and how to reach it. No password is asked."""

    name: str
    port: int

    def dsn(self, user: str = OWNER) -> str:
        """How to reach it as a user."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{self.name}"

    @property
    def address(self) -> str:
        """How to reach it, the user left out: the gateway's setting `database`."""
        return f"postgresql://127.0.0.1:{self.port}/{self.name}"


@dataclass(slots=True, kw_only=True)
class Database:
    """A cluster of ours, open to this machine alone (loopback and a private socket)."""

    folder: Path
    port: int
    socket_folder: Path
    log: Path
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings of the server besides ours, or instead of them."""
    wal: WalStream | None = field(default=None)
    """The stream of the write-ahead log, where one was asked for."""
    _process: Guarded | None = field(default=None)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        database: str = "trygport",
        stream_wal: bool = False,
        keep_wal: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> "Database":
        """Make a cluster in the folder, or open the one that is there, and start it.

        With `stream_wal` its write-ahead log is streamed into the folder `wal` (`keep_wal` bytes
        of it, the newest; None keeps all) for as long as the server is wanted.
        Raises Stop when the asked-for port is in use, DidNotStart when PostgreSQL refuses.
        """
        folder.mkdir(parents=True, exist_ok=True)
        fresh = not (folder / "data" / "PG_VERSION").exists()
        made = cls(
            folder=folder,
            port=claim(port),
            socket_folder=folder_for_socket(folder, name=".s.PGSQL.65535"),
            log=folder / "log",
            settings=settings or {},
        )
        if fresh:
            made._initialise()
        made._start_on_a_free_port(may_move=port is None)
        if fresh:
            made.create(database)
        if stream_wal:
            made.stream_wal(folder / "wal", keep=keep_wal)
        return made

    @property
    def pid(self) -> int:
        """The process number of the postmaster. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("the database does not run")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the postmaster runs: it ends by itself when something is wrong with it."""
        return self._process is not None and self._process.is_running

    def one(self, name: str = "trygport") -> OneDatabase:
        """One database of this cluster, whether or not it is there yet."""
        return OneDatabase(name=name, port=self.port)

    def dsn(self, database: str = "trygport", *, user: str = OWNER) -> str:
        """How to reach a database as a user; no password is asked."""
        return self.one(database).dsn(user)

    def stream_wal(self, folder: Path, *, keep: int | None = None) -> None:
        """Stream the write-ahead log into the folder from now on, also after `restart`.

        Raises DidNotStart.
        """
        self.wal = WalStream.start(self._where, folder, log=self.folder / "wal.log", keep=keep)

    def back_up(self, folder: Path) -> None:
        """Copy the running cluster into a new folder. Raises DidNotStart."""
        base_backup(self._where, folder)

    def kill(self) -> None:
        """End by kill -9 of the postmaster and all that it started: a crash.

        The stream of its log waits for it to come back.
        """
        if self._process is not None:
            self._process.kill()
        self._process = None

    def stop(self) -> None:
        """End in good order; connections are broken, what is committed is kept and streamed."""
        self._stop_server()
        if self.wal is not None:
            self.wal.stop()
        self.wal = None

    def _stop_server(self) -> None:
        if self._process is not None:
            self._process.stop()
        self._process = None

    def restart(self) -> None:
        """Start again on the same port and data, after `stop` or `kill` or while running."""
        self._stop_server()
        belonging_to_the_server(self.socket_folder)
        ours = {"port": self.port, "unix_socket_directories": self.socket_folder}
        settings = {**_SETTINGS, **self.settings, **ours}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*as_the_server(self.folder), program("postgres")]
        self._process = Guarded.start(
            [*command, "-D", self.folder / "data", *options],
            log=self.log,
            # fast shutdown: sessions are ended, a last checkpoint is written
            stop_signal=signal.SIGINT,
            leftover=None if self.socket_folder.is_relative_to(self.folder) else self.socket_folder,
        )
        self._process.wait_until(self._is_ready)

    @property
    def _where(self) -> list[str | Path]:
        """The connection options of PostgreSQL's own programs."""
        return ["-h", self.socket_folder, "-p", str(self.port), "-U", OWNER]

    def create(self, name: str, *, template: str | None = None) -> OneDatabase:
        """Create a database, empty or as a copy of one to which nobody is connected."""
        copied = f' TEMPLATE "{template}"' if template else ""
        self.execute(f'CREATE DATABASE "{name}"{copied}')
        return self.one(name)

    def drop(self, name: str) -> None:
        """Drop a database and end the sessions in it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement as owner; the rows as text, fields parted by a bar.

        Raises DatabaseRefused.
        """
        command = [program("psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*command, *self._where, "-d", database, "-c", statement],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DatabaseRefused(done.stderr.strip())
        return done.stdout.strip()

    def _initialise(self) -> None:
        data = self.folder / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        belonging_to_the_server(data)
        locale = ["-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        asked = ["-D", data, "-U", OWNER, "-A", "trust", *locale, "--no-instructions", "--no-sync"]
        command = [*as_the_server(self.folder), program("initdb"), *asked]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DidNotStart(done.stderr.strip())

    def _start_on_a_free_port(self, *, may_move: bool) -> None:
        try:
            self.restart()
        except DidNotStart:
            if not may_move or "in use" not in self.log.read_text():
                raise
            self.port = free_port()
            self.restart()

    def _is_ready(self) -> bool:
        """What the server itself notes: its number in the first line, its state in the last."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().split()
        except OSError:
            return False
        return bool(lines) and lines[0] == str(self.pid) and lines[-1] == "ready"

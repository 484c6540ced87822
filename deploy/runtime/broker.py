"""Starts a private Mosquitto with Trygport's own configuration, and ends it in every way."""

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from deploy.runtime.certificate import Certificate
from deploy.runtime.paths import program
from deploy.runtime.ports import answers, claim
from deploy.runtime.process import DidNotStart, Guarded
from gateway.edges.authority import Authority
from gateway.edges.broker_files import Places, access_list, in_clear, mutual_tls
from gateway.edges.laying import lay_out

_TRIES = 3
"""A free port may be taken between finding and using it; three in a row is something else."""


@dataclass(slots=True, kw_only=True)
class Broker:
    """A Mosquitto of ours: `port` is for boxes, `gateway_port` for the gateway alone."""

    folder: Path
    port: int
    gateway_port: int
    password_file: Path
    pid_file: Path
    log: Path
    _process: Guarded | None = field(default=None)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        passwords: Mapping[str, str],
        port: int | None = None,
        tls: Certificate | None = None,
        authority: Path | None = None,
        config_extra: str = "",
    ) -> "Broker":
        """Start in the folder; the passwords of all users, the gateway's too, are given plainly.

        With `authority`, the folder of one (gateway/edges/authority.py), both ports want a
        certificate of it, and passwords open only what `config_extra` adds. Raises Stop when the
        asked-for port is in use, DidNotStart when Mosquitto refuses.
        """
        store = folder / "store"
        store.mkdir(parents=True, exist_ok=True)
        _hash_passwords(folder / "passwords", passwords)
        if authority is not None:
            _lay_out(folder / "files", authority)
        form = partial(cls._started, folder, tls=tls, certified=authority is not None)
        for _ in range(_TRIES - 1):
            try:
                return form(port=port, extra=config_extra)
            except DidNotStart as problem:
                if "in use" not in str(problem):
                    raise
        return form(port=port, extra=config_extra)

    @classmethod
    def _started(
        cls, folder: Path, *, port: int | None, tls: Certificate | None, certified: bool, extra: str
    ) -> "Broker":
        broker = cls(
            folder=folder,
            port=claim(port),
            gateway_port=claim(None),
            password_file=folder / "passwords",
            pid_file=folder / "pid",
            log=folder / "log",
        )
        text = broker._certified(extra) if certified else broker._in_clear(tls, extra)
        (folder / "mosquitto.conf").write_text(text)
        broker.restart()
        return broker

    @property
    def files(self) -> Path:
        """The folder of what it reads, where it was started with an authority."""
        return self.folder / "files"

    @property
    def pid(self) -> int:
        """The process number of Mosquitto itself. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("the broker does not run")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether Mosquitto runs: it ends by itself when something is wrong with it."""
        return self._process is not None and self._process.is_running

    def kill(self) -> None:
        """End by kill -9: what was not saved is lost, as in a power cut."""
        if self._process is not None:
            self._process.kill()
        self._process = None

    def stop(self) -> None:
        """End in good order: sessions and queues are saved."""
        if self._process is not None:
            self._process.stop()
        self._process = None

    def restart(self) -> None:
        """Start again on the same ports and store, after `stop` or `kill` or while running."""
        self.stop()
        command = [program("mosquitto"), "-c", self.folder / "mosquitto.conf"]
        self._process = Guarded.start(command, log=self.log)
        self._process.wait_until(lambda: answers(self.port) and answers(self.gateway_port))

    def admit(self, passwords: Mapping[str, str]) -> None:
        """Let more users in; the ones that are known stay as they are."""
        more = self.folder / "more"
        _hash_passwords(more, passwords)
        with self.password_file.open("a") as known:
            known.write(more.read_text())
        more.unlink()
        self.reload()

    def reload(self) -> None:
        """Have the password file read again (SIGHUP), and wait until it has been."""
        if self._process is None:
            return
        before = self.log.stat().st_size
        self._process.send(signal.SIGHUP)
        self._process.wait_until(lambda: self._said("Reloading config", since=before))

    def _said(self, words: str, *, since: int) -> bool:
        with self.log.open("rb") as log:
            log.seek(since)
            return words.encode() in log.read()

    def _certified(self, extra: str) -> str:
        accounts = f"password_file {self.password_file}"
        return mutual_tls(self.files, self._places(), accounts=accounts, extra=extra)

    def _in_clear(self, tls: Certificate | None, extra: str) -> str:
        boxes = f"certfile {tls.cert}\nkeyfile {tls.key}\ntls_version tlsv1.2" if tls else ""
        acl = self.folder / "mosquitto.acl"
        acl.touch(mode=0o600)
        acl.write_text(access_list())
        return in_clear(acl, self.password_file, self._places(), boxes=boxes, extra=extra)

    def _places(self) -> Places:
        return Places(
            port=self.port,
            gateway_port=self.gateway_port,
            store=self.folder / "store",
            pid_file=self.pid_file,
            # as root Mosquitto would become a user who cannot read the file that we write
            user="root" if os.geteuid() == 0 else "mosquitto",
        )


def _lay_out(files: Path, authority: Path) -> None:
    files.mkdir(mode=0o700, exist_ok=True)
    ours = Authority.read(authority)
    lay_out(files, ours, revoked={}, shut_out=(), now=datetime.now(UTC))


def _hash_passwords(file: Path, passwords: Mapping[str, str]) -> None:
    """Write the users with Mosquitto's own hashes; not by arguments, which all users can see."""
    file.touch(mode=0o600)
    file.write_text("".join(f"{user}:{password}\n" for user, password in passwords.items()))
    if passwords:
        command = [program("mosquitto_passwd"), "-U", file]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)

"""Broker, database and gateway of one's own, started and ended together: for demo and tests."""

import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx2

from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.ports import claim
from deploy.runtime.process import tail
from deploy.runtime.services import (
    Broker,
    Certificate,
    Database,
    Guarded,
    OneDatabase,
    certificate,
    free_port,
)
from gateway.clock import WallClock
from gateway.edges.authority import begin
from gateway.settings import Settings
from gateway.store.seal import new_line

_USERS = ("gateway-urgent", "gateway-bulk", "gateway-config")
_SCHEMA_OWNER = "owner"


class CommandFailed(Exception):
    """A command of the gateway refused; the text is what it said."""


@dataclass(slots=True, kw_only=True)
class Stack:
    """Everything of the centre. What is started here ends with us, however we end.

    `environment` is the gateway's settings; changed before `start_gateway`, they are followed.
    """

    folder: Path
    broker: Broker
    database: Database
    store: OneDatabase
    certificate: Certificate
    environment: dict[str, str]
    http_port: int
    gateways: dict[str, Guarded] = field(default_factory=dict[str, Guarded])

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        clock: str = "wall",
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        database: Database | None = None,
        broker_extra: str = "",
        certified: bool = True,
    ) -> Self:
        """Broker, database and schema, but no gateway yet.

        Boxes and gateway show the broker certificates of an authority of its own; not `certified`,
        they say passwords, the boxes over TLS: for figures to compare with.
        `settings` are the gateway's, by name without prefix, over what is set here. With a
        `database` given a new one is made in that cluster; `broker_extra` ends the broker's
        configuration. Raises Stop when `port` is in use.
        """
        password, http_port = secrets.token_urlsafe(16), claim(port)
        tls = certificate(folder / "tls")
        broker = Broker.start(
            folder / "broker",
            passwords=dict.fromkeys(_USERS, password),
            tls=tls,
            authority=_authority(folder) if certified else None,
            config_extra=broker_extra,
        )
        own = database or Database.start(folder / "database")
        stack = cls(
            folder=folder,
            broker=broker,
            database=own,
            store=own.one() if database is None else own.create(f"world_{secrets.token_hex(6)}"),
            certificate=tls,
            environment={},
            http_port=http_port,
        )
        trust = stack._certificates() if certified else stack._passwords(password)
        stack.environment = stack._settings(clock) | trust | dict(settings or {})
        stack.command("migrate")
        return stack

    @property
    def address(self) -> str:
        """Where the board and the API are."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def owner(self) -> str:
        """The database as its owner: for setting up and for counting, never for the gateway."""
        return self.store.dsn(_SCHEMA_OWNER)

    def settings(self) -> Settings:
        """The gateway's settings as an object, for what is set up without a command."""
        return Settings(**self.environment)  # pyright: ignore[reportArgumentType] - parsed by it

    def command(self, *words: str) -> str:
        """Run `gateway …` and return what it printed. Raises CommandFailed."""
        done = subprocess.run(
            [PYTHON, "-P", "-m", "gateway.main", *words],
            env=self._process_environment({}),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"gateway {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def start_gateway(
        self,
        name: str = "gateway",
        *,
        only: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Guarded:
        """Start `gateway run`, or one of its stages, and wait until it is ready to be asked.

        `settings` are this process's own, over the environment of all: see `beside`.
        """
        words = ["run", *(["--only", only] if only else [])]
        process = self.start_program(name, "gateway.main", *words, settings=settings)
        if only is None or "api" in only.split(","):
            listen = (settings or {}).get("http_listen")
            process.wait_until(lambda: self.is_ready(f"http://{listen}" if listen else None))
        return process

    def start_program(
        self, name: str, module: str, *words: str, settings: Mapping[str, str] | None = None
    ) -> Guarded:
        """Start a module of Python with the gateway's settings; it ends with the gateway."""
        process = Guarded.start(
            [PYTHON, "-P", "-m", module, *words],
            log=self.folder / f"{name}.log",
            env=self._process_environment(settings or {}),
        )
        self.gateways[name] = process
        return process

    @staticmethod
    def beside(name: str) -> dict[str, str]:
        """The settings with which a gateway of that name, or its ingest, runs beside others."""
        return {
            "ingest_name": name,
            "http_listen": f"127.0.0.1:{free_port()}",
            "https_listen": f"127.0.0.1:{free_port()}",
        }

    def is_ready(self, address: str | None = None) -> bool:
        """Whether the gateway, or that one, says that all its stages work."""
        try:
            return httpx2.get(f"{address or self.address}/readyz", timeout=2).is_success
        except httpx2.HTTPError:
            return False

    def stop(self) -> None:
        """End gateway, database and broker in good order, in the order in which they need it."""
        for process in self.gateways.values():
            process.stop()
        if self.database.folder.is_relative_to(self.folder):
            self.database.stop()
        else:
            self.database.drop(self.store.name)
        self.broker.stop()

    def complaints(self) -> list[str]:
        """What the gateway logged as an error, and the last word of a process that has ended."""
        found = [
            f"{name} ended: {tail(process.log)}"
            for name, process in self.gateways.items()
            if not process.is_running
        ]
        for log in sorted(self.folder.glob("gateway*.log")):
            found += re.findall(
                r'^.*"level": ?"(?:error|critical)".*$', log.read_text(), re.MULTILINE
            )
        return found

    def _certificates(self) -> dict[str, str]:
        """How boxes and gateway come in by certificates, and how boxes get theirs."""
        boxes = f"127.0.0.1:{free_port()}"
        return {
            "authority": str(self.folder / "authority"),
            "broker_identity": str(self.folder / "authority"),
            "broker_files": str(self.broker.files),
            "edge_listen": boxes,
            "edge_address": boxes,
        }

    def _passwords(self, password: str) -> dict[str, str]:
        return {
            "broker_password": password,
            "broker_password_file": str(self.broker.password_file),
            "edge_broker_ca": str(self.certificate.cert),
        }

    def _settings(self, clock: str) -> dict[str, str]:
        https = free_port()
        return {
            "database": self.store.address,
            "database_owner": self.owner,
            "broker_port": str(self.broker.gateway_port),
            "broker_pid_file": str(self.broker.pid_file),
            "edge_broker": f"mqtts://127.0.0.1:{self.broker.port}",
            "http_listen": f"127.0.0.1:{self.http_port}",
            "https_listen": f"127.0.0.1:{https}",
            "tls_cert": str(self.certificate.cert),
            "tls_key": str(self.certificate.key),
            "public_address": f"127.0.0.1:{https}",
            "clock": clock,
            "production": "false",
            "identity_key": str(_identity_key(self.folder)),
        }

    def _process_environment(self, own: Mapping[str, str]) -> dict[str, str]:
        wanted = {**self.environment, **own}
        told = {f"GATEWAY_{name.upper()}": value for name, value in wanted.items()}
        ours = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        return {**clean_environment(), **ours, **told}


def _authority(folder: Path) -> Path:
    """Its folder: made once, and kept as long as the folder it is in."""
    made = folder / "authority"
    if not (made / "root.pem").exists():
        here = ("127.0.0.1",)
        begin(made, broker_names=here, edge_names=here, now=WallClock().now())
    return made


def _identity_key(folder: Path) -> Path:
    """The key that seals names here: made once, and kept as long as the folder."""
    file = folder / "identity.key"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(new_line())
    return file


def clean_environment() -> dict[str, str]:
    """Give our environment without the settings of gateway or edge that a person may have in it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GATEWAY_", "EDGE_", "PG"))
    }

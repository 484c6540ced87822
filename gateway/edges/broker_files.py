"""What the broker reads: its configuration, who may do what, and a signal to read it again."""

import errno
import os
import re
import signal
import string
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ACL, CONF = "mosquitto.acl", "mosquitto.conf"
AUTHORITY, LIST = "chain.pem", "revoked.pem"
CERTIFICATE, KEY = "broker.pem", "broker.key"
"""The names of the files in the broker's folder (GATEWAY_BROKER_FILES)."""

_HERE = Path(__file__).parent
_DENIED = re.compile(r"^user (\S+)\ntopic deny edges/(\S+)/#$", re.MULTILINE)
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the broker listens, and where it keeps what it must not lose."""

    port: int
    gateway_port: int
    store: Path
    pid_file: Path
    log: Path | None = None
    """Its log file; without one it logs to whoever started it."""
    address: str = LOOPBACK
    user: str = "mosquitto"


def mutual_tls(folder: Path, places: Places, *, accounts: str = "", extra: str = "") -> str:
    """The configuration in which everybody shows a certificate of our authority.

    `folder` holds the files above. `accounts` and `extra` are a test's own lines, for a listener in
    clear beside these.
    """
    return _filled(
        places,
        acl=folder / ACL,
        accounts=accounts,
        boxes=_certified(folder),
        gateway=_certified(folder),
        extra=extra,
    )


def in_clear(
    acl: Path, passwords: Path, places: Places, *, boxes: str = "", extra: str = ""
) -> str:
    """The configuration with accounts, for tests and the plain figures of benchmarks.

    `boxes` may be lines that give the boxes' listener a certificate. Raises ValueError where it
    would listen on other than the loopback address.
    """
    if places.address != LOOPBACK:
        raise ValueError(f"MQTT with passwords is for {LOOPBACK} alone, not {places.address}")
    accounts = f"password_file {passwords}"
    return _filled(places, acl=acl, accounts=accounts, boxes=boxes, gateway="", extra=extra)


def access_list(shut_out: Iterable[str] = ()) -> str:
    """Who may do what at the broker; and the boxes that may do nothing any more.

    >>> print(access_list(["box-1234"])[-46:], end="")
    user box-1234
    topic deny edges/box-1234/#
    """
    rules = (_HERE / ACL).read_text()
    denied = (f"\nuser {edge}\ntopic deny edges/{edge}/#\n" for edge in sorted(set(shut_out)))
    return rules + "".join(denied)


def denied(rules: str) -> list[str]:
    """The boxes that such a list shuts out.

    >>> denied(access_list(["box-1234"]))
    ['box-1234']
    """
    return [edge for edge, topic in _DENIED.findall(rules) if edge == topic]


def reload(pid_file: Path) -> None:
    """Have the broker read its files again; never signal a process that has its old number.

    Raises OSError, and ValueError for a file that holds no number.
    """
    pid = int(pid_file.read_text())
    if b"mosquitto" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        raise ProcessLookupError(errno.ESRCH, "the broker does not run")
    os.kill(pid, signal.SIGHUP)


def _certified(folder: Path) -> str:
    lines = {
        "cafile": folder / AUTHORITY,
        "certfile": folder / CERTIFICATE,
        "keyfile": folder / KEY,
        "crlfile": folder / LIST,
        "require_certificate": "true",
        "use_identity_as_username": "true",
        "tls_version": "tlsv1.2",
    }
    return "\n".join(f"{name} {value}" for name, value in lines.items())


def _filled(places: Places, **words: object) -> str:
    template = string.Template((_HERE / CONF).read_text())
    return template.substitute(
        words,
        port=places.port,
        address=places.address,
        gateway_port=places.gateway_port,
        gateway_address=LOOPBACK,
        store=places.store,
        pid_file=places.pid_file,
        log=f"file {places.log}" if places.log else "stderr",
        user=places.user,
    )

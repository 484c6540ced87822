"""Counts from the broker's log whom it refused, so that operations see it.

Mosquitto says at the door that a handshake or a login failed and why, not who it was: a certificate
that is refused is never named. What a box in session may not do (another's topic) it tells the box
alone, with the reason 0x87; only its debug log, which names every message, would hold it.
"""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

from gateway import log
from gateway.health import Health

_EVERY = 1.0
_QUIET = 60.0
_MOST = 1_000_000
"""Bytes of the log read at a time: the rest waits for the next look."""

_TLS = r"(OpenSSL Error\[0\]|Client connection from \S+ failed): error:\w+:SSL routines::"

KINDS: Mapping[str, re.Pattern[str]] = {
    "certificate": re.compile(
        _TLS + "(certificate verify failed|peer did not return a certificate)"
    ),
    "handshake": re.compile(_TLS + "(?!unexpected eof)"),
    "login": re.compile(r"disconnected, not authori[sz]ed"),
    "packet": re.compile(
        r"disconnected due to (protocol error|malformed packet|oversize packet)"
        r"|on client \S+: Requested QoS not supported"
    ),
    "twin": re.compile(r"already connected, closing old connection"),
    "own files": re.compile(r"Error: Unable to load|Error when reloading"),
}
"""What a line says, by the first that fits; `twin`: two who show the same certificate; `own files`:
the broker cannot read what it should, and goes on with less (see revocation.py)."""

_log = log.get(__name__)


class Refusals:
    """Follows the log from its end, also when it is replaced by a new one."""

    def __init__(self, path: Path, health: Health, *, every: float = _EVERY) -> None:
        self._path = path
        self._every = every
        self._rest = ""
        self._since = dict.fromkeys(KINDS, 0)
        self._told = dict.fromkeys(KINDS, -_QUIET)
        self._at = _size(path)
        self._file = _number(path)
        self._count = health.counter(
            "broker_refusals",
            "Whom the broker refused, by what was wrong; certificate with the canary's own knocks",
            ("kind",),
        )
        for kind in KINDS:
            self._count.labels(kind)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            self.look()

    def look(self) -> None:
        """Count what is new."""
        if _number(self._path) != self._file or _size(self._path) < self._at:
            self._file, self._at, self._rest = _number(self._path), 0, ""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                said = file.read(_MOST)
        except OSError:
            return
        self._at += len(said)
        *lines, self._rest = (self._rest + said.decode(errors="replace")).split("\n")
        for line in lines:
            self._note(line)

    def _note(self, line: str) -> None:
        """The log has one line of each kind a minute, so that no thief can fill it."""
        kind = next((kind for kind, says in KINDS.items() if says.search(line)), None)
        if kind is None:
            return
        self._count.labels(kind).inc()
        self._since[kind] += 1
        if monotonic() - self._told[kind] > _QUIET:
            times, self._since[kind], self._told[kind] = self._since[kind], 0, monotonic()
            _log.warning("the broker refused", kind=kind, times=times, last=line[:200])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _number(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0

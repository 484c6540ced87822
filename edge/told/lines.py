"""Keeps the last lines that the agent has logged, in memory, to be sent when somebody asks."""

import logging
import re
from collections import deque
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

MOST = 24_000
"""Bytes of lines that are kept and sent: the gateway takes no more."""
HIDDEN = "…"
"""Stands for what is nobody's to read: addresses that are not of this home, and secrets."""

_LONGEST = 2_000  # letters of one line with what is under it
_ADDRESS = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[:_-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f])")
_URL = re.compile(r"//[^/\s@]+@")
_SHORTEST_SECRET = 4


class LastLines(logging.Handler):
    """A handler like any other; what is written for debugging is left to the journal."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines = deque[str]()
        self._octets = 0
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        at = datetime.fromtimestamp(record.created, UTC)
        line = f"{at:%Y-%m-%d %H:%M:%S} {self.format(record)}"[:_LONGEST]
        self._lines.append(line)
        self._octets += _octets(line)
        while self._octets > MOST:
            self._octets -= _octets(self._lines.popleft())

    def text(self, placed: Collection[str], secrets: Iterable[str] = ()) -> str:
        """The newest lines, the newest last, `MOST` bytes at most.

        `placed` are the addresses of this home's own devices; every other one is hidden.
        """
        text = scrubbed("\n".join(self._lines), placed, secrets)
        octets = text.encode(errors="replace")
        if len(octets) <= MOST:
            return text
        return octets[-MOST:].decode(errors="ignore").partition("\n")[2]


def scrubbed(text: str, placed: Collection[str], secrets: Iterable[str] = ()) -> str:
    """The text without what is nobody's to read."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    text = _URL.sub(f"//{HIDDEN}@", text)
    return _ADDRESS.sub(lambda found: found[0] if _written(found[0]) in placed else HIDDEN, text)


def _written(address: str) -> str:
    return address.upper().replace("-", ":").replace("_", ":")


def _octets(line: str) -> int:
    return len(line.encode(errors="replace")) + 1

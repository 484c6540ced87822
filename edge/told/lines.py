"""What the agent logs: to the journal, and its last lines in memory, for when somebody asks."""

import json
import logging
import re
import sys
from collections import deque
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

MOST = 24_000
"""Bytes of lines, as JSON, that are kept and sent: the gateway takes little more."""
HIDDEN = "…"
"""Stands for what is nobody's to read: addresses that are not of this home, and secrets."""

_TALKATIVE = ("bleak", "bleak_retry_connector", "dbus_fast")
_LONGEST = 2_000  # letters of one line with what is under it
_ADDRESS = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[:_-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f])")
_URL = re.compile(r"//[^/\s@]+@")
_SHORTEST_SECRET = 4


def log_to_stderr(level: str) -> None:
    """Of ourselves alone, what is for debugging: others write down every neighbour's address."""
    logging.basicConfig(
        level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    if level == "DEBUG":
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.INFO)


class LastLines(logging.Handler):
    """A handler like any other; what is written for debugging is left to the journal."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines = deque[str]()
        self._octets = 0
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        at = datetime.fromtimestamp(record.created, UTC)
        line = _printable(f"{at:%Y-%m-%d %H:%M:%S} {self.format(record)}"[:_LONGEST])
        self._lines.append(line)
        self._octets += _octets(line)
        while self._octets > MOST:
            self._octets -= _octets(self._lines.popleft())

    def text(self, placed: Collection[str], secrets: Iterable[str] = ()) -> str:
        """The newest lines, the newest last, `MOST` bytes at most.

        `placed` are the addresses of this home's own devices; every other one is hidden.
        """
        return scrubbed("\n".join(self._lines), placed, secrets)


def scrubbed(text: str, placed: Collection[str], secrets: Iterable[str] = ()) -> str:
    """The text without what is nobody's to read."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    text = _URL.sub(f"//{HIDDEN}@", text)
    return _ADDRESS.sub(lambda found: found[0] if _written(found[0]) in placed else HIDDEN, text)


def _written(address: str) -> str:
    return address.upper().replace("-", ":").replace("_", ":")


def _printable(line: str) -> str:
    return "".join(one if one.isprintable() or one == "\n" else " " for one in line)


def _octets(line: str) -> int:
    """As a part of the answer's JSON text."""
    return len(json.dumps(line, ensure_ascii=False).encode(errors="replace"))

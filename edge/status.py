"""What `edge status` says: the spool as it lies on disk, and what the running agent last wrote."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from adapters.frame import LANES, Lane
from edge.disk import holder
from edge.files import write_atomically
from edge.identity import FILE, BadIdentity, read_identity
from edge.ranges import Ranges

STATUS = "status.json"
"""What the running agent writes in the home folder."""
SPOOL = "spool.sqlite"
"""The spool's name in the home folder."""

Depths = Mapping[Lane, tuple[int, int | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`said` is the running agent's own word; without a running agent it is its last one."""

    edge: str | None
    broker: str | None
    running: bool
    depths: Depths
    said: Mapping[str, Any]

    def as_json(self) -> str:
        lanes = {
            lane: {"depth": depth, "oldest": oldest}
            for lane, (depth, oldest) in self.depths.items()
        }
        about = {"edge": self.edge, "broker": self.broker, "running": self.running}
        return json.dumps(about | lanes | {"agent": dict(self.said)})

    def as_text(self, now: datetime) -> str:
        """A few lines for a person at the box."""
        lines = [
            f"box      {self.edge or 'has not joined'}",
            f"agent    {'running' if self.running else 'not running'}{self._since(now)}",
            f"broker   {self.broker or '-'}{self._line()}",
            f"radio    {self.said.get('reader', '-') if self.running else '-'}",
            f"config   version {self.said.get('config', 0)}{self._refused()}",
        ]
        lines += [_lane(lane, *self.depths[lane], now) for lane in self.depths]
        return "\n".join(lines)

    def _since(self, now: datetime) -> str:
        written = self.said.get("at")
        return f", last word {_ago(written, now)}" if isinstance(written, int) else ""

    def _line(self) -> str:
        if not self.running:
            return ""
        return ", connected" if self.said.get("connected") else ", not connected"

    def _refused(self) -> str:
        why = self.said.get("refused")
        return f"; a newer one was refused: {why}" if why else ""


def write_status(home: Path, said: Mapping[str, Any]) -> None:
    """Called by the running agent. Raises OSError."""
    write_atomically(home / STATUS, json.dumps(dict(said)).encode(), durable=False)


def read_status(home: Path) -> Status:
    """Look without touching. Raises OSError and sqlite3.Error when the folder cannot be read."""
    edge = broker = None
    try:
        identity = read_identity((home / FILE).read_bytes())
        edge, broker = identity.edge, identity.broker
    except (FileNotFoundError, BadIdentity):
        pass
    said = _said(home / STATUS)
    return Status(
        edge=edge or said.get("edge"),
        broker=broker or said.get("broker"),
        running=holder(home / SPOOL),
        depths=peek(home / SPOOL) if (home / SPOOL).exists() else dict.fromkeys(LANES, (0, None)),
        said=said,
    )


def peek(path: Path) -> Depths:
    """Depth and oldest frame of each lane, from another process. Raises sqlite3.Error."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        return {lane: _peek(connection, lane) for lane in LANES}
    finally:
        connection.close()


def _peek(connection: sqlite3.Connection, lane: Lane) -> tuple[int, int | None]:
    depth, oldest = 0, list[int]()
    for number, following, ranges, _ in connection.execute(
        "SELECT s.id, s.next, r.ranges, max(r.hour) FROM stream s"
        " LEFT JOIN receipted r ON r.stream = s.id WHERE s.lane = ? GROUP BY s.id",
        (lane,),
    ).fetchall():
        receipted = Ranges((first, last) for first, last in json.loads(ranges or "[]"))
        depth += following - 1 - receipted.count(below=following)
        gap = receipted.gap(1, below=following)
        row = (
            gap
            and connection.execute(
                "SELECT at FROM frame WHERE stream = ? AND sequence BETWEEN ? AND ? LIMIT 1",
                (number, *gap),
            ).fetchone()
        )
        oldest += [int(row[0])] if row else []
    return depth, min(oldest, default=None)


def _said(path: Path) -> Mapping[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _lane(lane: Lane, depth: int, oldest: int | None, now: datetime) -> str:
    waits = "frame waits" if depth == 1 else "frames wait"
    age = f", the oldest heard {_ago(oldest, now)}" if oldest is not None else ""
    return f"{lane:<8} {depth} {waits}{age}"


def _ago(at: int, now: datetime) -> str:
    then = datetime.fromtimestamp(at / 1000, UTC)
    return f"{timedelta(seconds=max(0, int((now - then).total_seconds())))} ago"

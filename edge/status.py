"""What `edge status` says: the spool as it lies on disk, and what the running agent last wrote."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from adapters.frame import LANES, Lane
from edge.files import write_atomically
from edge.joining.identity import FILE, BadIdentity, read_identity
from edge.keeping.disk import SPOOL, connect_reading, holder, noted
from edge.keeping.ranges import Ranges
from edge.keeping.room import NOTE, Cost
from edge.keeping.stream import NEXT

STATUS = "status.json"
"""What the running agent writes in the home folder."""

_RECENT = timedelta(days=3)
"""How long a full card is a trouble: so long must a restored gateway be able to be filled."""
_LONG = timedelta(hours=1)
_SECOND = 2  # the path of the state message
_LATEST = 253_402_300_799_000  # milliseconds since 1970: the last year that a date can have
_TABLES = ("stream", "frame", "receipted", "note")
_MONTH = 30.0  # days without the gateway that a box should be able to bear

Depths = Mapping[Lane, tuple[int, int | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`said` is the running agent's own word; without a running agent it is its last one.

    `cost` is what a full memory card has cost, None for a card that never was full.
    """

    edge: str | None
    broker: str | None
    running: bool
    depths: Depths
    said: Mapping[str, Any]
    cost: Cost | None = None

    def as_json(self) -> str:
        lanes = {
            lane: {"depth": depth, "oldest": oldest}
            for lane, (depth, oldest) in self.depths.items()
        }
        about = {"edge": self.edge, "broker": self.broker, "running": self.running}
        card = {
            "card_full": self.cost and asdict(self.cost),
            "room_days": self.said.get("room_days"),
        }
        return json.dumps(about | lanes | card | {"agent": dict(self.said)})

    def troubles(self, now: datetime) -> list[str]:
        """What somebody should look at, a few words each; nothing when all is well."""
        recent = self.cost is not None and _since(self.cost.at, now) < _RECENT
        waits = [oldest for _, oldest in self.depths.values() if oldest is not None]
        found = {
            "it has not joined": self.edge is None,
            "the agent does not run": not self.running,
            "the agent has no connection": self.running and not self.said.get("connected"),
            "calls go by the second way": self.running and self._is_second(),
            "the radio is silent": self.running and self.said.get("reader") == "silent",
            "a configuration was refused": bool(self.said.get("refused")),
            "the memory card was full": recent or bool(self.said.get("unkept")),
            "the disk does not keep what it is given": bool(self.said.get("trouble")),
            "there is room for less than 30 days": self._is_short(),
            "frames wait for long": any(_since(oldest, now) > _LONG for oldest in waits),
        }
        return [words for words, true in found.items() if true]

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
        lines += self._card(now)
        if troubles := self.troubles(now):
            lines.append(f"trouble  {'; '.join(troubles)}")
        return "\n".join(lines)

    def _since(self, now: datetime) -> str:
        written = self.said.get("at")
        return f", last word {_ago(written, now)}" if isinstance(written, int) else ""

    def _days(self) -> float | None:
        """For how many days there is room, where the agent says it in a number that can be."""
        days = self.said.get("room_days")
        return float(days) if isinstance(days, int | float) and abs(days) < _LATEST else None

    def _is_short(self) -> bool:
        return (days := self._days()) is not None and days < _MONTH

    def _line(self) -> str:
        if not self.running:
            return ""
        way = " by the second way" if self._is_second() else ""
        return f", connected{way}" if self.said.get("connected") else ", not connected"

    def _is_second(self) -> bool:
        return self.said.get("path") == _SECOND

    def _refused(self) -> str:
        why = self.said.get("refused")
        return f"; a newer one was refused: {why}" if why else ""

    def _card(self, now: datetime) -> list[str]:
        lines = list[str]()
        if (days := self._days()) is not None:
            lines.append(f"room     for {days:g} days more")
        if trouble := self.said.get("trouble"):
            lines.append(f"disk     {trouble}: frames are held in memory and sent from there")
        if self.cost is not None:
            early, given_up = self.cost.early, self.cost.given_up
            lines.append(
                f"card     was full {_ago(self.cost.at, now)}: {early} receipted frames let go of"
                f" early, {given_up} given up unsent"
            )
        if unkept := self.said.get("unkept"):
            lines.append(f"card     is full: {unkept} frames could not be kept")
        return lines


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
    spooled = (home / SPOOL).exists()
    return Status(
        edge=edge or said.get("edge"),
        broker=broker or said.get("broker"),
        running=holder(home / SPOOL),
        depths=peek(home / SPOOL) if spooled else dict.fromkeys(LANES, (0, None)),
        said=said,
        cost=peek_cost(home / SPOOL) if spooled else None,
    )


def peek(path: Path, *, alone: bool = False) -> Depths:
    """Depth and oldest frame of each lane, from another process. Raises sqlite3.Error.

    `alone`: no agent runs, and the card may take no writes.
    """
    with closing(connect_reading(path, alone=alone)) as connection:
        if not _is_begun(connection):
            return dict.fromkeys(LANES, (0, None))
        return {lane: _peek(connection, lane) for lane in LANES}


def peek_cost(path: Path) -> Cost | None:
    """What a full card has cost, from another process. Raises sqlite3.Error."""
    with closing(connect_reading(path)) as connection:
        return Cost.noted(noted(connection, NOTE)) if _is_begun(connection) else None


def _is_begun(connection: sqlite3.Connection) -> bool:
    """Whether the tables are there: power may go right after the file has its name."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return names.issuperset(_TABLES)


def _peek(connection: sqlite3.Connection, lane: Lane) -> tuple[int, int | None]:
    depth, oldest = 0, list[int]()
    for number, following, ranges, _ in connection.execute(
        f"SELECT s.id, {NEXT}, r.ranges, max(r.hour) FROM stream s"  # noqa: S608 - ours
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
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _lane(lane: Lane, depth: int, oldest: int | None, now: datetime) -> str:
    waits = "frame waits" if depth == 1 else "frames wait"
    age = f", the oldest heard {_ago(oldest, now)}" if oldest is not None else ""
    return f"{lane:<8} {depth} {waits}{age}"


def _since(at: int, now: datetime) -> timedelta:
    """Of a time that no clock can have shown: of the nearest that one can."""
    return now - datetime.fromtimestamp(min(max(at, 0), _LATEST) / 1000, UTC)


def _ago(at: int, now: datetime) -> str:
    return f"{timedelta(seconds=max(0, int(_since(at, now).total_seconds())))} ago"

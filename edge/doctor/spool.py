"""What waits in the box for the gateway, looked at without touching it."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from adapters.frame import Lane
from edge.doctor.verdict import Verdict, bad, lasting, ok, warn
from edge.keeping.disk import SPOOL, connect_reading
from edge.status import Depths, peek

_CALLS, _LONG = 60.0, 3_600.0
"""Seconds that a call, or anything, may wait for its receipt before somebody should look."""
_HOUR = 3_600.0
_LATEST = 253_402_300_799.0  # seconds since 1970: the last year that a date can have
_LINE = "look at link and broker above; nothing is lost meanwhile"
_GATEWAY = "the way is open and no receipts come: whoever runs the gateway looks at its /readyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """`receipt` is when the last one came, to the hour, as seconds since 1970."""

    there: bool = True
    failed: str | None = None
    depths: Depths = field(default_factory=dict[Lane, "tuple[int, int | None]"])
    streams: int = 0
    receipt: float | None = None
    size: int = 0
    connected: bool = False


def read_spool(home: Path, *, said: Mapping[str, object], running: bool) -> Spooled:
    """Beside a running agent, or on a card that takes no writes."""
    path = home / SPOOL
    try:
        if not path.exists():
            return Spooled(there=False)
        depths = peek(path, alone=not running)
        with closing(connect_reading(path, alone=not running)) as connection:
            streams = connection.execute("SELECT count(*) FROM stream").fetchone()[0]
            hour = connection.execute("SELECT max(hour) FROM receipted").fetchone()[0]
        size = path.stat().st_size
    except (OSError, sqlite3.Error) as error:
        return Spooled(failed=str(error))
    return Spooled(
        depths=depths,
        streams=int(streams),
        receipt=None if hour is None else hour * _HOUR,
        size=size,
        connected=running and bool(said.get("connected")),
    )


def judge_spool(spool: Spooled, now: datetime) -> Verdict:
    """What waits, and for how long."""
    if not spool.there:
        return ok("there is none yet: the agent makes it at its first start")
    if spool.failed is not None:
        return bad(
            f"it cannot be read: {spool.failed}",
            "restart the box; if it says so again, change the memory card",
        )
    waits: dict[Lane, float] = {
        lane: now.timestamp() - oldest / 1_000
        for lane, (depth, oldest) in spool.depths.items()
        if depth and oldest is not None
    }
    found = _found(spool, waits, now)
    then = _GATEWAY if spool.connected else _LINE
    if waits.get("urgent", 0) > _CALLS:
        return bad(f"calls wait: {found}", then)
    if max(waits.values(), default=0) > _LONG:
        return warn(found, then)
    return ok(found)


def _found(spool: Spooled, waits: Mapping[Lane, float], now: datetime) -> str:
    told = [_lane(lane, depth, waits.get(lane)) for lane, (depth, _) in spool.depths.items()]
    told.append(_receipt(spool.receipt, now))
    told.append(f"{spool.streams} streams, {spool.size / 1e6:.1f} MB")
    return ", ".join(told)


def _lane(lane: Lane, depth: int, waits: float | None) -> str:
    age = "" if waits is None else f" (the oldest heard {lasting(max(0.0, waits))} ago)"
    return f"{depth} {lane} {'frame waits' if depth == 1 else 'frames wait'}{age}"


def _receipt(at: float | None, now: datetime) -> str:
    """By the hour in which it came; one that came to a wrong clock has none."""
    if at is None:
        return "no receipt has ever come"
    if at > _LATEST:
        return "receipts came while the clock was wrong"
    age = now.timestamp() - at
    return f"the last receipt came {'lately' if age <= 2 * _HOUR else lasting(age) + ' ago'}"

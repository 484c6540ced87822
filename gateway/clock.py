"""The one source of time: the wall's, moved by an offset, or driven by a replay."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

_START = datetime.fromtimestamp(0, UTC)


class BadClock(ValueError):
    """The clock setting is none of `wall`, `offset:SECONDS` and `driven:PATH`: mend the setting."""


class Clock(Protocol):
    """What time it is. Nothing else decides, neither `datetime.now()` nor SQL's `now()`.

    `now` is aware UTC, `now_ms` whole milliseconds since 1970. A `driven` clock stands still
    between the steps of a replay.
    """

    @property
    def driven(self) -> bool: ...
    def now(self) -> datetime: ...
    def now_ms(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WallClock:
    """The machine's clock, moved by `offset` (zero in production)."""

    offset: timedelta = timedelta()
    driven: bool = False

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivenClock:
    """A clock that stands still until the file holding its one ISO-8601 time is replaced.

    The file is replaced by renaming another onto it, so that a half-written one is never read.
    """

    path: Path
    driven: bool = True

    def now(self) -> datetime:
        return datetime.fromisoformat(self.path.read_text().strip()).astimezone(UTC)

    def now_ms(self) -> int:
        return milliseconds(self.now())


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (moment - _START) // timedelta(milliseconds=1)


def clock_from(setting: str) -> Clock:
    """The clock that `wall`, `offset:SECONDS` or `driven:PATH` asks for.

    Raises BadClock for any other text.
    """
    kind, _, rest = setting.partition(":")
    if setting == "wall":
        return WallClock()
    if kind == "driven" and rest:
        return DrivenClock(path=Path(rest))
    if kind == "offset":
        return WallClock(offset=_seconds(rest))
    raise BadClock(f"{setting!r} is none of wall, offset:SECONDS and driven:PATH")


def _seconds(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError) as error:
        raise BadClock(f"offset:{text} is not a number of seconds") from error

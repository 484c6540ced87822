"""What time the box believes it is, how sure it is, and the uptime that never steps."""

import ctypes
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

from adapters.frame import Clock as ClockState

Synchronised = Literal["auto", "yes", "no"]

STEP = 2.0
"""Seconds that wall time and uptime may drift apart in one look: the gateway's own measure."""

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMESYNCD_MARK = Path("/run/systemd/timesync/synchronized")
_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64-bit and 128 on 32-bit Linux


class BadClock(ValueError):
    """The clock setting is none of `wall`, `offset:SECONDS` and `driven:PATH`: mend the setting."""


@cache
def boot_id() -> str:
    """The kernel's random name of this boot; the process cannot live into another."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Clock(Protocol):
    """The box's one source of time.

    `now` is aware UTC; `now_ms` is whole milliseconds since 1970. `uptime` is seconds since the
    boot that `boot` names, running on through suspend, and is never stepped by a time server.
    """

    @property
    def driven(self) -> bool: ...
    @property
    def boot(self) -> str: ...
    def now(self) -> datetime: ...
    def now_ms(self) -> int: ...
    def uptime(self) -> float: ...
    def synchronised(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class _Uptime:
    """What every clock has: this boot, its uptime, and whether the kernel trusts the time."""

    force: Synchronised = "auto"
    boot: str = field(default_factory=boot_id)

    def uptime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def synchronised(self) -> bool:
        return kernel_is_synchronised() if self.force == "auto" else self.force == "yes"


@dataclass(frozen=True, kw_only=True)
class WallClock(_Uptime):
    """The machine's clock, moved by `offset` (zero in production)."""

    offset: timedelta = timedelta()
    driven: bool = False

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset // timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True)
class DrivenClock(_Uptime):
    """A clock that stands still until the file holding its one ISO-8601 time is replaced."""

    path: Path
    driven: bool = True

    def now(self) -> datetime:
        return datetime.fromisoformat(self.path.read_text().strip()).astimezone(UTC)

    def now_ms(self) -> int:
        return (self.now() - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)

    def synchronised(self) -> bool:
        return self.force != "no"


def clock_from(setting: str, *, synchronised: Synchronised = "auto") -> Clock:
    """The clock that `wall`, `offset:SECONDS` or `driven:PATH` asks for.

    Raises BadClock for any other text.
    """
    kind, _, rest = setting.partition(":")
    if setting == "wall":
        return WallClock(force=synchronised)
    if kind == "driven" and rest:
        return DrivenClock(path=Path(rest), force=synchronised)
    if kind == "offset":
        return WallClock(offset=_seconds(rest), force=synchronised)
    raise BadClock(f"{setting!r} is none of wall, offset:SECONDS and driven:PATH")


class Steps:
    """Notices that the wall clock was set: it and the uptime no longer run side by side."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apart = self._difference()
        self._was_sure = clock.synchronised()

    def look(self) -> tuple[float, bool] | None:
        """By how many seconds since the last look, and whether it is right for the first time.

        None where it was not set. A driven clock is set all the time, which says nothing.
        """
        before, self._apart = self._apart, self._difference()
        first = self._clock.synchronised() and not self._was_sure
        self._was_sure |= first
        moved = self._apart - before
        if self._clock.driven or not (first or abs(moved) > STEP):
            return None
        return moved, first

    def _difference(self) -> float:
        return self._clock.now_ms() / 1_000 - self._clock.uptime()


def state(clock: Clock) -> ClockState:
    """The clock as a batch carries it."""
    return ClockState(
        synchronised=clock.synchronised(), boot=clock.boot, uptime=round(clock.uptime(), 3)
    )


def kernel_is_synchronised() -> bool:
    """Whether the kernel says that something keeps its clock true: adjtimex(2), only read.

    systemd-timesyncd, chrony and ntpd all tell the kernel; none needs to be asked by name. Where
    the kernel may not be asked (a container), timesyncd's own mark decides.
    """
    libc = ctypes.CDLL(None)
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0 at the front: change nothing
    answer: int = libc.adjtimex(timex)
    if answer < 0:
        return _TIMESYNCD_MARK.exists()
    return answer != _TIME_ERROR


def _seconds(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError) as error:
        raise BadClock(f"offset:{text} is not a number of seconds") from error

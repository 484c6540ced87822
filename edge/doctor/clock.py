"""Whether the box knows what time it is, by the kernel's own word."""

import ctypes
from dataclasses import dataclass
from datetime import UTC, datetime

from edge.clock import kernel_is_synchronised
from edge.doctor.verdict import Verdict, bad, lasting, ok, warn

_FAR = 1.0
"""Seconds that a synchronised clock may be off before somebody should look."""
_EARLIEST = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""No box of this program has been built before."""
_NTP = "let NTP (UDP 123) through at the home's router, then: timedatectl timesync-status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """`shows` is seconds since 1970; `off` how many seconds it is wrong at most, where told."""

    shows: float
    synchronised: bool
    off: float | None = None
    earliest: float = _EARLIEST


class _Timex(ctypes.Structure):
    """The beginning of struct timex of adjtimex(2), which is longer: room is left for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 400),
    )


def read_time(shows: float, *, synchronised: bool | None = None, proved: float = 0.0) -> Time:
    """Asks the kernel and changes nothing: `modes` is 0.

    `synchronised` where a setting says it; `proved`: a time that the agent found to be right.
    """
    timex = _Timex()
    answer = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    return Time(
        shows=shows,
        synchronised=kernel_is_synchronised() if synchronised is None else synchronised,
        off=None if answer < 0 or synchronised is not None else timex.maxerror / 1e6,
        earliest=max(_EARLIEST, proved),
    )


def judge_time(time: Time) -> Verdict:
    """A wrong clock costs no frame: the gateway reckons by the uptime and marks it."""
    shows = f"it shows {datetime.fromtimestamp(time.shows, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if time.synchronised:
        off = "" if time.off is None else f", at most {_short(time.off)} off"
        if time.off is not None and time.off >= _FAR:
            return warn(f"synchronised{off}: {shows}", _NTP)
        return ok(f"synchronised{off}: {shows}")
    if time.shows < time.earliest:
        return bad(f"not synchronised, and cannot be right: {shows}", _NTP)
    return warn(f"not synchronised: {shows}; times are corrected at the gateway", _NTP)


def _short(seconds: float) -> str:
    return f"{seconds * 1_000:.0f} ms" if seconds < _FAR else lasting(seconds)

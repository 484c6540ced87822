"""What is said of one part of the box: how it is, what was found, and what to do next."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "bad", "unknown"]
WORST: tuple[State, ...] = ("bad", "warn", "unknown", "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`next` is what to do, empty where there is nothing to be done."""

    state: State
    found: str
    next: str = ""


def first(*cases: tuple[bool, Verdict], otherwise: Verdict) -> Verdict:
    """The verdict of the first case that is so; the worst stand first."""
    return next((verdict for is_so, verdict in cases if is_so), otherwise)


def ok(found: str) -> Verdict:
    """It is as it should be."""
    return Verdict(state="ok", found=found)


def warn(found: str, then: str) -> Verdict:
    """It works, and somebody should look at it."""
    return Verdict(state="warn", found=found, next=then)


def bad(found: str, then: str) -> Verdict:
    """It keeps the box from its duty."""
    return Verdict(state="bad", found=found, next=then)


def unknown(found: str) -> Verdict:
    """It cannot be known here, which is no trouble by itself."""
    return Verdict(state="unknown", found=found)


_UNITS = ((2 * 86_400.0, 86_400.0, "days"), (2 * 3_600.0, 3_600.0, "h"), (120.0, 60.0, "min"))


def lasting(seconds: float) -> str:
    """Return "40 s", "5 min", "3 h" or "12 days"."""
    for least, unit, name in _UNITS:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def sized(octets: float) -> str:
    """Return "3 kB", "12 MB" or "1.4 GB"."""
    if octets >= 1e9:  # noqa: PLR2004 - a gigabyte
        return f"{octets / 1e9:.1f} GB"
    return f"{octets / 1e6:.0f} MB" if octets >= 1e6 else f"{octets / 1e3:.0f} kB"  # noqa: PLR2004

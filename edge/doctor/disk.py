"""Whether the memory card takes what it is given, has room, and how worn it is."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.doctor.verdict import Verdict, bad, first, ok, sized, warn

SYS = Path("/sys")
UPTIME = Path("/proc/uptime")
_DAY = 86_400.0
_SECTOR = 512
_WRITTEN = 6
"""The field of a block device's `stat` with the sectors written.

Source: Linux, Documentation/block/stat.rst.
"""
_PLENTY, _LITTLE, _NOTHING = 1e12, 500e6, 20e6
"""Bytes free below which somebody should look, and below which nothing fits."""
_MUCH = 10e9
"""Bytes written a day beyond which a memory card does not last: the box itself writes some MB."""
_WORN = 80
"""Percent of its life that an eMMC may have used; it counts in steps of ten."""
_SHORT = 7.0
"""Days of room below which a week away would cost frames: the gateway's own measure."""
_LEAST_UPTIME = 600.0
_CHANGE = "change the memory card: gateway edges replace BOX keeps the home"
_SPOOL = "raise EDGE_SPOOL_MB if the card has room, else put in a larger one"
_WRITES = "look what writes (iotop -a): a card wears out by it"
_FULL = "look what fills it (du -x / | sort -n | tail) or put in a larger card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """`errors` are those that ext4 has counted, `worn` percent of an eMMC's life, at most.

    `written` is bytes a day since the start. `trouble` and `room_days` are the agent's word.
    """

    failed: str | None = None
    free: int | None = None
    read_only: bool = False
    errors: int | None = None
    worn: int | None = None
    written: float | None = None
    room_days: float | None = None
    trouble: str | None = None


def read_disk(
    home: Path,
    *,
    room_days: float | None,
    trouble: str | None,
    sys: Path = SYS,
    uptime: Path = UPTIME,
) -> Disk:
    """Of the file system that holds the box's folder; nothing is written to know."""
    try:
        card, device = os.statvfs(home), home.stat().st_dev
    except OSError as error:
        return Disk(failed=error.strerror or type(error).__name__, trouble=trouble)
    place = (sys / f"dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    return Disk(
        free=card.f_bavail * card.f_frsize,
        read_only=bool(card.f_flag & os.ST_RDONLY),
        errors=_number(sys / "fs/ext4" / place.name / "errors_count"),
        worn=_worn(place),
        written=_written(place / "stat", uptime),
        room_days=room_days,
        trouble=trouble,
    )


def judge_disk(disk: Disk) -> Verdict:
    """The worst first; what is found is told in any case."""
    found = _found(disk)
    free = _PLENTY if disk.free is None else disk.free
    days = _SHORT if disk.room_days is None else disk.room_days
    return first(
        (
            disk.failed is not None,
            bad(f"the box's folder cannot be looked at: {disk.failed}", _CHANGE),
        ),
        (disk.read_only, bad(f"the card takes no writes{found}", _CHANGE)),
        (
            disk.trouble == "storage_failed",
            bad(f"the card fails: frames are held in memory{found}", _CHANGE),
        ),
        (
            disk.trouble is not None or free < _NOTHING,
            bad(f"the card is full{found}", _FULL),
        ),
        (
            bool(disk.errors),
            bad(f"the file system has counted {disk.errors} errors{found}", _CHANGE),
        ),
        (
            (disk.worn or 0) >= _WORN,
            warn(f"the card has used up to {disk.worn} % of its life{found}", _CHANGE),
        ),
        (free < _LITTLE, warn(f"the card is nearly full{found}", _FULL)),
        (days < _SHORT, warn(f"there is little room for frames{found}", _SPOOL)),
        ((disk.written or 0) > _MUCH, warn(f"much is written{found}", _WRITES)),
        otherwise=ok(found.removeprefix(", ")),
    )


def _found(disk: Disk) -> str:
    told = [
        "" if disk.free is None else f"{sized(disk.free)} free",
        "" if disk.room_days is None else f"room for {disk.room_days:g} days of frames",
        "" if disk.written is None else f"{sized(disk.written)} written a day",
        "" if disk.worn is None else f"at most {disk.worn} % worn",
    ]
    return "".join(f", {one}" for one in told if one)


def _written(stat: Path, uptime: Path) -> float | None:
    """Bytes a day since the start; None in its first minutes, when all is read and written."""
    try:
        sectors = int(stat.read_text().split()[_WRITTEN])
        running = float(uptime.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return None if running < _LEAST_UPTIME else sectors * _SECTOR / running * _DAY


def _worn(place: Path) -> int | None:
    """The worse of an eMMC's two estimates; SD cards have none.

    Source: Linux, Documentation/driver-api/mmc/mmc-dev-attrs.rst; JEDEC JESD84-B51,
    DEVICE_LIFE_TIME_EST_TYP: 0x01 is 0 to 10 percent, 0x0B is beyond its life.
    """
    for device in (place / "device", place.parent / "device"):
        with suppress(OSError, ValueError):
            steps = [int(one, 16) for one in (device / "life_time").read_text().split()]
            return min(max(steps), 10) * 10 if steps and max(steps) else None
    return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None

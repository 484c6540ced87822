"""What processes cost: seconds of CPU and megabytes of memory, as /proc tells (proc(5))."""

import asyncio
import contextlib
import math
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PARENT = 1
_OWN, _WITH_CHILDREN = slice(11, 13), slice(11, 15)
"""Fields after the command's name: utime, stime, and of children that ended cutime, cstime."""
_KB = 1_024
_MB = 1_000_000
_EVERY = 0.5


def cpu(pid: int, *, children: bool = False) -> float:
    """Seconds of CPU that a process has used; 0 when it is gone.

    With `children` also those of the ones that it started, running or ended: a database.
    """
    fields = _fields(pid)
    if not fields:
        return 0.0
    used = sum(map(int, fields[_WITH_CHILDREN if children else _OWN])) * _TICK
    return used + (sum(cpu(child) for child in children_of(pid)) if children else 0.0)


def children_of(pid: int) -> list[int]:
    """The processes that this one has started and that still run."""
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return [one for one in numbers if (fields := _fields(one)) and int(fields[_PARENT]) == pid]


def resident_mb(pid: int) -> float:
    """Megabytes (10^6 bytes) of memory that a process holds; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * _KB / _MB
    return 0.0


def percentile(numbers: Iterable[float], percent: float) -> float:
    """The smallest number that so many per cent of them do not exceed; 0 of none."""
    ordered = sorted(numbers)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * percent / 100) - 1)]


def written(pid: int) -> int:
    """Bytes that a process has had written to the disk, as pages; 0 when it is gone.

    The file system's own journal is not in it.
    """
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
    return 0


@dataclass(slots=True)
class Meter:
    """CPU and memory of named processes since `start`; several processes may have one name."""

    pids: Mapping[str, Collection[int]]
    forking: Collection[str] = ()
    """Names whose processes do their work in children."""
    memory: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """Megabytes of each, every half second while `watching`."""
    before: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds that each had used at `start`."""

    def start(self) -> None:
        """Count from now on."""
        self.before = self._cpu()
        self.memory.clear()

    def seconds(self) -> dict[str, float]:
        """Seconds of CPU by name since `start`."""
        return {name: used - self.before[name] for name, used in self._cpu().items()}

    def cores(self, seconds: float) -> dict[str, float]:
        """How many processors each kept busy in so many seconds since `start`."""
        return {name: round(used / seconds, 3) for name, used in self.seconds().items()}

    async def watching(self) -> None:
        """Look at the memory until cancelled."""
        while True:
            for name, pids in self.pids.items():
                held = sum(resident_mb(pid) for pid in pids)
                self.memory.setdefault(name, []).append(held)
            await asyncio.sleep(_EVERY)

    def _cpu(self) -> dict[str, float]:
        return {
            name: sum(cpu(pid, children=name in self.forking) for pid in pids)
            for name, pids in self.pids.items()
        }


def settled(memory: Iterable[float]) -> list[float]:
    """Memory after the first tenth of the time, in which a process fills its caches."""
    looks = list(memory)
    return looks[len(looks) // 10 :]


def is_flat(memory: Iterable[float], *, within: float = 0.1) -> bool:
    """Whether the memory, once settled, stayed within a share of its middle, up and down."""
    looks = settled(memory)
    if not looks:
        return False
    middle = (min(looks) + max(looks)) / 2
    return max(looks) <= middle * (1 + within)


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []

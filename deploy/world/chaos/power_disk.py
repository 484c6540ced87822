"""A disk whose power can be cut: a plugin for nbdkit, run by it and by nobody else.

What is written goes into a volatile cache and reaches the image with a flush. At a cut a random
half of the 512-byte sectors in the cache survives, so that a write may be torn anywhere between
two sectors; from then on every request fails with EIO, until the power is back. nbdkit hands
requests over one at a time (its rule for plugins in Python) and makes EIO of an exception.
`image` and `switch` name files; the second is shared with power_rig.py and read at every request.
"""

import mmap
import os
import random
import struct
from pathlib import Path

API_VERSION = 2
SECTOR = 512
SWITCH = struct.Struct("<qQq")
"""Writes and flushes until the cut (0: none is planned), its seed, and whether the power is off."""


class PowerIsOff(Exception):
    """The disk answers nothing more."""


class Disk:
    """The image, what has been written since the last flush, and the switch."""

    def __init__(self, image: Path, switch: Path) -> None:
        self._image = os.open(image, os.O_RDWR)
        with switch.open("r+b") as opened:
            self._switch = mmap.mmap(opened.fileno(), SWITCH.size)
        self._cache: dict[int, bytes] = {}

    @property
    def size(self) -> int:
        """In bytes."""
        return os.fstat(self._image).st_size

    def read(self, buffer: bytearray, offset: int) -> None:
        """Raises PowerIsOff."""
        self._needs_power()
        buffer[:] = os.pread(self._image, len(buffer), offset)
        for place in range(0, len(buffer), SECTOR):
            cached = self._cache.get(offset + place)
            if cached is not None:
                buffer[place : place + SECTOR] = cached

    def write(self, buffer: bytes, offset: int) -> None:
        """Into the cache only. Raises PowerIsOff, and then a part of it may survive."""
        self._needs_power()
        for place in range(0, len(buffer), SECTOR):
            self._cache[offset + place] = bytes(buffer[place : place + SECTOR])
        self._count()

    def flush(self) -> None:
        """Raises PowerIsOff, and then a part of what was to be flushed may survive."""
        self._needs_power()
        self._count()
        self._keep(self._cache)

    def _needs_power(self) -> None:
        _, _, is_off = SWITCH.unpack_from(self._switch)
        if is_off:
            raise PowerIsOff

    def _count(self) -> None:
        left, seed, _ = SWITCH.unpack_from(self._switch)
        if left == 1:
            self._cut(random.Random(seed))  # noqa: S311 - play
        SWITCH.pack_into(self._switch, 0, max(0, left - 1), seed, 0)

    def _cut(self, rng: random.Random) -> None:
        self._keep({place: self._cache[place] for place in sorted(self._cache) if rng.randrange(2)})
        SWITCH.pack_into(self._switch, 0, 0, 0, 1)
        raise PowerIsOff

    def _keep(self, sectors: dict[int, bytes]) -> None:
        for place, sector in sectors.items():
            os.pwrite(self._image, sector, place)
        self._cache.clear()


_told: dict[str, Path] = {}
_disks: list[Disk] = []


def config(name: str, value: str) -> None:
    """A `name=value` of nbdkit's command line."""
    _told[name] = Path(value)


def get_ready() -> None:
    """Called once, when all is told."""
    _disks.append(Disk(_told["image"], _told["switch"]))


def open(_readonly: bool) -> Disk:  # noqa: A001, FBT001 - the names and the order are nbdkit's
    """All connections have the one disk."""
    return _disks[0]


def get_size(disk: Disk) -> int:
    return disk.size


def pread(disk: Disk, buffer: bytearray, offset: int, _flags: int) -> None:
    disk.read(buffer, offset)


def pwrite(disk: Disk, buffer: bytes, offset: int, _flags: int) -> None:
    disk.write(buffer, offset)


def flush(disk: Disk, _flags: int) -> None:
    disk.flush()

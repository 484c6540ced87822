"""The memory card of the power cuts: nbdkit, nbdfuse, a loop device and ext4 on one another.

All mounts belong to the process's own mount namespace, and the loop device goes with its last
user: whatever ends the process leaves nothing of them (a kill -9 in the milliseconds between
`losetup` and `mount` leaves a loop device: `losetup --detach`).
"""

import mmap
import os
import shutil
import subprocess
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.machine import FOR_POWER_CUTS, lacks_for_power_cuts
from deploy.runtime.services import Guarded
from deploy.world.chaos.parts import may_mount
from deploy.world.chaos.power_disk import SWITCH

JOURNALS = ("ordered", "ordered", "writeback", "journal")
"""ext4's ways with data (its option `data=`); the first is what a box has."""

_PLUGIN = Path(__file__).with_name("power_disk.py")
_OCTETS = 48_000_000 // 4096 * 4096
_NO_LAZINESS = "lazy_itable_init=0,lazy_journal_init=0"  # or the kernel goes on formatting


class CardRefused(Exception):
    """The card could not be mounted: to be expected while its power is off, else it is spoilt."""


def make_sure_of_rig() -> None:
    """Raises Stop with what this machine lacks, in a sentence."""
    if lacks := lacks_for_power_cuts():
        raise Stop(Exit.UNSUPPORTED_SYSTEM, f"The power cannot be cut here: {lacks}.")
    if missing := [need.package for need in FOR_POWER_CUTS if not need.is_met()]:
        words = " ".join(missing)
        raise Stop(
            Exit.PACKAGE_MISSING,
            f"The power cannot be cut without {words}; type: apt-get install {words}",
        )
    if not may_mount():
        raise Stop(
            Exit.UNSUPPORTED_SYSTEM,
            "The power cannot be cut here: a mount namespace is refused (unshare --mount).",
        )


@contextmanager
def card(folder: Path, *, journal: str) -> Generator["Card"]:
    """A newly formatted card, not mounted yet; it goes with the block, and the folder with it."""
    folder.mkdir()
    made = Card(folder, journal=journal)
    try:
        made.serve()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


class Card:
    """A file system of 48 MB on a disk whose power can be cut."""

    def __init__(self, folder: Path, *, journal: str) -> None:
        self.mounted = folder / "card"
        self.checked = 0
        self._folder = folder
        self._options = f"data={journal}"
        self._server: Guarded | None = None
        for empty in (self.mounted, folder / "disk"):
            empty.mkdir()
        with (folder / "image").open("wb") as image:
            image.truncate(_OCTETS)
        _run("mkfs.ext4", "-q", "-F", "-E", _NO_LAZINESS, str(folder / "image"))
        (folder / "switch").write_bytes(bytes(SWITCH.size))
        with (folder / "switch").open("r+b") as switch:
            self._switch = mmap.mmap(switch.fileno(), SWITCH.size)

    def serve(self) -> None:
        """Make a file of the disk, through the kernel. Raises DidNotStart."""
        plugin = ["python", str(_PLUGIN), f"image={self._folder / 'image'}"]
        nbdkit = ["nbdkit", "--foreground", "--exit-with-parent", *plugin]
        self._server = Guarded.start(
            [
                "nbdfuse",
                self._folder / "disk",
                "[",
                *nbdkit,
                f"switch={self._folder / 'switch'}",
                "]",
            ],
            log=self._folder / "log",
        )
        self._server.wait_until(self._disk.exists)

    @property
    def is_off(self) -> bool:
        """Whether the power has been cut."""
        return bool(SWITCH.unpack_from(self._switch)[2])

    def plan_cut(self, after: int, *, seed: int) -> None:
        """Cut the power at that write or flush from now; the seed says what survives."""
        SWITCH.pack_into(self._switch, 0, after, seed, 0)

    def power_on(self) -> None:
        """The disk answers again, and no cut is planned."""
        SWITCH.pack_into(self._switch, 0, 0, 0, 0)

    def mount(self) -> None:
        """As a start does: the file system replays its journal. Raises CardRefused.

        ext4 refuses a superblock that is torn between its two sectors. The check that a start of
        Raspberry Pi OS makes (`fsck.repair=yes`) puts another copy in its place, and so does this.
        """
        try:
            self._mount()
        except CardRefused:
            if self.is_off:
                raise
            self.checked += 1
            _run("e2fsck", "-y", str(self._disk), fine=(0, 1))
            self._mount()

    def _mount(self) -> None:
        # without direct I/O, what is lost would still be read from the kernel's cache
        loop = _run("losetup", "--find", "--show", "--direct-io=on", str(self._disk)).strip()
        try:
            _run("mount", "-t", "ext4", "-o", self._options, loop, str(self.mounted))
        finally:
            _run("losetup", "--detach", loop)  # while it is mounted: as soon as it no longer is

    def fill(self, *, leave: int) -> None:
        """Before the first cut: take all space but so many bytes away."""
        self.mount()
        card = os.statvfs(self.mounted)
        with (self.mounted / "full").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, card.f_bavail * card.f_frsize - leave)
        self.unmount()

    def unmount(self) -> None:
        """Nobody may have files open on it. Nothing happens when it is not mounted."""
        if self.mounted.is_mount():
            _run("umount", str(self.mounted))

    def stop(self) -> None:
        """Everything but the folder goes."""
        with suppress(CardRefused):
            self.unmount()
        if self._server is not None:
            self._server.stop()
        self._switch.close()

    @property
    def _disk(self) -> Path:
        return self._folder / "disk" / "nbd"


def _run(*command: str, fine: Collection[int] = (0,)) -> str:
    """What it said on standard output. Raises CardRefused with what it said of its failure."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in fine:
        raise CardRefused(f"{' '.join(command)}: {done.stdout.strip()} {done.stderr.strip()}")
    return done.stdout

"""Makes a Debian package of a folder: the same bytes from the same folder, whoever makes it."""

import hashlib
import os
import shutil
from pathlib import Path

from deploy.packaging.target import Target
from deploy.packaging.tree import BOX, CONFFILES
from deploy.runtime.exits import Exit, Stop
from deploy.runtime.steps import last_line, run

NAME = "trygport-edge"

_CONTROL = """\
Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: Trygport <root@localhost>
Installed-Size: {kilobytes}
Depends: python3 (>= 3.13), python3 (<< 3.14), bluez, polkitd, dbus, systemd
Section: net
Priority: optional
Description: Trygport: the box in a citizen's home
 Hears the sensors, buttons and medicine dispensers of a home over Bluetooth and
 sends what they say to the gateway. Needs Debian 13: its compiled parts are made
 for Python 3.13.
"""
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def make(tree: Path, into: Path, *, target: Target, version: str, epoch: int) -> Path:
    """The package's file in the folder `into`. `epoch` is the time of every file in it (seconds).

    Raises Stop when dpkg-deb refuses.
    """
    _control(tree, target=target, version=version)
    _settle(tree, epoch)
    package = into / f"{NAME}_{version}_{target.architecture}.deb"
    # one thread, since what xz writes depends on how many there are; -z6 saves a tenth and takes
    # five times as long
    options = ["--root-owner-group", "-Zxz", "-z1", "--threads-max=1", "--build"]
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    run(["dpkg-deb", *options, tree, package], env=env, failed=_refused)
    return package


def _control(tree: Path, *, target: Target, version: str) -> None:
    folder = tree / "DEBIAN"
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(path.stat().st_size for path in files)
    sums = [f"{hashlib.md5(p.read_bytes()).hexdigest()}  {p.relative_to(tree)}\n" for p in files]  # noqa: S324 - dpkg's own way to find what a bad card has changed
    folder.mkdir()
    words = _CONTROL.format(
        name=NAME,
        version=version,
        architecture=target.architecture,
        kilobytes=-(-size // 1024),
    )
    (folder / "control").write_text(words)
    (folder / "md5sums").write_text("".join(sums))
    (folder / "conffiles").write_text("".join(f"{name}\n" for name in CONFFILES))
    for name in _SCRIPTS:
        shutil.copyfile(BOX / name, folder / name)


def _settle(tree: Path, epoch: int) -> None:
    """The same rights and times whoever fetched the files, and under whatever umask."""
    programs = {tree / "opt/trygport/bin/edge", *(tree / "DEBIAN" / name for name in _SCRIPTS)}
    for path in (*tree.rglob("*"), tree):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path in programs else 0o644)
    for path in sorted((*tree.rglob("*"), tree), reverse=True):
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _refused(output: str) -> Stop:
    return Stop(Exit.FAULT, f"dpkg-deb could not make the package: {last_line(output)}")

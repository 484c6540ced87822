"""Packs an installed package as a package again, so that an update can go back to it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., str]
"""Runs a program and returns what it said; raises where it fails."""
ORIGINALS = Path("usr/share/trygport/conffiles")
"""The settings' files as the package brought them, by name: of those the operator's may differ, and
packed as the package's own they would be overwritten by the next upgrade."""


def repack(package: str, *, root: Path, tree: Path, into: Path, run: Run) -> None:
    """Write the package `into`, laid out in the new folder `tree`. Raises OSError, and as `run`.

    However the package once came here, by hand or by an update, what is installed is what is kept.
    """
    query = ("dpkg-query", f"--root={root}")
    about = re.split(r"\n(?=\S)", run(*query, "-s", package).strip())
    settings = _conffiles(about)
    for name in run(*query, "-L", package).splitlines():
        original = root / ORIGINALS / Path(name).name
        source = original if name in settings else root / name.strip("/")
        _copy(source, tree / name.strip("/"))
    (tree / "DEBIAN").mkdir()
    for name in run(*query, "--control-path", package).splitlines():
        shutil.copy2(name, tree / "DEBIAN" / Path(name).name.rpartition(".")[2])
    (tree / "DEBIAN" / "control").write_text(_control(about))
    (tree / "DEBIAN" / "conffiles").write_text("".join(f"{name}\n" for name in settings))
    # gzip, and at its quickest: a small machine packs for itself
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(into))


def _copy(source: Path, target: Path) -> None:
    """Some systems leave out documentation when they unpack: what is not there is not packed."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(0o755)
    elif source.is_symlink() or source.exists():
        shutil.copy2(source, target, follow_symlinks=False)


def _control(about: list[str]) -> str:
    """What dpkg says of an installed package, without what it says only of installed ones."""
    kept = [one for one in about if not one.startswith(("Status:", "Conffiles:", "Config-"))]
    return "".join(f"{one}\n" for one in kept)


def _conffiles(about: list[str]) -> list[str]:
    """Of `Conffiles:`, a name and a digest on each line; obsolete ones are no longer the package's.

    Source: deb(5), dpkg-query(1).
    """
    told = [one for one in about if one.startswith("Conffiles:")]
    lines = [line.split() for one in told for line in one.splitlines()[1:]]
    return [line[0] for line in lines if "obsolete" not in line]

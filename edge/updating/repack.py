"""Packs an installed package as a package again, so that an update can go back to it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., str]
"""Runs a program and returns what it said; raises where it fails."""


def repack(package: str, *, root: Path, tree: Path, into: Path, run: Run) -> None:
    """Write the package `into`, laid out in the new folder `tree`. Raises OSError, and as `run`.

    However the package once came here, by hand or by an update, what is installed is what is kept.
    """
    query = ("dpkg-query", f"--root={root}")
    for name in run(*query, "-L", package).splitlines():
        _copy(root / name.strip("/"), tree / name.strip("/"))
    (tree / "DEBIAN").mkdir()
    for name in run(*query, "--control-path", package).splitlines():
        shutil.copy2(name, tree / "DEBIAN" / Path(name).name.rpartition(".")[2])
    (tree / "DEBIAN" / "control").write_text(_control(run(*query, "-s", package)))
    # gzip, and at its quickest: a small machine packs for itself
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(into))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(0o755)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _control(told: str) -> str:
    """What dpkg says of an installed package, without what it says only of installed ones."""
    fields = re.split(r"\n(?=\S)", told.strip())
    kept = [one for one in fields if not one.startswith(("Status:", "Conffiles:", "Config-"))]
    return "".join(f"{one}\n" for one in kept)

"""Builds the package of one version for one kind of machine."""

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from deploy.packaging import deb
from deploy.packaging.target import Target
from deploy.packaging.tree import LIB, lay_out
from deploy.packaging.wheels import fetch
from deploy.runtime.exits import Exit, Stop
from deploy.runtime.paths import ROOT, RUNTIME

VERSION = re.compile(r"[0-9][0-9A-Za-z.+~]{0,63}")
_NO_TIME = 1_767_225_600
"""The time of the files where neither SOURCE_DATE_EPOCH nor git says one: 2026 begins."""


def build(
    target: Target, into: Path, *, version: str | None = None, keys: Sequence[Path] = ()
) -> Path:
    """The package's file in the folder `into`, made anew. Raises Stop.

    `keys` are the public keys (PEM) of which a box believes updates; without one it takes none.
    """
    version = version or own_version()
    if not VERSION.fullmatch(version):
        raise Stop(Exit.USAGE, f"{version} is not a version: digits, letters and . + ~")
    into.mkdir(parents=True, exist_ok=True)
    scratch = RUNTIME / "cache" / "packages"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        tree = Path(folder) / "tree"
        fetch(target, tree / LIB)
        lay_out(tree, version=version, keys=keys)
        package = deb.make(tree, Path(folder), target=target, version=version, epoch=own_time())
        return Path(shutil.move(package, into / package.name))


def own_version() -> str:
    """The project's version and how many commits it has, so that a later one is a later version."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    count, short = _git("rev-list", "--count", "HEAD"), _git("rev-parse", "--short=8", "HEAD")
    version = str(told["project"]["version"])
    return f"{version}+{count}.g{short}" if count and short else version


def own_time() -> int:
    """Seconds since 1970: SOURCE_DATE_EPOCH, else the last commit's time."""
    told = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct")
    return int(told) if told else _NO_TIME


def _git(*words: str) -> str:
    """What git says of this checkout; nothing where there is no git, or none of this folder."""
    command = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

"""Fetches the box's Python packages for a processor and a Python that are not this machine's."""

import shutil
from pathlib import Path

from deploy.packaging.target import Target
from deploy.runtime.packages import install_for
from deploy.runtime.paths import DEPLOY

LOCK = DEPLOY / "requirements-edge.lock"
"""Every version and its hashes; what has another hash is refused."""
_INSTALLERS = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")
"""What an installer notes for itself; dpkg is the one that knows the files here."""


def fetch(target: Target, into: Path) -> None:
    """Unpack the wheels of the lock into a new folder, and nothing else. Raises Stop."""
    install_for(LOCK, into, platform=target.platform, python=target.python)
    shutil.rmtree(into / "bin", ignore_errors=True)
    for about in into.glob("*.dist-info"):
        for name in _INSTALLERS:
            (about / name).unlink(missing_ok=True)
    for left in (*into.glob(".lock"), *into.rglob("*.pyi"), *into.rglob("*.c")):
        left.unlink()

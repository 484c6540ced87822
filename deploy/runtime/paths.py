"""Where things are: the checkout, its private runtime folder, and what stands in them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RUNTIME = ROOT / ".runtime"
PREFIX = RUNTIME / "prefix"
VENV = RUNTIME / "venv"
PYTHON = VENV / "bin" / "python"
RUN = RUNTIME / "run"
"""Folders of services that run now; each is swept when its owner is gone."""


def program(name: str) -> Path:
    """A program of the prefix, such as `mosquitto` or `postgres`.

    Raises FileNotFoundError when the prefix has not been set up.
    """
    places = ("usr/lib/postgresql/17/bin", "usr/sbin", "usr/bin")
    for place in places:
        found = PREFIX / place / name
        if found.exists():
            return found
    raise FileNotFoundError(f"{name} is not in {PREFIX}; run ./deploy/test once to set it up")

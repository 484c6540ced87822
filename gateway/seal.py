"""Seals with the newest key whatever is not sealed with it: after an upgrade, and for a new key."""

import argparse
import sys
from pathlib import Path
from typing import Any

from gateway.settings import Settings
from gateway.store import sealing
from gateway.store.pool import connect_owner
from gateway.store.seal import Unsealable, new_line, of_settings

_OK, _FAILED = 0, 1
_ONLY_MINE = 0o600


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `seal`."""
    parser = subparsers.add_parser(
        "seal", help="seal names, addresses and keys in the database with the newest key"
    )
    parser.add_argument(
        "--new-key", type=Path, metavar="FILE", help="put a new key first in FILE, and seal nothing"
    )


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command and returns its exit code. Safe to run twice, and to interrupt."""
    try:
        if arguments.new_key is not None:
            _add_key(arguments.new_key)
            return _OK
        async with connect_owner(settings) as db:
            done = await sealing.seal_all(db, of_settings(settings))
    except (Unsealable, OSError) as refused:
        print(f"gateway seal: {refused}", file=sys.stderr)  # noqa: T201 - the command's answer
        return _FAILED
    print(f"sealed {done} value(s)")  # noqa: T201
    return _OK


def _add_key(file: Path) -> None:
    """The new key first, the others after it, in place all at once."""
    before = file.read_text() if file.exists() else ""
    fresh = file.with_name(f"{file.name}.new")
    fresh.touch(mode=_ONLY_MINE)
    fresh.write_text(new_line() + before)
    fresh.replace(file)

"""The database was restored from a backup: a new epoch, so that the boxes fill what is missing."""

import argparse
import sys
from typing import Any

from gateway.clock import clock_from
from gateway.settings import Settings
from gateway.store import epoch
from gateway.store.pool import connect_owner

_OK, _FAILED = 0, 1
_NEXT = """\
The store's new epoch is {epoch}.
Its {boxes} boxes count no receipt of before any more and are told their configuration again.
Next:
  1. Start the gateway. Each box is told what is stored and sends the rest of what it keeps.
  2. GET /edges: "missing" and "given_up" of each box show what has not come, or never will.
  3. Look for what no box can send: devices placed and people added since the backup.
     Boxes that joined since then are unknown: gateway edges add, and join them anew.
     Boxes that were shut out since then: gateway edges list; gateway edges revoke, if not.
  4. Take a new backup now, and let the stream of the write-ahead log begin in an empty folder."""


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `restored`."""
    parser = subparsers.add_parser(
        "restored", help="after the database was restored, before the gateway is started"
    )
    parser.add_argument(
        "--again", action="store_true", help="also when the last time is less than a minute ago"
    )


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command and returns its exit code."""
    async with connect_owner(settings) as db:
        try:
            begun, boxes = await epoch.begin(
                db, clock_from(settings.clock).now(), again=arguments.again
            )
        except epoch.RestoredAlready as already:
            print(f"gateway restored: {already}; say --again to mean it", file=sys.stderr)  # noqa: T201
            return _FAILED
    print(_NEXT.format(epoch=begun.id, boxes=boxes))  # noqa: T201 - the command's answer
    return _OK

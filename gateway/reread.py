"""The command `reread`: what was set aside, after an adapter was mended or a key was given."""

import argparse
import json
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

from gateway.clock import clock_from
from gateway.ingest.again import Again, Counts
from gateway.settings import Settings
from gateway.store import reread
from gateway.store.pool import connect
from gateway.store.reread import Aside, Wanted
from gateway.store.seal import of_settings

_OK = 0
_EVERY = 1_000
"""Rows between two lines that say how far it is."""
_MOST_SHOWN = 20
"""Frames that `--examples` prints, the oldest first."""


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `reread`."""
    parser = subparsers.add_parser("reread", help="read again what was set aside, once each")
    parser.add_argument("--reason", help="only what was set aside for this, such as missing_key")
    parser.add_argument("--device", metavar="ADDRESS", help="only frames of this device")
    parser.add_argument("--edge", metavar="NAME", help="only what this box sent")
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--dry-run", action="store_true", help="list it, and change nothing")
    doing.add_argument(
        "--examples",
        action="store_true",
        help=f"print {_MOST_SHOWN} of its frames at most, as examples for `python -m adapters`, and"
        " change nothing; a frame is what somebody's device said: keep it as you keep that",
    )


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command, with the rights of ingest, and returns its exit code.

    Stopped or killed, it is run again: nothing is stored twice. Raises DatabaseDown.
    """
    wanted = Wanted(reason=arguments.reason, device=arguments.device, edge=arguments.edge)
    async with connect(settings, "ingest", most=2) as pool:
        if arguments.examples:
            _say(_examples(await reread.page(pool, wanted, after=0, most=_MOST_SHOWN)))
            return _OK
        groups = await reread.groups(pool, wanted)
        if arguments.dry_run:
            for one in groups:
                _say(
                    f"{one.reason:<18} {one.device or 'whole messages':<18} {one.count:>8}  "
                    f"{one.first:%Y-%m-%d %H:%M} to {one.last:%Y-%m-%d %H:%M} UTC"
                    f"{one.reader and f', adapters {one.reader}'}"
                )
        total, counts, said = sum(one.count for one in groups), Counts(), 0
        if not arguments.dry_run:
            again = Again(pool, clock_from(settings.clock), of_settings(settings))
            async with aclosing(again.run(wanted)) as pages:
                async for page in pages:
                    counts.add(page)
                    if counts.seen - said >= _EVERY:
                        said = counts.seen
                        _say(f"{said} of {total}")
            _tell(counts)
        else:
            _say(f"{total} set aside that can be read again")
    return _OK


def _examples(rows: Iterable[Aside]) -> str:
    """A file of examples, one a line; what each says and reads is for its reader to fill in."""
    lines = [
        json.dumps({"says": f"{one.reason}: {one.detail}", "frame": frame, "reads": []})
        for one in rows
        if (frame := _frame(one)) is not None
    ]
    return "[\n" + ",\n".join(lines) + "\n]"


def _frame(one: Aside) -> object:
    if one.sequence is None:
        return None  # a whole message
    try:
        return json.loads(one.payload)
    except (ValueError, RecursionError):
        return None  # its bytes were not even JSON


def _tell(counts: Counts) -> None:
    for words, found in (
        ("read", counts.read),
        ("still unreadable", counts.unreadable),
        ("left to another run", counts.elsewhere),
    ):
        by_reason = ", ".join(f"{reason} {number}" for reason, number in sorted(found.items()))
        _say(f"{words}: {found.total()}" + (f" ({by_reason})" if by_reason else ""))
    _say(f"observations stored: {counts.observations}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's answer

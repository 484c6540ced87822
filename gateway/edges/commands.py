"""The command `gateway edges`: boxes are added, given codes, moved, replaced and shut out."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from gateway.clock import clock_from
from gateway.edges import code
from gateway.edges.importing import add_import, import_boxes
from gateway.edges.inviting import Inviting, NoAuthority
from gateway.settings import Settings
from gateway.store import boxes
from gateway.store.boxes import InUse, Invited
from gateway.store.people import UnknownName, municipality
from gateway.store.pool import Connection, connect_owner
from gateway.store.register.table import BadFile

_OK, _FAILED, _SOME_REFUSED = 0, 1, 2
_WAIT, _LOOK = 5.0, 0.1
"""Seconds that the broker may take to be told, and between two looks."""


class Cannot(Exception):
    """The command cannot be followed; the text says what to say instead, or what to start."""


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `edges add`, `code`, `replace`, `revoke` (or `end`), `move`, `import` and `list`."""
    parser = subparsers.add_parser("edges", help="the boxes in the homes")
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="a box that may join; prints its id and its CODE, once")
    add.add_argument("--home", type=UUID, help="the home it will listen in")
    add.add_argument("--municipality", help="needed while it has no home")
    fresh = actions.add_parser("code", help="a new CODE for a box that has not joined")
    replace = actions.add_parser("replace", help="another box in the place of this one; its CODE")
    revoke = actions.add_parser("revoke", aliases=["end"], help="shut out a lost or stolen box")
    revoke.add_argument("--reason", default="lost", help="kept with its certificates")
    move = actions.add_parser("move", help="a box that listens in another home from now on")
    move.add_argument("--home", type=UUID, required=True)
    for named in (fresh, replace, revoke, move):
        named.add_argument("name", metavar="BOX", help="the box's id, as `edges list` shows it")
    for made in (add, replace):
        made.add_argument("--sticker", metavar="TEXT", help="what stands on its carton")
    for invited in (add, fresh, replace):
        invited.add_argument("--label", metavar="FILE.svg", type=Path, help="the CODE as a QR code")
    add_import(actions)
    actions.add_parser("list", help="every box: its home, its contact, and how it says it fares")


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command and returns its exit code: 2 when some rows of a file were refused."""
    now = clock_from(settings.clock).now()
    try:
        async with connect_owner(settings) as db:
            if arguments.action == "import":
                return _OK if await import_boxes(db, arguments, now) else _SOME_REFUSED
            await _ACTIONS[arguments.action](db, arguments, now)
    except (Cannot, BadFile, InUse, NoAuthority, UnknownName, LookupError, OSError) as refused:
        print(f"gateway edges: {refused}", file=sys.stderr)  # noqa: T201 - the command's answer
        return _FAILED
    return _OK


class _Action(Protocol):
    async def __call__(
        self, db: Connection, arguments: argparse.Namespace, now: datetime, /
    ) -> None: ...


async def _add(db: Connection, arguments: argparse.Namespace, now: datetime) -> None:
    inviting = await Inviting.of(db)
    whose = await _whose(db, arguments)
    made = await boxes.add_box(
        db, municipality=whose, home=arguments.home, now=now, sticker=arguments.sticker
    )
    _invite(inviting, made, arguments.label, now)


async def _code(db: Connection, arguments: argparse.Namespace, now: datetime) -> None:
    inviting = await Inviting.of(db)
    made = await boxes.invite_box(db, arguments.name, now, None)
    _invite(inviting, made, arguments.label, now)


async def _replace(db: Connection, arguments: argparse.Namespace, now: datetime) -> None:
    inviting = await Inviting.of(db)
    made = await boxes.replace_box(db, arguments.name, now, None, sticker=arguments.sticker)
    _invite(inviting, made, arguments.label, now)
    await _until_told(db, arguments.name)


async def _revoke(db: Connection, arguments: argparse.Namespace, now: datetime) -> None:
    await boxes.revoke_box(db, arguments.name, now, arguments.reason[:200], None)
    await _until_told(db, arguments.name)


async def _move(db: Connection, arguments: argparse.Namespace, now: datetime) -> None:
    await boxes.move_box(db, arguments.name, arguments.home, now, None)
    _say(f"{arguments.name} listens in home {arguments.home} from now on")


def _invite(inviting: Inviting, made: Invited, label: Path | None, now: datetime) -> None:
    """The id and the code on a line each, for programs, and what to do for people."""
    told = inviting.code(made.secret)
    _say(made.name)
    _say(told)
    if label is not None:
        label.write_text(code.label(told))
        _say(f"label: {label}")
    until = now + boxes.CODE_LIFE
    _say(f"next, on the box, before {until:%Y-%m-%d %H:%M} UTC: edge join {told}")


async def _until_told(db: Connection, name: str) -> None:
    """Raises Cannot when the stage does not say in time that the broker is told."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _WAIT
    while not await boxes.broker_was_told(db, name):
        if loop.time() > end:
            raise Cannot(
                f"{name} is shut out here, but nobody has said within {_WAIT:.0f} s that the "
                "broker is told: does the stage edges run? It tells the broker when it does"
            )
        await asyncio.sleep(_LOOK)
    _say(f"{name} is shut out, and the broker is told")


async def _whose(db: Connection, arguments: argparse.Namespace) -> int:
    """The municipality named, or the home's."""
    if arguments.municipality is not None:
        return await municipality(db, arguments.municipality, create=False)
    if arguments.home is None:
        raise Cannot("say --home or --municipality")
    found = await boxes.municipality_of(db, arguments.home)
    if found is None:
        raise LookupError(f"there is no home {arguments.home}")
    return found


async def _list(db: Connection, _arguments: argparse.Namespace, now: datetime) -> None:
    for box in await boxes.boxes(db):
        contact = "in contact" if box.contact else "no contact"
        where = f"{box.name}  {box.municipality}  home {box.home or '-'}"
        _say("  ".join((where, _stands(box, now), contact, *_fares(box))))


def _stands(box: boxes.Box, now: datetime) -> str:
    if box.ended:
        return "shut out"
    if box.joined is None:
        return "not joined"
    joined = f"joined {box.joined:%Y-%m-%d %H:%M} UTC"
    if box.certificate is None:
        return f"{joined}  no certificate"
    ends = "expired" if box.certificate <= now else "expires"
    return f"{joined}  certificate {ends} {box.certificate:%Y-%m-%d}"


def _fares(box: boxes.Box) -> list[str]:
    """What the box said of itself, in its own words."""
    said = {
        "sticker": box.sticker,
        "mode": box.mode,
        "room days": box.room_days,
        "path": box.path,
        "trouble": box.trouble,
    }
    return [f"{name} {value}" for name, value in said.items() if value is not None]


def _say(line: str) -> None:
    print(line)  # noqa: T201 - the command's answer


_ACTIONS: Mapping[str, _Action] = {
    "add": _add,
    "code": _code,
    "replace": _replace,
    "revoke": _revoke,
    "end": _revoke,
    "move": _move,
    "list": _list,
}

"""Who saw whom, and whether the log that says so is whole: the commands of whoever audits."""

import argparse
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from gateway.reads import log as reads
from gateway.settings import Settings
from gateway.store import chain
from gateway.store.heads import UnreadableHeads, published
from gateway.store.pool import Connection, connect_owner

_OK, _FAILED = 0, 1
_MOST = 1_000


class Refused(Exception):
    """There is nothing to show; the text says why."""


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `audit verify`, `audit who` and `audit person`."""
    parser = subparsers.add_parser("audit", help="who saw whom, and whether the log is whole")
    actions = parser.add_subparsers(dest="action", required=True)
    verify = actions.add_parser("verify", help="whether every row is there as it was written")
    verify.add_argument(
        "--heads", type=Path, metavar="FILE", help="what was published; GATEWAY_AUDIT_HEADS"
    )
    who = actions.add_parser("who", help="who saw or changed something of this citizen")
    who.add_argument("--citizen", type=UUID, required=True, metavar="ID")
    person = actions.add_parser("person", help="what this person saw and changed")
    person.add_argument("--login", required=True)
    for listing in (who, person):
        listing.add_argument("--most", type=int, default=_MOST, help="how many, the newest first")


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command and returns its exit code."""
    try:
        async with connect_owner(settings) as db:
            if arguments.action == "verify":
                await _verify(db, arguments.heads or settings.audit_heads)
            elif arguments.action == "who":
                await _who(db, arguments.citizen, arguments.most)
            else:
                await _person(db, arguments.login, arguments.most)
    except chain.Broken as broken:
        return _refuse(f"NOT Ok ({broken.kind}): {broken}")
    except OSError as error:
        return _refuse(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))
    except (Refused, UnreadableHeads) as refused:
        return _refuse(str(refused))
    return _OK


def _refuse(why: str) -> int:
    print(f"gateway audit: {why}", file=sys.stderr)  # noqa: T201 - the command's answer
    return _FAILED


async def _verify(db: Connection, heads: Path | None) -> None:
    counted = await chain.verify(db, published(heads) if heads else ())
    for one in counted:
        print(  # noqa: T201
            f"{one.municipality}: {one.linked} rows linked, {one.waiting} waiting, "
            f"{one.heads} published heads"
        )
    rows, told = sum(one.linked for one in counted), sum(one.heads for one in counted)
    print(f"Ok: {rows} rows, {told} heads")  # noqa: T201
    if heads is None:
        print("without --heads a cut tail, or a chain made anew, is not found", file=sys.stderr)  # noqa: T201


async def _who(db: Connection, citizen: UUID, most: int) -> None:
    if await reads.citizen_number(db, citizen) is None:
        raise Refused(f"no citizen has the id {citizen}")
    for look in await reads.of_citizen(db, citizen, limit=most):
        _print(look, look.login)


async def _person(db: Connection, login: str, most: int) -> None:
    person = await reads.person_by_login(db, login.strip().lower())
    if person is None:
        raise Refused(f"nobody has the login {login!r}")
    for look in await reads.of_person(db, person, limit=most):
        _print(look, look.citizen)


def _print(look: reads.Look, other: object) -> None:
    words = (f"{look.at:%Y-%m-%d %H:%M:%S}Z", look.role, other, look.what, look.purpose)
    print("  ".join(str(word or "-") for word in words))  # noqa: T201 - the command's answer

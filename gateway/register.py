"""The command `gateway register`: homes and all that belongs to them from a file, and to one."""

import argparse
import asyncio
import hashlib
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from gateway.clock import clock_from
from gateway.edges.inviting import Inviting, NoAuthority
from gateway.settings import Settings
from gateway.store import people
from gateway.store.pool import Connection, connect_owner
from gateway.store.register.book import By
from gateway.store.register.bring import bring
from gateway.store.register.out import register_file
from gateway.store.register.rows import Report
from gateway.store.register.table import BadFile, read
from gateway.store.register.undo import CannotUndo, undo
from gateway.store.seal import Unsealable, of_settings

_OK, _FAILED, _SOME_REFUSED = 0, 1, 2


class Cannot(Exception):
    """The command cannot be followed; the text says what to say instead."""


_REFUSALS = (Cannot, BadFile, CannotUndo, Unsealable, OSError, people.UnknownName, NoAuthority)


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `register import` and `register export`."""
    parser = subparsers.add_parser("register", help="a municipality's homes, citizens and devices")
    actions = parser.add_subparsers(dest="action", required=True)
    bring_in = actions.add_parser("import", help="bring in a CSV file; again is the same")
    bring_in.add_argument("file", nargs="?", metavar="FILE", type=Path)
    bring_in.add_argument("--dry-run", action="store_true", help="only say what would happen")
    bring_in.add_argument("--undo", type=UUID, metavar="IMPORT", help="take an import back as one")
    out = actions.add_parser("export", help="write the register as a CSV file that can be imported")
    for action in (bring_in, out):
        action.add_argument("--municipality", metavar="NAME", help="needed where there are several")


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command and returns its exit code: 2 when some rows were refused."""
    try:
        async with connect_owner(settings) as db, db.transaction():
            by = By(municipality=await _where(db, arguments.municipality))
            # whoever asks the view of placed observations is shown this municipality's
            await db.execute(
                "SELECT set_config('trygport.municipality', $1, true)", str(by.municipality)
            )
            if arguments.action == "export":
                file, _ = await register_file(db, by, of_settings(settings))
                sys.stdout.buffer.write(file)
                return _OK
            return await _import(db, by, arguments, settings)
    except _REFUSALS as refused:
        print(f"gateway register: {refused}", file=sys.stderr)  # noqa: T201 - the command's answer
        return _FAILED


async def _where(db: Connection, name: str | None) -> int:
    if name is not None:
        return await people.municipality(db, name, create=False)
    rows = await db.fetch("SELECT id FROM municipality LIMIT 2")
    if len(rows) != 1:
        raise Cannot("say --municipality NAME: there is not exactly one")
    return rows[0]["id"]


async def _import(db: Connection, by: By, arguments: argparse.Namespace, settings: Settings) -> int:
    now, seal = clock_from(settings.clock).now(), of_settings(settings)
    if (arguments.undo is None) == (arguments.file is None):
        raise Cannot("say a FILE to bring in, or --undo IMPORT")
    if arguments.undo is not None:
        try:
            done = await undo(db, by, seal, arguments.undo, now=now)
        except LookupError as error:
            raise Cannot(f"there is no import {arguments.undo}") from error
        print(f"undone: {done} change(s)")  # noqa: T201
        return _OK
    body = await asyncio.to_thread(arguments.file.read_bytes)
    report = await bring(
        db,
        by,
        seal,
        read(body),
        digest=hashlib.sha256(body).digest(),
        now=now,
        dry_run=arguments.dry_run,
    )
    inviting = await Inviting.of(db) if report.codes else None
    _say(report, inviting, dry_run=arguments.dry_run)
    return _SOME_REFUSED if report.count("refused") else _OK


def _say(report: Report, inviting: Inviting | None, *, dry_run: bool) -> None:
    for one in report.outcomes:
        where = f", {one.column}" if one.column else ""
        why = f": {one.reason}" if one.reason else ""
        print(f"line {one.line}{where}  {one.state}{why}")  # noqa: T201
    states = ("new", "changed", "same", "refused")
    print(", ".join(f"{report.count(state)} {state}" for state in states))  # noqa: T201
    for made in report.codes:
        told = inviting.code(made.secret) if inviting else ""
        print(f"line {made.line}  {made.box}  {told}")  # noqa: T201
    if dry_run:
        print("nothing was changed: this was a dry run")  # noqa: T201
    elif report.public is not None:
        print(f"import {report.public}")  # noqa: T201

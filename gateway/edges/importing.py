"""`gateway edges import`: boxes from a CSV file, row by row, with a code for each that is new."""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.edges import code
from gateway.edges.inviting import Inviting
from gateway.store.people import UnknownName, municipality
from gateway.store.pool import Connection
from gateway.store.register.boxes_file import STICKER, bring_boxes
from gateway.store.register.rows import Code, Report
from gateway.store.register.table import Line, read_boxes


def add_import(actions: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `edges import`."""
    bring = actions.add_parser("import", help="boxes from a CSV file; again is the same")
    bring.add_argument("file", metavar="FILE", type=Path)
    bring.add_argument("--dry-run", action="store_true", help="only say what would happen")
    bring.add_argument("--municipality", metavar="NAME", help="needed where there are several")
    bring.add_argument("--labels", metavar="FOLDER", type=Path, help="each CODE as a QR code there")


async def import_boxes(db: Connection, arguments: argparse.Namespace, now: datetime) -> bool:
    """Whether every row was taken. Raises BadFile, NoAuthority, UnknownName and OSError."""
    inviting = await Inviting.of(db)
    body = await asyncio.to_thread(arguments.file.read_bytes)
    lines = await asyncio.to_thread(read_boxes, body)
    if arguments.labels is not None:
        arguments.labels.mkdir(parents=True, exist_ok=True)
    whose = await _whose(db, arguments.municipality)
    brought = await bring_boxes(db, whose, lines, now=now, dry_run=arguments.dry_run)
    _say_rows(brought.report)
    stickers = {line.number: line for line in lines}
    for made in brought.report.codes:
        told = inviting.code(made.secret)
        print(f"line {made.line}  {made.box}  {told}")  # noqa: T201 - the command's answer
        if arguments.labels is not None:
            (arguments.labels / f"{made.box}.svg").write_text(code.label(told))
    _say_next(brought.report.codes, stickers, arguments)
    return brought.report.count("refused") == 0


async def _whose(db: Connection, name: str | None) -> int:
    if name is not None:
        return await municipality(db, name, create=False)
    rows = await db.fetch("SELECT id FROM municipality LIMIT 2")
    if len(rows) != 1:
        raise UnknownName("say --municipality NAME: there is not exactly one")
    return rows[0]["id"]


def _say_rows(report: Report) -> None:
    for one in report.outcomes:
        where = f", {one.column}" if one.column else ""
        why = f": {one.reason}" if one.reason else ""
        print(f"line {one.line}{where}  {one.state}{why}")  # noqa: T201
    states = ("new", "changed", "same", "refused")
    print(", ".join(f"{report.count(state)} {state}" for state in states))  # noqa: T201


def _say_next(codes: Sequence[Code], lines: dict[int, Line], arguments: argparse.Namespace) -> None:
    if arguments.dry_run:
        print("nothing was changed: this was a dry run")  # noqa: T201
    elif codes:
        first = lines[codes[0].line].cells[STICKER]
        print(  # noqa: T201
            f"next, within 24 hours, on each box ({first} first): edge join CODE; "
            "a code that was not used in time is replaced by: gateway edges code BOX"
        )

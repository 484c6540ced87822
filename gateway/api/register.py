"""Imports over HTTP: a municipality's register from a CSV file, tried, brought in, taken back."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from gateway.api.access import Asking
from gateway.api.desk import Desk, Here
from gateway.api.problems import ALWAYS, Conflict, NotFound, Problem, answers
from gateway.edges.inviting import Inviting, NoAuthority
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import changed, looked
from gateway.store.pool import Connection
from gateway.store.register.book import By
from gateway.store.register.bring import bring
from gateway.store.register.imports import imported
from gateway.store.register.out import register_file
from gateway.store.register.rows import Report, State
from gateway.store.register.table import BadFile, read
from gateway.store.register.undo import CannotUndo, undo

router = APIRouter(tags=["register"], responses=ALWAYS)

_EXAMPLE = """\
distrikt;bolig;borger;navn;adresse;enhed;model;rolle;rum;hjemmel
Nord;B-17;K-17;Elna Holm;Skovvej 4, 4400 Kalundborg;A4:C1:38:00:01:17;;nødkald;Stue;samtykke
"""
_CSV: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "minLength": 1}, "example": _EXAMPLE}
        },
    }
}


class RowBody(BaseModel):
    """What became of a row of the file. `column` and `reason` (Danish) say why it was refused."""

    line: int
    state: State
    column: str
    reason: str


class BoxBody(BaseModel):
    """A box that was made, and its CODE, told this once; null while no box can join yet."""

    line: int
    name: str
    code: str | None


class ImportBody(BaseModel):
    """An import. `id` is null for a dry run, and when nothing was new or changed."""

    id: UUID | None
    at: datetime
    undone: datetime | None = None
    new: int
    changed: int
    same: int
    refused: int
    rows: list[RowBody]
    boxes: list[BoxBody] = []


class UndoneBody(BaseModel):
    """How many changes were taken back."""

    changes: int


@asynccontextmanager
async def _registering(desk: Desk, caller: Caller) -> AsyncGenerator[tuple[Connection, By]]:
    async with asking(desk.pool, caller) as db:
        yield (
            db,
            By(
                municipality=caller.municipality,
                person=caller.person,
                role=caller.role,
                within=caller.within,
                gives=caller.may("person", "all") and caller.may("access", "all"),
            ),
        )


@router.post("/imports", openapi_extra=dict(_CSV), operation_id="import_register")
async def bring_in(
    request: Request,
    caller: Asking,
    desk: Here,
    dry_run: Annotated[bool, Query(description="only say what would happen")] = False,  # noqa: FBT002 - a query has a default
) -> ImportBody:
    """Bring in a CSV file (README says its columns); the same file again changes nothing."""
    body, now = await request.body(), desk.clock.now()
    try:
        lines = await asyncio.to_thread(read, body)
    except BadFile as bad:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(bad), kind="bad-file") from bad
    async with _registering(desk, caller) as (db, by):
        digest = hashlib.sha256(body).digest()
        report = await bring(db, by, desk.seal, lines, digest=digest, now=now, dry_run=dry_run)
        if report.public is None:  # also a try is a look: it tells what is there
            await changed(db, caller, "register.tried", None, now)
    return _body(report, now, await _inviting(desk))


@router.get("/imports/{public}", responses=answers(HTTPStatus.NOT_FOUND))
async def show_import(public: UUID, caller: Asking, desk: Here) -> ImportBody:
    """What an import did, row by row."""
    async with _registering(desk, caller) as (db, by):
        try:
            found = await imported(db, by, public)
        except LookupError as error:
            raise NotFound from error
        await looked(db, caller, "import.shown", found.citizens, desk.clock.now())
    body = _body(found.report, found.at, await _inviting(desk))
    return body.model_copy(update={"undone": found.undone})


@router.post(
    "/imports/{public}/undo",
    operation_id="undo_import",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def take_back(public: UUID, caller: Asking, desk: Here) -> UndoneBody:
    """Take an import back as one. 409 when what it made is in use, or was changed since."""
    async with _registering(desk, caller) as (db, by):
        try:
            done = await undo(db, by, desk.seal, public, now=desk.clock.now())
        except LookupError as error:
            raise NotFound from error
        except CannotUndo as refused:
            raise Conflict("cannot-undo", str(refused)) from refused
    return UndoneBody(changes=done)


@router.get(
    "/register.csv",
    operation_id="export_register",
    response_class=Response,
    responses={HTTPStatus.OK: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def write_out(caller: Asking, desk: Here) -> Response:
    """The register of the caller's districts as the file that brings it in."""
    async with _registering(desk, caller) as (db, by):
        file, citizens = await register_file(db, by, desk.seal)
        await looked(db, caller, "register.written_out", citizens, desk.clock.now())
    return Response(file, media_type="text/csv")


def _body(report: Report, at: datetime, inviting: Inviting | None) -> ImportBody:
    return ImportBody(
        id=report.public,
        at=at,
        new=report.count("new"),
        changed=report.count("changed"),
        same=report.count("same"),
        refused=report.count("refused"),
        rows=[
            RowBody(line=one.line, state=one.state, column=one.column, reason=one.reason)
            for one in report.outcomes
        ],
        boxes=[
            BoxBody(line=one.line, name=one.box, code=inviting and inviting.code(one.secret))
            for one in report.codes
        ],
    )


async def _inviting(desk: Desk) -> Inviting | None:
    try:
        return await Inviting.of(desk.pool)
    except NoAuthority:
        return None

"""Boxes over HTTP from a CSV file: tried, or brought in with a CODE for each that is new."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from gateway.api.access import Asking
from gateway.api.desk import Here
from gateway.api.edges_changes import no_authority
from gateway.api.problems import ALWAYS, Problem
from gateway.edges.inviting import Inviting, NoAuthority
from gateway.store.asking import asking
from gateway.store.looks import changed
from gateway.store.register.boxes_file import bring_boxes
from gateway.store.register.rows import Report, State
from gateway.store.register.table import BadFile, read_boxes

router = APIRouter(tags=["boxes"], responses=ALWAYS)

_EXAMPLE = """\
mærkat;bolig
TP-00117;B-17
TP-00118;
"""
_CSV: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "minLength": 1}, "example": _EXAMPLE}
        },
    }
}


class BoxRowBody(BaseModel):
    """What became of a row of the file. `column` and `reason` (Danish) say why it was refused."""

    line: int
    state: State
    column: str
    reason: str


class NewBoxBody(BaseModel):
    """A box that was made, and its CODE, told this once."""

    line: int
    edge: str
    code: str


class BoxesBody(BaseModel):
    """What the file did, or would do. `boxes` is empty when it was only tried."""

    new: int
    changed: int
    same: int
    refused: int
    rows: list[BoxRowBody]
    boxes: list[NewBoxBody]


@router.post("/edges/import", openapi_extra=dict(_CSV), operation_id="import_edges")
async def bring_in_edges(
    request: Request,
    caller: Asking,
    desk: Here,
    dry_run: Annotated[bool, Query(description="only say what would happen")] = False,  # noqa: FBT002 - a query has a default
) -> BoxesBody:
    """Bring in a CSV file of boxes (README says its columns); the same again changes nothing."""
    body, now = await request.body(), desk.clock.now()
    try:
        lines = await asyncio.to_thread(read_boxes, body)
    except BadFile as bad:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(bad), kind="bad-file") from bad
    async with asking(desk.pool, caller) as db:
        try:
            inviting = await Inviting.of(db)
        except NoAuthority as error:
            raise no_authority(error) from error
        brought = await bring_boxes(db, caller.municipality, lines, now=now, dry_run=dry_run)
        if dry_run:  # also a try is a look: it tells what is there
            await changed(db, caller, "boxes.tried", None, now)
        else:
            for citizen in brought.citizens or [None]:
                await changed(db, caller, "box.added", citizen, now)
    return _body(brought.report, inviting)


def _body(report: Report, inviting: Inviting) -> BoxesBody:
    return BoxesBody(
        new=report.count("new"),
        changed=report.count("changed"),
        same=report.count("same"),
        refused=report.count("refused"),
        rows=[
            BoxRowBody(line=one.line, state=one.state, column=one.column, reason=one.reason)
            for one in report.outcomes
        ],
        boxes=[
            NewBoxBody(line=made.line, edge=made.box, code=inviting.code(made.secret))
            for made in report.codes
        ],
    )

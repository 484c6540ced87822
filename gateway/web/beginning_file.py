"""Several homes at once, from a file: what would happen row by row, brought in, taken back."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response, UploadFile
from fastapi.responses import RedirectResponse

from gateway.store.asking import NotAllowed, asking
from gateway.store.caller import Caller
from gateway.store.looks import changed
from gateway.store.register.bring import bring
from gateway.store.register.cpr import is_like_cpr
from gateway.store.register.rows import Report
from gateway.store.register.table import BadFile, Line, read
from gateway.store.register.undo import CannotUndo, undo
from gateway.web.beginning_doing import Given
from gateway.web.beginning_door import Codes
from gateway.web.beginning_placing import by
from gateway.web.beginning_setup import PATH, Told, show
from gateway.web.beginning_words import COUNTED, ROW
from gateway.web.door import Door

FILE, UNDO = f"{PATH}/fil", f"{PATH}/fortryd"
_MOST = 700_000
"""Bytes; what is larger is for the command, for the page carries the file from step to step."""
_NO_FILE = "Vælg en fil."
_NOT_YOURS = "Din rolle eller dit distrikt giver ikke lov til det, filen vil."
_TOO_LARGE = "Filen er for stor til siden; brug kommandoen gateway register import på serveren."


def add_file(router: APIRouter, door: Door) -> None:
    """The two steps of a file, and the way back."""
    asks = Depends(door.caller)

    @router.post(FILE)
    async def bring_in(
        request: Request,
        caller: Annotated[Caller, asks],
        file: UploadFile | None = None,
        content: Annotated[str, Form()] = "",
    ) -> Response:
        body = await file.read() if file is not None else _unpacked(content)
        if not body or len(body) > _MOST:
            return await _wrong(request, door, caller, _TOO_LARGE if body else _NO_FILE)
        try:
            lines = await asyncio.to_thread(read, body)
        except BadFile as bad:
            return await _wrong(request, door, caller, str(bad))
        try:
            report = await _brought(door, caller, body, lines, dry_run=not content)
        except NotAllowed:
            return await _wrong(request, door, caller, _NOT_YOURS)
        codes = await door.beginning.codes()
        told = Told(of="fil", rows=_shown(codes, report, lines, body, tried=not content))
        return await show(request, door, caller, told)

    @router.post(UNDO)
    async def take_back(
        request: Request,
        caller: Annotated[Caller, asks],
        wanted: Annotated[UUID, Form(alias="import")],
    ) -> Response:
        try:
            async with asking(door.pool, caller) as db:
                await undo(db, by(caller), caller.seal, wanted, now=door.now())
        except LookupError:
            return await _wrong(request, door, caller, "Det findes ikke længere her.")
        except CannotUndo as refused:
            return await _wrong(request, door, caller, str(refused))
        return RedirectResponse(f"{PATH}#fil", HTTPStatus.SEE_OTHER)


async def _brought(
    door: Door, caller: Caller, body: bytes, lines: Sequence[Line], *, dry_run: bool
) -> Report:
    async with asking(door.pool, caller) as db:
        report = await bring(
            db,
            by(caller),
            caller.seal,
            lines,
            digest=hashlib.sha256(body).digest(),
            now=door.now(),
            dry_run=dry_run,
        )
        if report.public is None:  # also a try is a look: it tells what is there
            await changed(db, caller, "register.tried", None, door.now())
    return report


async def _wrong(request: Request, door: Door, caller: Caller, why: str) -> Response:
    told = Told(of="fil", errors={"file": why})
    return await show(request, door, caller, told, HTTPStatus.UNPROCESSABLE_ENTITY)


def _shown(
    codes: Codes | None, report: Report, lines: Sequence[Line], body: bytes, *, tried: bool
) -> Mapping[str, Any]:
    cells = {line.number: line.cells for line in lines}
    return {
        "tried": tried,
        "count": {word: report.count(state) for state, word in COUNTED.items()},
        "useful": report.count("new") + report.count("changed") > 0,
        "refused": report.count("refused"),
        "import": report.public,
        "content": base64.b64encode(body).decode() if tried else "",
        "lines": [
            {
                "line": one.line,
                "who": _who(cells.get(one.line, {})),
                "state": one.state,
                "word": ROW[one.state],
                "why": f"{one.column}: {one.reason}" if one.column else one.reason,
            }
            for one in report.outcomes
        ],
        "given": Given(
            text="Koder til boksene. De vises kun nu, og virker i 24 timer:",
            secrets=tuple(
                (f"Linje {made.line}", codes.code(made.secret) if codes else made.box)
                for made in report.codes
            ),
        ),
    }


def _who(cells: Mapping[str, str]) -> str:
    """What the row calls itself; what looks like a CPR number is repeated nowhere."""
    words = [cells.get(name, "") for name in ("login", "bolig", "borger", "navn")]
    return " · ".join(word for word in words if word and not is_like_cpr(word))


def _unpacked(content: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return b""

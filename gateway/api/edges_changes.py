"""Boxes over HTTP: added, given a new code, moved, replaced and shut out; every change is noted."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.api.access import Asking
from gateway.api.desk import Desk, Here
from gateway.api.edges import EdgeName
from gateway.api.problems import ALWAYS, Conflict, NotFound, Problem, answers
from gateway.api.texts import Name
from gateway.edges import code
from gateway.edges.inviting import Inviting, NoAuthority
from gateway.reads.box_events import citizens
from gateway.store import boxes
from gateway.store.asking import asking
from gateway.store.boxes import InUse, Invited
from gateway.store.caller import Caller
from gateway.store.looks import changed
from gateway.store.pool import Connection

router = APIRouter(
    tags=["boxes"],
    responses={**ALWAYS, **answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)},
)

_WAIT, _LOOK = 5.0, 0.1
"""Seconds that the broker may take to be told, and between two looks."""

Deed = Literal["added", "invited", "shut_out", "replaced", "moved"]
"""What the access log calls it."""
Sticker = Annotated[Name, Field(max_length=60, description="what stands on the box's carton")]


class NewBox(BaseModel):
    """A box that may join. Without a home it hears nothing yet, and every district sees it."""

    home: UUID | None = None
    sticker: Sticker | None = None


class Replacing(BaseModel):
    """Which box comes in the place of the one that is shut out."""

    sticker: Sticker | None = None


class Revoking(BaseModel):
    """Why; kept with its certificates."""

    reason: Name = "lost"


class Moving(BaseModel):
    """The home in which the box listens from now on."""

    home: UUID


class InvitedBody(BaseModel):
    """The box and its CODE, told this once: `edge join CODE` on the box, before `until`.

    `label` is the same as a QR code, an SVG document to be printed.
    """

    edge: str
    code: str
    until: datetime
    label: str


class ShutOutBody(BaseModel):
    """The box is shut out for good. `broker_told` false: the broker is told when it can be."""

    edge: str
    broker_told: bool


class ReplacedBody(InvitedBody):
    """The new box, and whether the broker was told that the old one is shut out."""

    broker_told: bool


class MovedBody(BaseModel):
    """Where the box listens."""

    edge: str
    home: UUID


@router.post("/edges", status_code=HTTPStatus.CREATED)
async def add_edge(new: NewBox, caller: Asking, desk: Here) -> InvitedBody:
    """A box that may join within a day, and its CODE."""
    now = desk.clock.now()
    async with _changing(desk, caller) as db:
        inviting = await Inviting.of(db)
        made = await boxes.add_box(
            db, municipality=caller.municipality, home=new.home, now=now, sticker=new.sticker
        )
        await _note(db, caller, "added", await citizens(db, caller, made.name), now)
    return _told(inviting, made, now)


@router.post("/edges/{edge}/code", status_code=HTTPStatus.CREATED)
async def invite_edge(edge: EdgeName, caller: Asking, desk: Here) -> InvitedBody:
    """A new CODE for a box that has not joined; the one before opens nothing from now on."""
    now = desk.clock.now()
    async with _changing(desk, caller) as db:
        inviting = await Inviting.of(db)
        made = await boxes.invite_box(db, edge, now, caller)
        await _note(db, caller, "invited", await citizens(db, caller, edge), now)
    return _told(inviting, made, now)


@router.post("/edges/{edge}/revoke")
async def revoke_edge(
    edge: EdgeName, caller: Asking, desk: Here, asked: Revoking | None = None
) -> ShutOutBody:
    """Shut out a lost or stolen box, for good: its certificates, code and home are taken away."""
    now, why = desk.clock.now(), (asked or Revoking()).reason
    async with _changing(desk, caller) as db:
        await _note(db, caller, "shut_out", await citizens(db, caller, edge), now)
        fresh = await boxes.revoke_box(db, edge, now, why, caller)
    told = await _told_in_time(desk, caller, edge, wait=_WAIT if fresh else 0)
    return ShutOutBody(edge=edge, broker_told=told)


@router.post("/edges/{edge}/replace", status_code=HTTPStatus.CREATED)
async def replace_edge(
    edge: EdgeName, caller: Asking, desk: Here, asked: Replacing | None = None
) -> ReplacedBody:
    """Put another box in the place of this one, which is shut out; home and history stay."""
    now, sticker = desk.clock.now(), (asked or Replacing()).sticker
    async with _changing(desk, caller) as db:
        inviting = await Inviting.of(db)
        await _note(db, caller, "replaced", await citizens(db, caller, edge), now)
        made = await boxes.replace_box(db, edge, now, caller, sticker=sticker)
    told = await _told_in_time(desk, caller, edge, wait=_WAIT)
    return ReplacedBody(**_told(inviting, made, now).model_dump(), broker_told=told)


@router.post("/edges/{edge}/move")
async def move_edge(edge: EdgeName, asked: Moving, caller: Asking, desk: Here) -> MovedBody:
    """The box listens in another home from now on; what is placed there is what it hears."""
    now = desk.clock.now()
    async with _changing(desk, caller) as db:
        before = await citizens(db, caller, edge)
        await boxes.move_box(db, edge, asked.home, now, caller)
        after = await citizens(db, caller, edge)
        await _note(db, caller, "moved", {*before, *after}, now)
    return MovedBody(edge=edge, home=asked.home)


@asynccontextmanager
async def _changing(desk: Desk, caller: Caller) -> AsyncGenerator[Connection]:
    """A transaction as the caller, with what stands in the way as problems."""
    try:
        async with asking(desk.pool, caller) as db:
            yield db
    except LookupError as error:
        raise NotFound from error
    except InUse as error:
        raise Conflict("in-use", str(error)) from error
    except NoAuthority as error:
        raise no_authority(error) from error


def no_authority(error: NoAuthority) -> Problem:
    """No box can join yet: the gateway itself must be set up for it."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), kind="no-authority")


async def _note(
    db: Connection, caller: Caller, deed: Deed, whose: Iterable[int], now: datetime
) -> None:
    for citizen in sorted(whose) or [None]:
        await changed(db, caller, f"box.{deed}", citizen, now)


async def _told_in_time(desk: Desk, caller: Caller, edge: str, *, wait: float) -> bool:
    """Whether the stage `edges` says within some seconds that the broker shuts the box out."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    while True:
        async with asking(desk.pool, caller) as db:
            if await boxes.broker_was_told(db, edge):
                return True
        if loop.time() > end:
            return False
        await asyncio.sleep(_LOOK)


def _told(inviting: Inviting, made: Invited, now: datetime) -> InvitedBody:
    told = inviting.code(made.secret)
    return InvitedBody(
        edge=made.name, code=told, until=now + boxes.CODE_LIFE, label=code.label(told)
    )

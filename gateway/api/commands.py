"""What a technician asks of a box, over HTTP: to tell what is in the air around it for a while."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.api.access import Asking
from gateway.api.desk import Here
from gateway.api.edges import EdgeName
from gateway.api.problems import ALWAYS, NotFound, answers
from gateway.reads import commands as reads
from gateway.reads.box_events import citizens
from gateway.reads.commands import State
from gateway.store import commands
from gateway.store.asking import asking
from gateway.store.looks import changed, looked

router = APIRouter(tags=["boxes"], responses={**ALWAYS, **answers(HTTPStatus.NOT_FOUND)})


class Discovery(BaseModel):
    """For how many seconds the box tells what it hears; then it stops by itself."""

    seconds: Annotated[int, Field(ge=10, le=120)] = 30


class SightingBody(BaseModel):
    """A device in the air: `rssi` is the strongest heard (dBm), `times` how often it was heard.

    `companies` are Bluetooth SIG company ids of its manufacturer data, `services` the UUIDs that
    it advertises. Names are never told.
    """

    address: str
    address_type: str | None
    rssi: int | None
    companies: list[int]
    services: list[str]
    times: int


class CommandBody(BaseModel):
    """What was asked of a box. `error` is the box's word for why it refused.

    `found`: at most the 50 strongest, told to who asked alone and for an hour.
    """

    id: UUID
    do: str
    seconds: int
    asked: datetime
    until: datetime
    state: State
    error: str | None
    found: list[SightingBody] | None


@router.post("/edges/{edge}/discover", status_code=HTTPStatus.ACCEPTED)
async def discover(edge: EdgeName, asked: Discovery, caller: Asking, desk: Here) -> CommandBody:
    """Ask the box what is in the air, of all devices; most of them are the neighbours'.

    It is no part of what is recorded, and gone after an hour.
    """
    now = desk.clock.now()
    async with asking(desk.pool, caller) as db:
        try:
            public = await commands.add(
                db, caller, edge, what="discover", seconds=asked.seconds, now=now
            )
        except LookupError as error:
            raise NotFound from error
        for citizen in await citizens(db, caller, edge) or [None]:
            await changed(db, caller, "box.discovered", citizen, now)
        made = await reads.command(db, caller, edge, public, now)
    if made is None:
        raise NotFound
    return _body(made, now)


@router.get("/edges/{edge}/commands/{command}")
async def get_command(edge: EdgeName, command: UUID, caller: Asking, desk: Here) -> CommandBody:
    """What came of it; for who asked, for an hour."""
    now = desk.clock.now()
    async with asking(desk.pool, caller) as db:
        found = await reads.command(db, caller, edge, command, now)
        if found is None:
            raise NotFound
        await looked(db, caller, "box.discovery_seen", await citizens(db, caller, edge), now)
    return _body(found, now)


def _body(one: reads.Command, now: datetime) -> CommandBody:
    return CommandBody(
        id=one.public,
        do=one.what,
        seconds=one.seconds,
        asked=one.asked,
        until=one.until,
        state=one.state(now),
        error=one.error,
        found=None if one.found is None else [SightingBody(**each) for each in one.found],
    )

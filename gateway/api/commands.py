"""What a technician asks of a box, over HTTP: one of a few things by name, for a while."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from gateway.api.access import Asking
from gateway.api.desk import Desk, Here
from gateway.api.edges import EdgeName
from gateway.api.problems import ALWAYS, NotFound, answers
from gateway.reads import commands as reads
from gateway.reads.box_events import citizens
from gateway.reads.commands import State
from gateway.store import commands
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.commands import TERMS, Word
from gateway.store.looks import changed, looked

router = APIRouter(tags=["boxes"], responses={**ALWAYS, **answers(HTTPStatus.NOT_FOUND)})


class Discovery(BaseModel):
    """For how many seconds the box tells what it hears; then it stops by itself."""

    seconds: Annotated[int, Field(ge=10, le=120)] = 30


class Asked(BaseModel):
    """What the box is asked, and for how many seconds it may take; null is what is usual.

    *discover* (10 to 120 s): tell what is in the air; *rescan* (10 to 120): begin the scan anew
    and tell whether it hears; *identify* (5 to 120): blink with its lamp; *send_log* (5 to 60):
    the last lines that its program wrote; *restart* (10 to 120): end the program, with every
    frame on its card, to be started again, which it then tells.
    """

    do: Word
    seconds: Annotated[int, Field(ge=5, le=120)] | None = None

    @model_validator(mode="after")
    def check(self) -> Self:
        terms = TERMS[self.do]
        if self.seconds is not None and not terms.least <= self.seconds <= terms.most:
            raise ValueError(f"seconds: {terms.least} to {terms.most} for {self.do}")
        return self


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
    """What was asked of a box. `error` is the box's word for why it did nothing.

    *unknown_command* (its program is older), *busy*, *no_radio*, *no_lamp*, *failed*, *too_late*
    (the seconds were over). `found` is what is in the air, at most the 50 strongest; `did` what
    came of it in short words: of *rescan* `heard` and `after_seconds`, of *identify* the `lamp`,
    of *restart* `away_seconds`; `log` the lines. All is told to who asked alone and for an hour.
    """

    id: UUID
    do: str
    seconds: int
    asked: datetime
    until: datetime
    state: State
    error: str | None
    found: list[SightingBody] | None
    did: dict[str, Any] | None
    log: str | None


@router.post("/edges/{edge}/discover", status_code=HTTPStatus.ACCEPTED)
async def discover(edge: EdgeName, asked: Discovery, caller: Asking, desk: Here) -> CommandBody:
    """Ask the box what is in the air, of all devices; most of them are the neighbours'.

    It is no part of what is recorded, and gone after an hour.
    """
    return await _ask(desk, caller, edge, "discover", asked.seconds)


@router.post("/edges/{edge}/commands", status_code=HTTPStatus.ACCEPTED)
async def ask(edge: EdgeName, asked: Asked, caller: Asking, desk: Here) -> CommandBody:
    """Ask the box to do one thing by name; it does it once and answers, or says why not.

    It is told by the connection that the box itself holds to us; a box without contact has a
    minute to come back.
    """
    seconds = TERMS[asked.do].usual if asked.seconds is None else asked.seconds
    return await _ask(desk, caller, edge, asked.do, seconds)


async def _ask(desk: Desk, caller: Caller, edge: str, do: Word, seconds: int) -> CommandBody:
    now = desk.clock.now()
    async with asking(desk.pool, caller) as db:
        try:
            public = await commands.add(db, caller, edge, what=do, seconds=seconds, now=now)
        except LookupError as error:
            raise NotFound from error
        for citizen in await citizens(db, caller, edge) or [None]:
            await changed(db, caller, TERMS[do].asked, citizen, now)
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
        await looked(db, caller, found.seen_as, await citizens(db, caller, edge), now)
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
        did=None if one.did is None else dict(one.did),
        log=one.log,
    )

"""The walk test over HTTP: begun, followed and signed off by a technician; its record, for ever."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from gateway.api.access import Asking
from gateway.api.desk import Here
from gateway.api.edges import EdgeName
from gateway.api.problems import ALWAYS, Conflict, NotFound, answers
from gateway.reads import walk as reads
from gateway.reads.box_events import citizens
from gateway.reads.walk import Signal
from gateway.store import walk
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import looked
from gateway.store.pool import Connection
from gateway.store.walk import By

router = APIRouter(tags=["boxes"], responses={**ALWAYS, **answers(HTTPStatus.NOT_FOUND)})
_MAY_CONFLICT = answers(HTTPStatus.CONFLICT)


class Begin(BaseModel):
    """What is tried: all that is placed in the box's home, or these placements of it.

    Other devices call as always. `minutes`: it ends by itself after so many.
    """

    placements: Annotated[list[UUID], Field(min_length=1, max_length=100)] | None = None
    minutes: Annotated[int, Field(ge=1, le=30)] = 30


class End(BaseModel):
    """The signature. Where something was not heard the remark says why."""

    remark: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] = ""


class TriedBody(BaseModel):
    """A device under test, where it was placed when the test began.

    `heard`: it did what it is there for (a button was pressed, a sensor of movement saw somebody,
    a door opened; of others anything) by a clock that is sure: when last, so many times, at
    `rssi` dBm and in a word, `milliseconds` from the box's hearing to its being stored.
    `alive`: anything was heard. `unsure`: some by a clock that is not sure; such calls alert.
    """

    placement: UUID | None
    address: str
    role: str
    room: str
    heard: bool
    occurred: datetime | None
    rssi: int | None
    signal: Signal | None
    milliseconds: int | None
    times: int
    alive: bool
    unsure: bool


class TestBody(BaseModel):
    """A walk test. While it runs, calls of its devices are told to nobody on duty.

    `by` and `ended_by_name` are null where the caller may not see the colleague. `ended_by`:
    *person*, *time*, or *box* when its box left the home; null while it runs. `missing`: addresses
    of what was not heard.
    """

    id: UUID
    edge: str
    by: str | None
    started: datetime
    until: datetime
    runs: bool
    ended: datetime | None
    ended_by: str | None
    ended_by_name: str | None
    remark: str
    devices: list[TriedBody]
    missing: list[str]


class TestsBody(BaseModel):
    """The newest first, at most 20."""

    tests: list[TestBody]


@router.post("/edges/{edge}/walk-tests", status_code=HTTPStatus.CREATED, responses=_MAY_CONFLICT)
async def begin_walk_test(edge: EdgeName, asked: Begin, caller: Asking, desk: Here) -> TestBody:
    """Begin: for 30 minutes at most calls of these devices are test calls.

    A test begun within 10 minutes after another has only what is left of that one's 30.
    """
    now = desk.clock.now()
    async with asking(desk.pool, caller) as db:
        try:
            public = await walk.begin(
                *(db, By.caller(caller), edge),
                now=now,
                placements=asked.placements,
                length=timedelta(minutes=asked.minutes),
            )
        except LookupError as error:
            raise NotFound from error
        except walk.CannotTry as cannot:
            raise _conflict(cannot) from cannot
        return _body(await the_test(db, caller, edge, public), now)


@router.get("/edges/{edge}/walk-tests")
async def list_walk_tests(edge: EdgeName, caller: Asking, desk: Here) -> TestsBody:
    """The tests of the box: the records of what was heard when it was installed."""
    now = desk.clock.now()
    async with asking(desk.pool, caller) as db:
        found = await reads.walk_tests(db, caller, edge)
        await looked(db, caller, "walk.seen", await citizens(db, caller, edge), now)
    return TestsBody(tests=[_body(one, now) for one in found])


@router.get("/edges/{edge}/walk-tests/{test}")
async def get_walk_test(edge: EdgeName, test: UUID, caller: Asking, desk: Here) -> TestBody:
    """One test: how far it is, or its record."""
    now = desk.clock.now()
    async with asking(desk.pool, caller) as db:
        found = await the_test(db, caller, edge, test)
        await looked(db, caller, "walk.seen", await citizens(db, caller, edge), now)
    return _body(found, now)


@router.post("/edges/{edge}/walk-tests/{test}/end", responses=_MAY_CONFLICT)
async def end_walk_test(
    edge: EdgeName, test: UUID, signed: End, caller: Asking, desk: Here
) -> TestBody:
    """Sign it off: from now on every call alerts. What was not heard stands in the record."""
    now = desk.clock.now()
    async with asking(desk.pool, caller) as db:
        try:
            missing = bool((await the_test(db, caller, edge, test)).missing)
            await walk.end(
                *(db, By.caller(caller), edge, test),
                now=now,
                remark=signed.remark,
                missing=missing,
            )
        except LookupError as error:
            raise NotFound from error
        except walk.Over as over:
            raise Conflict("test-over", "The test has ended; its record stays.") from over
        except walk.RemarkMissing as bare:
            raise Conflict(
                "remark-missing", "Something was not heard: say in the remark why."
            ) from bare
        return _body(await the_test(db, caller, edge, test), now)


async def the_test(db: Connection, caller: Caller, edge: str, public: UUID) -> reads.Test:
    """Raises NotFound, also for a test that is not the caller's to see."""
    found = await reads.walk_test(db, caller, edge, public)
    if found is None:
        raise NotFound
    return found


def _conflict(cannot: walk.CannotTry) -> Conflict:
    match cannot:
        case walk.NoHome():
            return Conflict("no-home", "The box stands in no home: give it one first.")
        case walk.Runs():
            return Conflict("test-runs", "A test runs in that home: follow it, or end it.")
        case walk.TooSoon():
            text = "The home has been under test for half an hour; its devices now call as always."
            return Conflict("too-soon", text, at=cannot.at.isoformat())
        case _:
            return Conflict("nothing-placed", "None of these devices is placed in that home.")


def _body(one: reads.Test, now: datetime) -> TestBody:
    runs = one.runs(now)
    return TestBody(
        id=one.public,
        edge=one.edge,
        by="gateway" if one.command else one.by,
        started=one.started,
        until=one.until,
        runs=runs,
        ended=None if runs else one.ended,
        ended_by=None if runs else one.ended_by or "time",
        ended_by_name=one.ender,
        remark=one.remark,
        devices=[_device(each) for each in one.devices],
        missing=[each.address for each in one.missing],
    )


def _device(one: reads.Tried) -> TriedBody:
    return TriedBody(
        placement=one.placement,
        address=one.address,
        role=one.role,
        room=one.room,
        heard=one.heard,
        occurred=one.occurred,
        rssi=one.rssi,
        signal=one.signal,
        milliseconds=one.milliseconds,
        times=one.times,
        alive=one.alive,
        unsure=one.unsure,
    )

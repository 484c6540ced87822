"""The page of one box: how it fares, and what happened to it, newest first."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from adapters.observation import ClockQuality
from gateway.reads import box_events, edges
from gateway.reads import walk as walks
from gateway.reads.box_events import Happened, History
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import looked
from gateway.web.box_air import SECONDS, add_air
from gateway.web.box_asks import add_asks
from gateway.web.box_walk import add_walk, past, why_not
from gateway.web.box_words import sentence
from gateway.web.boxes import contact, fares, faults
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import ZONE, rendered
from gateway.web.words import moment

PATH = "/bokse/{name}"
RIGHT = "GET /bokse/{name}"
_MOST = 100
_NONE = History(events=(), citizens=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event as it is read."""

    time: str
    text: str


def add_box(router: APIRouter, door: Door) -> None:
    """The page, for whoever mends boxes."""
    asking_ = Depends(door.caller)

    @router.get(PATH)
    async def page(
        request: Request,
        caller: Annotated[Caller, asking_],
        name: Annotated[str, Path(pattern="^[a-z0-9-]{4,40}$")],
        ned: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
        proeve: Annotated[str, Query(max_length=20)] = "",
    ) -> Response:
        now = door.now()
        async with asking(door.pool, caller) as db:
            box, happened, tried = await edges.edge(db, caller, name), _NONE, list[walks.Test]()
            if box is not None:
                tried = await walks.walk_tests(db, caller, name)
                happened = await box_events.history(db, caller, name, before=ned, limit=_MOST + 1)
                await looked(db, caller, "box_events.seen", happened.citizens, now)
        shown = happened.events[:_MOST]
        return rendered(
            "box.html",
            HTTPStatus.OK if box else HTTPStatus.NOT_FOUND,
            menu=menu(door, request, caller),
            name=name if box else "",
            contact=contact(box, now) if box else "",
            fares=fares(box) if box else "",
            faults=faults(box, now, door.days_to_keep) if box else [],
            events=[line(one, now) for one in shown],
            older=shown[-1].number if len(happened.events) > _MOST else 0,
            token=door.token(request),
            seconds=SECONDS,
            walks=past(name, tried, now),
            why_not=why_not(proeve),
        )

    add_air(router, door)
    add_asks(router, door)
    add_walk(router, door)


def line(one: Happened, now: datetime) -> Line:
    """The event in words: to the minute, of a device to the hour."""
    at = moment(one.occurred, now, ZONE.key)
    time = f"i timen fra {at}" if one.is_of_a_device else at
    if one.clock in (ClockQuality.UNSURE, ClockQuality.AHEAD):
        time = f"{time} (usikkert)"
    return Line(time=time[:1].upper() + time[1:], text=sentence(one))

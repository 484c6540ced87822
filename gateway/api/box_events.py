"""What happened to a box, over HTTP: its own words, newest first."""

import base64
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from adapters.observation import ClockQuality
from gateway.api.access import Asking
from gateway.api.desk import Here
from gateway.api.edges import EdgeName
from gateway.api.problems import ALWAYS, NotFound, Problem, answers
from gateway.api.texts import Limit
from gateway.reads import box_events as reads
from gateway.reads.box_events import Detail, Happened
from gateway.store.asking import asking
from gateway.store.looks import looked

router = APIRouter(tags=["boxes"], responses=ALWAYS)

_NOT_OURS = Problem(
    HTTPStatus.BAD_REQUEST, "`after` is not a `next` of ours.", kind="not-a-continuation"
)
_NUMBERS = range(1, 2**63)
_CLOCKS: Mapping[int, str] = {clock: clock.name.lower() for clock in ClockQuality}


class EventBody(BaseModel):
    """What a box said of itself. `clock` says how sure `occurred` is.

    `word` and `details` are the box's own; a newer box may have others. Of a device (`device.…`)
    both times are whole hours, and addresses are only of what is placed in the box's home.
    """

    occurred: datetime
    received: datetime
    clock: str
    word: str
    details: dict[str, Detail]


class EventsBody(BaseModel):
    """Newest first. `next` is what to give as `after` for the following ones; null at the end."""

    events: list[EventBody]
    next: str | None


@router.get("/edges/{edge}/events", responses=answers(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND))
async def list_box_events(
    *,
    edge: EdgeName,
    caller: Asking,
    desk: Here,
    after: Annotated[
        str | None, Query(max_length=100, description="the `next` of the answer before")
    ] = None,
    limit: Limit = 50,
) -> EventsBody:
    """What happened to the box in the last 90 days, in the order in which it was told."""
    before = _number(after)
    async with asking(desk.pool, caller) as db:
        try:
            found = await reads.history(db, caller, edge, before=before, limit=limit + 1)
        except LookupError as error:
            raise NotFound from error
        await looked(db, caller, "box_events.seen", found.citizens, desk.clock.now())
    shown = found.events[:limit]
    return EventsBody(
        events=[_event(one) for one in shown],
        next=_continuation(shown[-1]) if len(found.events) > limit else None,
    )


def _event(one: Happened) -> EventBody:
    return EventBody(
        occurred=one.occurred,
        received=one.received,
        clock=_CLOCKS[one.clock],
        word=one.word,
        details=dict(one.details),
    )


def _continuation(last: Happened) -> str:
    return base64.urlsafe_b64encode(f"{last.number}".encode()).decode()


def _number(after: str | None) -> int | None:
    if after is None:
        return None
    try:
        number = int(base64.urlsafe_b64decode(after).decode())
    except ValueError as error:
        raise _NOT_OURS from error
    if number not in _NUMBERS:
        raise _NOT_OURS
    return number

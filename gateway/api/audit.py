"""The access log over HTTP: who saw this citizen, and whom this person saw."""

import base64
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, TypeAdapter

from gateway.api.access import Asking
from gateway.api.desk import Here
from gateway.api.problems import ALWAYS, NotFound, Problem, answers
from gateway.api.texts import Limit, Time
from gateway.reads import log as reads
from gateway.store.asking import asking
from gateway.store.looks import looked

router = APIRouter(tags=["access log"], responses=ALWAYS)

_NOT_OURS = Problem(
    HTTPStatus.BAD_REQUEST, "`after` is not a `next` of ours.", kind="not-a-continuation"
)
_ONE = Problem(
    HTTPStatus.UNPROCESSABLE_ENTITY, "Ask for a `citizen` or for a `person`.", kind="invalid"
)
_NUMBERS = range(1, 2**63)


class LookerBody(BaseModel):
    """Who it was, by the name they sign in with."""

    id: UUID
    login: str


class LookBody(BaseModel):
    """One look or change. `what` is a code such as alert.seen; `purpose` is on a short list."""

    at: datetime
    person: LookerBody | None
    role: str | None
    citizen: UUID | None
    what: str
    purpose: str


class LogBody(BaseModel):
    """Newest first. `next` is what to give as `after` for the following ones; null at the end."""

    looks: list[LookBody]
    next: str | None


@router.get("/log", operation_id="list_log", responses=answers(HTTPStatus.NOT_FOUND))
async def list_looks(
    *,
    caller: Asking,
    desk: Here,
    citizen: Annotated[UUID | None, Query(description="who saw this citizen")] = None,
    person: Annotated[
        UUID | Literal["me"] | None, Query(description="what this person saw; `me`: oneself")
    ] = None,
    after: Annotated[
        str | None, Query(max_length=100, description="the `next` of the answer before")
    ] = None,
    limit: Limit = 50,
) -> LogBody:
    """Who saw or changed something of a citizen, or whom a person saw.

    For who keeps watch (an auditor; a leader in their own districts), and everybody's own.
    """
    place = _place(after)
    if (citizen is None) == (person is None):
        raise _ONE
    async with asking(desk.pool, caller) as db:
        try:
            if citizen is not None:
                found = await reads.for_citizen(db, caller, citizen, after=place, limit=limit + 1)
            else:
                whom = person if isinstance(person, UUID) else caller.public
                found = await reads.for_person(db, caller, whom, after=place, limit=limit + 1)
        except LookupError as error:
            raise NotFound from error
        await looked(db, caller, "log.seen", found.of, desk.clock.now())
    shown = found.looks[:limit]
    return LogBody(
        looks=[_look(look) for look in shown],
        next=_continuation(shown[-1]) if len(found.looks) > limit else None,
    )


def _look(look: reads.Look) -> LookBody:
    person = None
    if look.person is not None and look.login is not None:
        person = LookerBody(id=look.person, login=look.login)
    return LookBody(
        at=look.at,
        person=person,
        role=look.role,
        citizen=look.citizen,
        what=look.what,
        purpose=look.purpose,
    )


def _continuation(last: reads.Look) -> str:
    return base64.urlsafe_b64encode(f"{last.at.isoformat()} {last.number}".encode()).decode()


def _place(after: str | None) -> reads.Place | None:
    if after is None:
        return None
    try:
        at, number = base64.urlsafe_b64decode(after).decode().split(" ")
        place = TypeAdapter(Time).validate_python(at), int(number)
    except ValueError as error:
        raise _NOT_OURS from error
    if place[1] not in _NUMBERS:
        raise _NOT_OURS
    return place

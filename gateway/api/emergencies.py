"""Emergency opening over HTTP: opened with a reason, listed, followed up by a leader."""

from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, StringConstraints

from gateway.api.access import Asking
from gateway.api.desk import Here
from gateway.api.problems import ALWAYS, Conflict, NotFound, answers
from gateway.api.texts import Limit
from gateway.store import emergencies as store

router = APIRouter(tags=["emergencies"], responses=ALWAYS)

Reason = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=store.SHORTEST_REASON,
        max_length=1_000,
        pattern=r"^[^\x00]*$",
    ),
]


class NewEmergency(BaseModel):
    """Whom to open, and why: the leader reads it afterwards."""

    citizen: UUID
    reason: Reason


class FollowUp(BaseModel):
    """What came of it."""

    text: Reason


class EmergencyBody(BaseModel):
    """A citizen opened in an emergency. `until` it ends by itself; `followed` is null till then."""

    id: UUID
    citizen: UUID
    person: str
    role: str
    reason: str
    opened: datetime
    until: datetime
    followed: datetime | None
    followed_by: str | None
    followed_text: str


class EmergenciesBody(BaseModel):
    """Those not followed up first. `next` is what to give as `after`; null at the end."""

    emergencies: list[EmergencyBody]
    next: UUID | None


@router.post(
    "/emergencies", status_code=HTTPStatus.CREATED, responses=answers(HTTPStatus.NOT_FOUND)
)
async def open_citizen(caller: Asking, desk: Here, wanted: NewEmergency) -> EmergencyBody:
    """A citizen of the municipality outside one's districts, for 60 minutes; it is logged."""
    try:
        return _body(await store.open_citizen(desk.pool, caller, wanted.citizen, wanted.reason))
    except LookupError as error:
        raise NotFound from error


@router.get("/emergencies")
async def list_emergencies(
    caller: Asking,
    desk: Here,
    after: Annotated[UUID | None, Query(description="the `next` of the answer before")] = None,
    limit: Limit = 50,
) -> EmergenciesBody:
    """One's own openings; a leader's list of those of their districts to be followed up."""
    found = await store.emergencies(desk.pool, caller, after=after, limit=limit + 1)
    shown = found[:limit]
    return EmergenciesBody(
        emergencies=[_body(one) for one in shown],
        next=shown[-1].public if len(found) > limit else None,
    )


@router.post(
    "/emergencies/{public}/follow-up",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def follow_up(public: UUID, caller: Asking, desk: Here, said: FollowUp) -> EmergencyBody:
    """A leader has looked at it. One's own opening is for somebody else to follow up."""
    try:
        return _body(await store.follow_up(desk.pool, caller, public, said.text))
    except LookupError as error:
        raise NotFound from error
    except store.FollowedUp as refused:
        raise Conflict("followed-up", str(refused)) from refused


def _body(one: store.Emergency) -> EmergencyBody:
    said = asdict(one)
    del said["number"]
    return EmergencyBody(id=said.pop("public"), **said)

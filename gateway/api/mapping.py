"""Which claims of the sign-in provider give which role; and uses of emergency accounts."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.api.access import Asking
from gateway.api.desk import Here
from gateway.api.problems import ALWAYS, NotFound, Problem, answers
from gateway.api.texts import Name
from gateway.store import arrivals
from gateway.store.asking import asking
from gateway.store.keys import districts_by_name
from gateway.store.people import UnknownName
from gateway.store.sessions import broken_glass

router = APIRouter(tags=["sign-in"], responses=ALWAYS)

_SHOWN = timedelta(days=90)

Given = Literal[
    "staff", "planner", "technician", "clinical_owner", "leader", "auditor", "administrator"
]
"""The roles that a provider can give: a robot has a key."""


class NewLineBody(BaseModel):
    """Whoever brings this claim with this value has this role; `districts` null: all of them."""

    claim: Name
    value: Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00]*$")]
    role: Given
    districts: Annotated[list[Name], Field(min_length=1, max_length=100)] | None = None


class LineBody(NewLineBody):
    id: UUID


class LinesBody(BaseModel):
    """The whole table, by claim, value and role."""

    lines: list[LineBody]


class MadeBody(BaseModel):
    """The new line's id."""

    id: UUID


class UseBody(BaseModel):
    """An emergency account was used to sign in."""

    login: str
    at: datetime


class UsesBody(BaseModel):
    """The last ninety days, the newest first; at most 100."""

    uses: list[UseBody]


@router.get("/sign-in/mapping", operation_id="list_mapping")
async def list_lines(caller: Asking, desk: Here) -> LinesBody:
    """Which claims give which role."""
    return LinesBody(
        lines=[
            LineBody.model_validate(
                {
                    "id": one.public,
                    "claim": one.claim,
                    "value": one.value,
                    "role": one.role,
                    "districts": one.districts and list(one.districts),
                }
            )
            for one in await arrivals.lines(desk.pool, caller)
        ]
    )


@router.post("/sign-in/mapping", status_code=HTTPStatus.CREATED, operation_id="add_mapping")
async def add_line(wanted: NewLineBody, caller: Asking, desk: Here) -> MadeBody:
    """One more line; the same claim, value and role again gives it other districts."""
    if caller.districts is not None:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "Only an administrator of every district changes who comes in.",
            kind="forbidden",
        )
    async with asking(desk.pool, caller) as db:
        try:
            numbers = (
                None
                if wanted.districts is None
                else await districts_by_name(db, caller, wanted.districts)
            )
        except UnknownName as unknown:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, str(unknown), kind="unknown-district"
            ) from unknown
        public = await arrivals.add_line(
            db,
            caller.municipality,
            claim=wanted.claim,
            value=wanted.value,
            role=wanted.role,
            districts=numbers,
        )
    return MadeBody(id=public)


@router.delete(
    "/sign-in/mapping/{public}",
    operation_id="remove_mapping",
    status_code=HTTPStatus.NO_CONTENT,
    responses=answers(HTTPStatus.NOT_FOUND),
)
async def remove_line(public: UUID, caller: Asking, desk: Here) -> None:
    """The line gives no role any more, from each person's next sign-in."""
    async with asking(desk.pool, caller) as db:
        if not await arrivals.remove_line(db, caller.municipality, public):
            raise NotFound


@router.get("/sign-in/emergency-accounts", operation_id="list_emergency_sign_ins")
async def list_uses(caller: Asking, desk: Here) -> UsesBody:
    """Each use of an account with a password where people sign in by the provider."""
    found = await broken_glass(desk.pool, caller, desk.clock.now() - _SHOWN)
    return UsesBody(uses=[UseBody(login=one.login, at=one.at) for one in found])

"""A colleague's roles and teams over HTTP, and the day when all of it ends."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.api.problems import ALWAYS, Problem, answers
from gateway.api.register_work import Work, Working
from gateway.api.texts import Time
from gateway.store.caller import Role
from gateway.store.pool import Connection
from gateway.store.register import staff

router = APIRouter(tags=["register"], responses=ALWAYS | answers(HTTPStatus.NOT_FOUND))

_REFUSED = answers(HTTPStatus.CONFLICT)
Districts = Annotated[list[UUID], Field(min_length=1, max_length=100)]


class RoleBody(BaseModel):
    """A role, in these districts (ids); null: in every district."""

    role: Role
    districts: Districts | None = None


class ColleagueBody(BaseModel):
    """What a colleague may do. `left` is when all of it ends, or ended; `teams` are ids."""

    left: datetime | None
    roles: list[RoleBody]
    teams: list[UUID]


class NewMember(BaseModel):
    """The team's id."""

    team: UUID


class Leave(BaseModel):
    """`at` is now if not said; a day to come is kept, and holds when it comes."""

    at: Time | None = None


@router.get("/people/{public}/roles")
async def show_roles(public: UUID, work: Working) -> ColleagueBody:
    """The roles that the person has now, and the teams."""
    async with _refusing(work) as db:
        return await _told(db, work, public)


@router.post("/people/{public}/roles", status_code=HTTPStatus.CREATED, responses=_REFUSED)
async def give_role(public: UUID, work: Working, wanted: RoleBody) -> ColleagueBody:
    """The role in these districts; a role that the person has is given these in place of its own.

    An administrator of some districts gives no others, and not all.
    """
    async with _refusing(work) as db:
        await staff.give_role(
            db,
            work.caller,
            public,
            role=wanted.role,
            districts=wanted.districts,
            now=work.desk.clock.now(),
        )
        return await _told(db, work, public)


@router.delete(
    "/people/{public}/roles/{role}", status_code=HTTPStatus.NO_CONTENT, responses=_REFUSED
)
async def end_role(public: UUID, role: Role, work: Working) -> None:
    """The person has the role no more: no session and no key in it opens anything."""
    async with _refusing(work) as db:
        await staff.end_role(db, work.caller, public, role, work.desk.clock.now())


@router.post("/people/{public}/leave", responses=_REFUSED)
async def let_leave(public: UUID, work: Working, wanted: Leave | None = None) -> ColleagueBody:
    """The person leaves: all roles, sessions, keys and the password end at that moment."""
    now = work.desk.clock.now()
    async with _refusing(work) as db:
        await staff.let_leave(db, work.caller, public, (wanted and wanted.at) or now, now)
        return await _told(db, work, public)


@router.post("/people/{public}/teams", status_code=HTTPStatus.CREATED, responses=_REFUSED)
async def join_team(public: UUID, work: Working, wanted: NewMember) -> ColleagueBody:
    """The person belongs to the team."""
    async with _refusing(work) as db:
        await staff.join_team(db, work.caller, public, wanted.team, work.desk.clock.now())
        return await _told(db, work, public)


@router.delete("/people/{public}/teams/{team}", status_code=HTTPStatus.NO_CONTENT)
async def quit_team(public: UUID, team: UUID, work: Working) -> None:
    """The person belongs to the team no more."""
    async with _refusing(work) as db:
        await staff.quit_team(db, work.caller, public, team, work.desk.clock.now())


@asynccontextmanager
async def _refusing(work: Work) -> AsyncGenerator[Connection]:
    try:
        async with work.asking() as db:
            yield db
    except staff.TooWide as wide:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "Who is an administrator of some districts gives and ends nothing outside them.",
            kind="too-wide",
        ) from wide


async def _told(db: Connection, work: Work, public: UUID) -> ColleagueBody:
    found = await staff.colleague(db, work.caller, public, work.desk.clock.now())
    return ColleagueBody(
        left=found.left,
        roles=[
            RoleBody(
                role=one.role,
                districts=None if one.districts is None else list(one.districts),
            )
            for one in found.roles
        ],
        teams=list(found.teams),
    )

"""One's own sessions over HTTP: where one is signed in, in which role, and an end to it."""

from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from gateway.api.access import Asking, cookie_name
from gateway.api.desk import Here
from gateway.api.problems import ALWAYS, Conflict, NotFound, answers
from gateway.store import sessions
from gateway.store.rights import Role
from gateway.store.sessions import How

router = APIRouter(tags=["sign-in"], responses=ALWAYS)


class AccessBody(BaseModel):
    """A role that the caller has; `districts` null means every district."""

    role: Role
    districts: list[str] | None


class WhoBody(BaseModel):
    """Who the caller is: `role` is the one they act in now, `roles` are all that they have."""

    id: UUID
    name: str
    role: Role
    roles: list[AccessBody]


class SessionBody(BaseModel):
    """One open session; `here` is the one that asks. It ends at `expires`, or an hour idle."""

    id: UUID
    role: Role
    how: How
    created: datetime
    seen: datetime
    expires: datetime
    here: bool


class SessionsBody(BaseModel):
    """The caller's open sessions, the newest first."""

    sessions: list[SessionBody]


class RoleBody(BaseModel):
    """The role to act in from now on."""

    role: Role


@router.get("/session")
async def who_am_i(caller: Asking, desk: Here) -> WhoBody:
    """The caller, with every role that they have."""
    found = await sessions.accesses(desk.pool, caller, desk.clock.now())
    return WhoBody(
        id=caller.public,
        name=caller.name,
        role=caller.role,
        roles=[
            AccessBody(role=one.role, districts=None if one.districts is None else [*one.districts])
            for one in found
        ],
    )


@router.post(
    "/session/role",
    operation_id="act_in_role",
    status_code=HTTPStatus.NO_CONTENT,
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def act_in(
    wanted: RoleBody, request: Request, response: Response, caller: Asking, desk: Here
) -> None:
    """Act in another of one's roles: in this session, from now on, under a new cookie."""
    if caller.session is None:
        raise Conflict("no-session", "A key acts in its own role; only a session changes it.")
    cookie = await sessions.act_as(desk.pool, caller, wanted.role, desk.clock.now())
    if cookie is None:
        raise NotFound
    tls = request.url.scheme == "https"
    response.set_cookie(cookie_name(request), cookie, secure=tls, httponly=True, samesite="lax")


@router.get("/sessions")
async def list_sessions(caller: Asking, desk: Here) -> SessionsBody:
    """Where the caller is signed in."""
    found = await sessions.sessions(desk.pool, caller, desk.clock.now())
    return SessionsBody(
        sessions=[
            SessionBody(
                id=one.public,
                role=one.role,
                how=one.how,
                created=one.created,
                seen=one.seen,
                expires=one.expires,
                here=one.public == caller.session,
            )
            for one in found
        ]
    )


@router.delete(
    "/sessions/{public}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=answers(HTTPStatus.NOT_FOUND),
)
async def end_session(public: UUID, caller: Asking, desk: Here) -> None:
    """End one of the caller's own sessions; its cookie opens nothing more."""
    if not await sessions.end_session(desk.pool, caller, public):
        raise NotFound

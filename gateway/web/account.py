"""One's own account: the role one acts in, where one is signed in, used emergency accounts."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from gateway.store import sessions
from gateway.store.caller import Caller
from gateway.store.rights import Role
from gateway.web.cookies import let_in
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import ZONE, rendered
from gateway.web.words import HOW, ROLE, moment

_SHOWN = timedelta(days=90)


def add_account(router: APIRouter, door: Door) -> None:
    """The page and what its buttons do."""
    asking = Depends(door.caller)

    @router.get("/konto")
    async def page(request: Request, caller: Annotated[Caller, asking]) -> Response:
        return await _page(request, door, caller)

    @router.post("/konto/role")
    async def act(
        request: Request, caller: Annotated[Caller, asking], role: Annotated[Role, Form()]
    ) -> Response:
        cookie = await sessions.act_as(door.pool, caller, role, door.now())
        if cookie is None:
            return await _page(request, door, caller, HTTPStatus.NOT_FOUND)
        return let_in(request, door, cookie, "/konto")

    @router.post("/konto/sessions/{public}/end")
    async def end(request: Request, caller: Annotated[Caller, asking], public: UUID) -> Response:
        if not await sessions.end_session(door.pool, caller, public):
            return await _page(request, door, caller, HTTPStatus.NOT_FOUND)
        return RedirectResponse("/konto", HTTPStatus.SEE_OTHER)


async def _page(
    request: Request, door: Door, caller: Caller, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    now = door.now()
    roles = await sessions.accesses(door.pool, caller, now)
    open_ = await sessions.sessions(door.pool, caller, now)
    uses = await sessions.broken_glass(door.pool, caller, now - _SHOWN)
    return rendered(
        "account.html",
        status,
        caller=caller,
        token=door.token(request),
        menu=menu(door, request, caller),
        by_provider=door.by_provider,
        roles=[
            {
                "role": one.role,
                "name": ROLE[one.role],
                "where": "hele kommunen" if one.districts is None else ", ".join(one.districts),
                "now": one.number == caller.access,
            }
            for one in roles
        ],
        sessions=[
            {
                "public": one.public,
                "here": one.public == caller.session,
                "role": ROLE[one.role],
                "how": HOW[one.how],
                "begun": moment(one.created, now, ZONE.key),
                "seen": moment(one.seen, now, ZONE.key),
            }
            for one in open_
        ],
        uses=[
            {"login": one.login, "at": one.at.astimezone(ZONE).strftime("%d.%m.%Y kl. %H:%M")}
            for one in uses
        ],
    )

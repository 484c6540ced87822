"""The way in and the way out."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from gateway.web.account import add_account
from gateway.web.cookies import let_in, over_tls
from gateway.web.door import Door
from gateway.web.pages import rendered
from gateway.web.words import PROVIDER_REFUSED, UNSAVED, WRONG_LOGIN, wait

_LONGEST = 200
_LONGEST_BACK = 4096
_MINUTES_AWAY = 10


def add_login(router: APIRouter, door: Door) -> None:
    """The pages that need no session, and the one about one's own."""

    @router.get("/login")
    async def ask(*, unsaved: bool = False) -> Response:
        return _asked(door, message=UNSAVED if unsaved else "")

    @router.post("/login")
    async def enter(
        request: Request,
        login: Annotated[str, Form(max_length=_LONGEST)] = "",
        password: Annotated[str, Form(max_length=_LONGEST)] = "",
        code: Annotated[str, Form(max_length=_LONGEST)] = "",
    ) -> Response:
        if seconds := door.wait(request, login):
            refused = _asked(door, HTTPStatus.TOO_MANY_REQUESTS, wait(seconds))
            refused.headers["Retry-After"] = str(seconds)
            return refused
        cookie = await door.enter(request, login, password, code)
        if cookie is None:
            return _asked(door, HTTPStatus.UNAUTHORIZED, WRONG_LOGIN)
        return let_in(request, door, cookie)

    @router.post("/logout")
    async def leave(request: Request) -> Response:
        await door.leave(request)
        out = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        out.delete_cookie(door.cookie(request), secure=over_tls(request), httponly=True)
        return out

    _add_provider(router, door)
    add_account(router, door)


def _add_provider(router: APIRouter, door: Door) -> None:
    @router.get("/login/provider")
    async def depart(request: Request) -> Response:
        going = await door.depart(request)
        if going is None:
            return _asked(door, HTTPStatus.BAD_GATEWAY, PROVIDER_REFUSED)
        address, browser = going
        out = RedirectResponse(address, HTTPStatus.SEE_OTHER)
        out.set_cookie(
            door.browser_cookie(request),
            browser,
            max_age=60 * _MINUTES_AWAY,
            secure=over_tls(request),
            httponly=True,
            samesite="lax",
        )
        return out

    @router.get("/login/back")
    async def back(request: Request) -> Response:
        query = request.query_params
        code, state, sent_by = query.get("code", ""), query.get("state", ""), query.get("iss")
        if max(len(code), len(state)) > _LONGEST_BACK:
            return _asked(door, HTTPStatus.UNAUTHORIZED, PROVIDER_REFUSED)
        cookie = await door.arrive(request, code=code, state=state, sent_by=sent_by)
        if cookie is None:
            answer = _asked(door, HTTPStatus.UNAUTHORIZED, PROVIDER_REFUSED)
        else:
            answer = let_in(request, door, cookie)
        answer.delete_cookie(door.browser_cookie(request), secure=over_tls(request), httponly=True)
        return answer


def _asked(door: Door, status: HTTPStatus = HTTPStatus.OK, message: str = "") -> Response:
    return rendered("login.html", status, message=message, by_provider=door.by_provider)

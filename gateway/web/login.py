"""The way in and the way out."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from gateway.web.door import Door
from gateway.web.pages import rendered
from gateway.web.words import WRONG_LOGIN, wait

_LONGEST = 200


def add_login(router: APIRouter, door: Door) -> None:
    """The pages that need no session."""

    @router.get("/login")
    async def ask() -> Response:
        return rendered("login.html", message="")

    @router.post("/login")
    async def enter(
        request: Request,
        login: Annotated[str, Form(max_length=_LONGEST)] = "",
        password: Annotated[str, Form(max_length=_LONGEST)] = "",
    ) -> Response:
        if seconds := door.wait(request, login):
            refused = rendered("login.html", HTTPStatus.TOO_MANY_REQUESTS, message=wait(seconds))
            refused.headers["Retry-After"] = str(seconds)
            return refused
        cookie = await door.enter(request, login, password)
        if cookie is None:
            return rendered("login.html", HTTPStatus.UNAUTHORIZED, message=WRONG_LOGIN)
        return _let_in(request, door, cookie)

    @router.post("/logout")
    async def leave(request: Request) -> Response:
        await door.leave(request)
        out = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        out.delete_cookie(door.cookie(request), secure=_tls(request), httponly=True)
        return out


def _let_in(request: Request, door: Door, cookie: str) -> Response:
    """No lifetime in the cookie: the database decides when it ends, the browser's end at latest."""
    response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    response.set_cookie(
        door.cookie(request), cookie, secure=_tls(request), httponly=True, samesite="lax"
    )
    return response


def _tls(request: Request) -> bool:
    return request.url.scheme == "https"

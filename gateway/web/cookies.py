"""How a new session's cookie is given to the browser."""

from http import HTTPStatus

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from gateway.web.door import Door


def let_in(request: Request, door: Door, cookie: str, place: str = "/") -> Response:
    """No lifetime in the cookie: the database decides when it ends, the browser's end at latest."""
    response = RedirectResponse(place, HTTPStatus.SEE_OTHER)
    response.set_cookie(
        door.cookie(request), cookie, secure=over_tls(request), httponly=True, samesite="lax"
    )
    return response


def over_tls(request: Request) -> bool:
    """Whether the browser may be told to send the cookie over TLS alone."""
    return request.url.scheme == "https"

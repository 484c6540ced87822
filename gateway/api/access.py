"""The only door: who is asking, and whether they may."""

import hmac
from dataclasses import replace
from http import HTTPStatus
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.routing import Route

from gateway.api.desk import desk_of
from gateway.api.problems import NotSignedIn, Problem
from gateway.api.purpose import for_what
from gateway.api.rights import RIGHTS, Right
from gateway.listen import split
from gateway.store import sessions
from gateway.store.caller import Caller, Role
from gateway.store.pool import DatabaseDown
from gateway.store.secrets import csrf_token
from gateway.throttle import TooOften

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_WORKS: frozenset[Role] = frozenset({"administrator", "robot"})
_TOKEN_HEADER = "x-csrf-token"  # noqa: S105 - the name of a header


async def guard(request: Request) -> Caller | None:
    """Stands before every route of the application: nobody comes in by another way.

    Returns None only where the table says that anyone may, or this machine itself.
    Raises NotSignedIn, or Problem 403 for a role without the right and for a forged form.
    """
    right = _right(request)
    if right.anyone or (right.loopback and from_this_machine(request)):
        return None
    caller = for_what(request, await who(request))
    request.state.caller = caller
    _count(request, caller)
    if not right.lets_in(caller):
        raise Problem(
            HTTPStatus.FORBIDDEN, f"The role {caller.role} may not do this.", kind="forbidden"
        )
    return caller


def _count(request: Request, caller: Caller) -> None:
    """Raises Problem 429 for who asks faster than a person or a well-made program does."""
    desk = desk_of(request)
    try:
        desk.rate.take(
            f"{caller.municipality} {caller.access}",
            desk.clock.now(),
            most=desk.settings.requests_a_minute,
        )
    except TooOften as wait:
        raise too_many(wait) from None


async def asking(caller: Annotated[Caller | None, Depends(guard)]) -> Caller:
    """The caller, for routes that need one."""
    if caller is None:
        raise NotSignedIn
    return caller


Asking = Annotated[Caller, Depends(asking)]


async def who(request: Request, *, seen: bool = True) -> Caller:
    """Who asks, by key or by cookie; a key that is sent is never overruled by a cookie."""
    desk, now = desk_of(request), desk_of(request).clock.now()
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme:
        found = (
            await sessions.caller_by_key(desk.pool, key.strip(), now)
            if scheme.lower() == "bearer"
            else None
        )
    else:
        cookie = request.cookies.get(cookie_name(request), "")
        found = await sessions.caller_by_session(desk.pool, cookie, now, seen=seen)
        if found is not None and request.method not in _SAFE:
            await _refuse_forgery(request, cookie)
    if found is None:
        raise NotSignedIn
    known = replace(found, seal=desk.seal)
    return replace(known, name=known.opens(known.name, "person", known.person, "name") or "")


def _right(request: Request) -> Right:
    """The table's line for this route. A route without a line is shut for everybody."""
    route = request.scope.get("route")
    path = route.path if isinstance(route, Route) else ""
    right = RIGHTS.get(f"{request.method} {path}")
    if right is None:
        raise Problem(
            HTTPStatus.FORBIDDEN, "No right is stated for this address.", kind="forbidden"
        )
    return right


async def may_know_the_works(request: Request) -> bool:
    """Whether whoever asks may read why a part of the gateway does not work."""
    if from_this_machine(request):
        return True
    try:
        return (await who(request, seen=False)).role in _WORKS
    except (Problem, DatabaseDown):
        return False


def from_this_machine(request: Request) -> bool:
    """Whether a program here asks on the loopback socket, and no proxy speaks for somebody else.

    A proxy that adds no header cannot be told from a program here: none may forward /metrics.
    """
    if request.client is None or any(_forwarded(name) for name in request.headers):
        return False
    listening, port = split("GATEWAY_HTTP_LISTEN", desk_of(request).settings.http_listen)
    reached = request.scope.get("server") or ("", None)
    return (
        request.scope["scheme"] == "http"
        and reached[1] == port
        and all(_is_loopback(host) for host in (listening, reached[0], request.client.host))
    )


def _forwarded(header: str) -> bool:
    return header in {"forwarded", "via", "x-real-ip"} or header.startswith("x-forwarded-")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def cookie_name(request: Request) -> str:
    """Over TLS the browser itself holds the name to Secure and to this host."""
    return "__Host-trygport" if request.url.scheme == "https" else "trygport"


def from_our_own_page(request: Request) -> bool:
    """Whether the browser says that one of our own pages made this request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _refuse_forgery(request: Request, cookie: str) -> None:
    """A cookie is sent by the browser whoever made the form; the form's own word is not."""
    word = request.headers.get(_TOKEN_HEADER)
    if word is None and "form" in request.headers.get("content-type", ""):
        field = (await request.form()).get("csrf")
        word = field if isinstance(field, str) else None
    fits = hmac.compare_digest((word or "").encode(), csrf_token(cookie).encode())
    if not (fits and from_our_own_page(request)):
        raise Problem(HTTPStatus.FORBIDDEN, "The form is not ours, or too old.", kind="forgery")


def client_address(request: Request) -> str:
    """The other end's address, for counting attempts."""
    return request.client.host if request.client else "unknown"


def too_many(wait: TooOften) -> Problem:
    """The answer to who tries too often."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        str(wait),
        kind="too-many",
        headers={"Retry-After": str(wait.seconds)},
    )

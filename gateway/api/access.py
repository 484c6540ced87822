"""The only door: who is asking, and whether they may."""

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.routing import Route

from gateway.api.desk import Desk, desk_of
from gateway.api.listen import split
from gateway.api.problems import NotSignedIn, Problem
from gateway.api.rights import RIGHTS, Right
from gateway.api.throttle import Throttle, TooOften
from gateway.store import people
from gateway.store.caller import Caller, Role
from gateway.store.pool import DatabaseDown, Pool
from gateway.store.secrets import csrf_token, password_fits

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
    caller = await who(request)
    if caller.role not in right.roles:
        raise Problem(
            HTTPStatus.FORBIDDEN, f"The role {caller.role} may not do this.", kind="forbidden"
        )
    return caller


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
            await people.caller_by_key(desk.pool, key.strip(), now)
            if scheme.lower() == "bearer"
            else None
        )
    else:
        cookie = request.cookies.get(cookie_name(request), "")
        found = await people.caller_by_session(desk.pool, cookie, now, seen=seen)
        if found is not None and request.method not in _SAFE:
            await _refuse_forgery(request, cookie)
    if found is None:
        raise NotSignedIn
    return found


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


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a login may be tried before waiting.

    By login and address together first, so that a stranger who guesses does not lock a nurse
    out; then by each alone against guessing spread out.
    """

    pair: Throttle = field(default_factory=lambda: Throttle(5, timedelta(minutes=15)))
    login: Throttle = field(default_factory=lambda: Throttle(100, timedelta(minutes=15)))
    address: Throttle = field(default_factory=lambda: Throttle(50, timedelta(minutes=15)))

    def take(self, login: str, address: str, now: datetime) -> None:
        """One attempt, counted before it is made: many at once are many. Raises TooOften."""
        counted = self._throttles(login, address)
        for throttle, key in counted:
            throttle.check(key, now)
        for throttle, key in counted:
            throttle.count(key, now)

    def give_back(self, login: str, address: str) -> None:
        """The attempt was no guess."""
        for throttle, key in self._throttles(login, address):
            throttle.give_back(key)

    def _throttles(self, login: str, address: str) -> list[tuple[Throttle, str]]:
        return [
            (self.pair, f"{login} {address}"),
            (self.login, login),
            (self.address, address),
        ]


class Door:
    """What the screens are given instead of knowing this room: see `gateway.web.door`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._limits = Limits()

    @property
    def pool(self) -> Pool:
        return self._desk.pool

    def now(self) -> datetime:
        return self._desk.clock.now()

    async def caller(self, caller: Asking) -> Caller:
        return caller

    def token(self, request: Request) -> str:
        """The word that this page's forms must bring."""
        return csrf_token(request.cookies.get(cookie_name(request), ""))

    def wait(self, request: Request, login: str) -> int:
        """Seconds until this login may be tried again; 0 when it may be now, which is counted.

        Raises Problem 403 for a form that is not ours: another site uses up nobody's attempts.
        """
        if not from_our_own_page(request):
            raise Problem(HTTPStatus.FORBIDDEN, "The form is not ours.", kind="forgery")
        try:
            self._limits.take(known_as(login), client_address(request), self.now())
        except TooOften as wait:
            return wait.seconds
        return 0

    async def enter(self, request: Request, login: str, password: str) -> str | None:
        """The cookie of a new session, or None: unknown and wrong are one answer.

        Follows a `wait` of 0, whose attempt is given back unless the password was wrong.
        """
        login = known_as(login)
        try:
            cookie = await self._session(login, password)
        except DatabaseDown:
            self._limits.give_back(login, client_address(request))
            raise
        if cookie is not None:
            self._limits.give_back(login, client_address(request))
        return cookie

    async def _session(self, login: str, password: str) -> str | None:
        now = self.now()
        account = await people.account(self.pool, login, now)
        if not await password_fits(password, account and account.password_hash) or account is None:
            return None
        return await people.open_session(self.pool, account, now)

    async def leave(self, request: Request) -> None:
        """Ends the session that this request was made in."""
        await people.close_session(self.pool, request.cookies.get(cookie_name(request), ""))

    def cookie(self, request: Request) -> str:
        return cookie_name(request)


def known_as(login: str) -> str:
    """A login as it is kept: a phone's keyboard begins with a capital, and no name holds a NUL."""
    return login.strip().lower().replace("\0", "")


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

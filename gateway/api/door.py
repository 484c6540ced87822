"""What the screens are given instead of knowing this room: how people come in, and who they are."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus

from fastapi import Request

from gateway.api.access import (
    Asking,
    client_address,
    cookie_name,
    from_our_own_page,
    too_many,
)
from gateway.api.beginning import Beginning
from gateway.api.desk import Desk
from gateway.api.problems import Problem, Refused
from gateway.api.rights import RIGHTS
from gateway.api.sign_in import SignIn
from gateway.oidc.provider import ProviderDown
from gateway.oidc.token import Untrusted
from gateway.store import sessions
from gateway.store.caller import Caller
from gateway.store.pool import DatabaseDown, Pool
from gateway.store.secrets import csrf_token
from gateway.throttle import Rate, Throttle, TooOften


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


_DEPARTURES_A_MINUTE = 300
"""From one address to the provider: a whole town hall may stand behind it when a shift begins."""


class Door:
    """What the screens are given instead of knowing this room: see `gateway.web.door`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._limits = Limits()
        self._departures = Rate()
        self._sign_in = SignIn(desk)
        self.beginning = Beginning(desk)
        self.refused: Refused | None = None

    @property
    def pool(self) -> Pool:
        return self._desk.pool

    @property
    def days_to_keep(self) -> float:
        """How long a box should keep what it has sent, in days."""
        return self._desk.settings.days_to_keep

    def now(self) -> datetime:
        return self._desk.clock.now()

    async def caller(self, caller: Asking) -> Caller:
        return caller

    def may(self, caller: Caller, way: str) -> bool:
        """Whether this caller comes through that route; no such route: no."""
        right = RIGHTS.get(way)
        return right is not None and right.lets_in(caller)

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

    @property
    def by_provider(self) -> bool:
        """Whether people sign in by the municipality's provider."""
        return self._sign_in.by_provider

    async def enter(self, request: Request, login: str, password: str, code: str) -> str | None:
        """The cookie of a new session, or None: unknown and wrong are one answer.

        Follows a `wait` of 0, whose attempt is given back unless something was wrong.
        """
        login = known_as(login)
        try:
            cookie = await self._sign_in.with_password(login, password, code)
        except DatabaseDown:
            self._limits.give_back(login, client_address(request))
            raise
        if cookie is not None:
            self._limits.give_back(login, client_address(request))
            await self.leave(request)
        return cookie

    async def depart(self, request: Request) -> tuple[str, str] | None:
        """The provider's address, and the word that the browser must keep; None: not now.

        Raises Problem 429: whoever has not signed in fills no table of ours.
        """
        try:
            self._departures.take(client_address(request), self.now(), most=_DEPARTURES_A_MINUTE)
        except TooOften as wait:
            raise too_many(wait) from None
        try:
            return await self._sign_in.depart()
        except (Untrusted, ProviderDown) as why:
            self._sign_in.refused(why)
            return None

    async def arrive(
        self, request: Request, *, code: str, state: str, sent_by: str | None
    ) -> str | None:
        """The cookie of a new session for who comes back from the provider; None: refused.

        A session that this browser had before ends: no cookie from before opens what comes now.
        """
        browser = request.cookies.get(self.browser_cookie(request), "")
        try:
            cookie = await self._sign_in.arrive(
                code=code, state=state, browser=browser, sent_by=sent_by
            )
        except (Untrusted, ProviderDown) as why:
            self._sign_in.refused(why)
            return None
        await self.leave(request)
        return cookie

    async def leave(self, request: Request) -> None:
        """Ends the session that this request was made in."""
        await sessions.close_session(self.pool, request.cookies.get(cookie_name(request), ""))

    def browser_cookie(self, request: Request) -> str:
        """The name of the cookie that a sign-in by the provider is bound to its browser with."""
        return cookie_name(request) + "-login"

    def cookie(self, request: Request) -> str:
        return cookie_name(request)


def known_as(login: str) -> str:
    """A login as it is kept: a phone's keyboard begins with a capital, and no name holds a NUL."""
    return login.strip().lower().replace("\0", "")

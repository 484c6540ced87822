"""The first administrator over HTTP: the link that is printed, and what its page needs of us."""

import asyncio
import hmac
from datetime import timedelta

from fastapi import Request

from gateway import log
from gateway.api.access import client_address, cookie_name, from_our_own_page
from gateway.api.desk import Desk
from gateway.beginning import address, words
from gateway.clock import Clock
from gateway.edges.inviting import Inviting, NoAuthority
from gateway.settings import Settings
from gateway.store import beginning, sessions
from gateway.store.pool import DatabaseDown, Pool
from gateway.store.secrets import csrf_token
from gateway.throttle import Throttle, TooOften

_AGAIN = 5.0
_PERIOD = timedelta(minutes=15)
_ALL = "all"

_log = log.get(__name__)


async def announce(pool: Pool, settings: Settings, clock: Clock) -> None:
    """Print a new link in an empty system, however long the database keeps us waiting.

    On standard output and not in the log, which is sent to other machines, and kept.
    """
    while True:
        try:
            secret = await beginning.first_link(pool, clock.now())
        except DatabaseDown:
            await asyncio.sleep(_AGAIN)
        else:
            if secret is not None:
                print(words(address(settings, secret)), flush=True)  # noqa: T201
            return


class Beginning:
    """What the screens are given instead of knowing this room: see `gateway.web.beginning_door`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._one = Throttle(20, _PERIOD)
        self._all = Throttle(300, _PERIOD)

    @property
    def needs_code(self) -> bool:
        """Whether an account with a password needs a phone's code."""
        return self._desk.settings.production

    def wait(self, request: Request) -> int:
        """Seconds until a link may be tried again from there; 0: now, and it is counted."""
        counted = ((self._one, client_address(request)), (self._all, _ALL))
        now = self._desk.clock.now()
        try:
            for throttle, key in counted:
                throttle.check(key, now)
        except TooOften as wait:
            return wait.seconds
        for throttle, key in counted:
            throttle.count(key, now)
        return 0

    async def opens(self, request: Request, secret: str) -> bool:
        """Whether the link may be used. Follows a `wait` of 0, which is given back if it may."""
        opened = bool(secret) and await beginning.opens(
            self._desk.pool, secret, self._desk.clock.now()
        )
        if opened:
            self._one.give_back(client_address(request))
            self._all.give_back(_ALL)
        return opened

    def cookie(self, request: Request) -> str:
        """The name of the cookie that keeps the link's code while the form is filled in."""
        return cookie_name(request) + "-begin"

    def token(self, request: Request) -> str:
        """The word that the form must bring."""
        return csrf_token(request.cookies.get(self.cookie(request), ""))

    def is_ours(self, request: Request, word: str) -> bool:
        """Whether the form came from our own page, in the browser that opened the link."""
        fits = hmac.compare_digest(word.encode(), self.token(request).encode())
        return fits and from_our_own_page(request)

    async def begin(self, secret: str, first: beginning.First) -> str:
        """The cookie of the first administrator's session. Raises LinkRefused and LoginTaken."""
        now = self._desk.clock.now()
        caller = await beginning.begin(self._desk.pool, self._desk.seal, secret, first, now)
        _log.warning("the first administrator was made", municipality=caller.municipality)
        return await sessions.open_session(self._desk.pool, caller.municipality, caller.access, now)

    async def codes(self) -> Inviting | None:
        """Makes the codes of boxes; None where no box can join yet."""
        try:
            return await Inviting.of(self._desk.pool)
        except NoAuthority:
            return None

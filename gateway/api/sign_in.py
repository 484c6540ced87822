"""How somebody gets a session: by the municipality's provider, or by a password and a code."""

import hmac
from datetime import datetime

from gateway import log
from gateway.api.desk import Desk
from gateway.oidc.flow import Attempt, attempt
from gateway.oidc.provider import Client, Provider
from gateway.oidc.token import Identity, Untrusted
from gateway.settings import Settings
from gateway.store import sessions
from gateway.store.arrivals import arrived, begun, taken
from gateway.store.seal import Place
from gateway.store.secrets import digest, password_fits
from gateway.store.sessions import Account
from gateway.store.totp import matching_step

_log = log.get(__name__)


class SignIn:
    """Both ways in. What it gives is the cookie of a new session, never one that was there."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._provider = _provider(desk.settings)
        self._broken = desk.health.counter(
            "break_glass_used", "Sign-ins with a password where there is a provider"
        )
        self._refused = desk.health.counter(
            "sign_in_refused", "Answers of the provider that were not believed"
        )

    @property
    def by_provider(self) -> bool:
        """Whether people sign in by the municipality's provider."""
        return self._provider is not None

    async def with_password(self, login: str, password: str, code: str) -> str | None:
        """The cookie of a new session, or None: whatever was wrong is one answer.

        Where there is a provider this is for emergencies: it is logged and counted, and
        administrators are shown it. In production a password alone opens nothing.
        """
        now = self._desk.clock.now()
        account = await sessions.account(self._desk.pool, login, now)
        fits = await password_fits(password, account and account.password_hash)
        if account is None or not fits or not await self._second(account, code, now):
            return None
        broken = self.by_provider
        cookie = await sessions.open_session(
            self._desk.pool, account.municipality, account.access, now, broken_glass=broken
        )
        if broken:
            self._broken.inc()
            _log.warning(
                "a break-glass account was used",
                municipality=account.municipality,
                person=account.person,
            )
        return cookie

    async def _second(self, account: Account, code: str, now: datetime) -> bool:
        """Whether the second factor is there: needed by who has one, and by all in production."""
        if account.second_factor is None:
            if self._desk.settings.production:
                _log.warning("a sign-in without a second factor", person=account.person)
            return not self._desk.settings.production
        place = Place(account.municipality, "second_factor", account.person, "secret")
        secret = self._desk.seal.open_bytes(account.second_factor, place)
        step = matching_step(secret, code, now, after=account.last_step or 0)
        return step is not None and await sessions.take_step(self._desk.pool, account, step)

    async def depart(self) -> tuple[str, str]:
        """The provider's address for this sign-in, and the word that the browser must keep.

        Raises Untrusted and ProviderDown.
        """
        made, now = attempt(), self._desk.clock.now()
        address = await self._known().departure(made, now)
        await begun(self._desk.pool, made, now)
        return address, made.browser

    async def arrive(self, *, code: str, state: str, browser: str, sent_by: str | None) -> str:
        """The cookie of a new session for who came back from the provider.

        The attempt is over whatever comes of it: neither state nor code is taken twice.
        Raises Untrusted, ProviderDown, and Untrusted too for somebody who has no role here.
        """
        now = self._desk.clock.now()
        made = await taken(self._desk.pool, state, now)
        if made is None or not hmac.compare_digest(digest(browser), made.browser):
            raise Untrusted("no sign-in of this browser is under way")
        found = await self._known().identity(
            code,
            Attempt(state=state, browser=browser, nonce=made.nonce, verifier=made.verifier),
            now,
            sent_by=sent_by,
        )
        return await self._session(found, now)

    async def _session(self, found: Identity, now: datetime) -> str:
        account = await arrived(
            self._desk.pool, self._desk.settings.oidc_municipality, found, now, self._desk.seal
        )
        if account is None:
            raise Untrusted("no role is given by these claims, or the person has left")
        return await sessions.open_session(
            self._desk.pool, account.municipality, account.access, now, how="provider"
        )

    def refused(self, why: Exception) -> None:
        """Notes a sign-in that came to nothing, with its reason, which the browser is not told."""
        self._refused.inc()
        _log.warning("a sign-in by the provider was refused", why=str(why))

    def _known(self) -> Provider:
        if self._provider is None:
            raise Untrusted("no provider is set")
        return self._provider


def _provider(settings: Settings) -> Provider | None:
    if not settings.oidc_issuer:
        return None
    return Provider(
        Client(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.get_secret_value(),
            redirect=settings.oidc_redirect,
            production=settings.production,
        )
    )

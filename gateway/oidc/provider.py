"""The municipality's sign-in provider: what it says of itself, its keys, and codes for tokens."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import quote, urlsplit

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.oidc.flow import Attempt, departure
from gateway.oidc.token import Expected, Identity, UnknownKey, Untrusted, believed

FRESH = timedelta(hours=1)
"""How long the provider's words about itself, and its keys, are taken for true."""
ASK_AGAIN = timedelta(seconds=10)
"""At most so often an unknown key's name makes us ask: anybody can make up names."""
_SECONDS = 5.0
_LARGEST = 262_144


class ProviderDown(Exception):
    """The provider does not answer, or not as one. Try again later; break-glass accounts work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who we are to the provider, as it was agreed with those who run it."""

    issuer: str
    client_id: str
    client_secret: str
    redirect: str
    production: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the provider says of itself (OpenID Connect Discovery 1.0, 3)."""

    authorization: str
    token: str
    jwks: str
    says_who: bool
    at: datetime


class Provider:
    """One provider, asked when needed; what it says is kept for an hour."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: _Known | None = None
        self._keys: tuple[KeySet, datetime] | None = None
        self._asking = asyncio.Lock()

    @property
    def issuer(self) -> str:
        return self._client.issuer

    async def departure(self, made: Attempt, now: datetime) -> str:
        """Where the browser is sent to sign in. Raises ProviderDown, Untrusted."""
        known = await self._itself(now)
        return departure(known.authorization, self._client.client_id, self._client.redirect, made)

    async def identity(
        self, code: str, made: Attempt, now: datetime, *, sent_by: str | None
    ) -> Identity:
        """Who came back with this code. `sent_by` is the answer's own `iss` (RFC 9207).

        Raises Untrusted: nobody is let in. Raises ProviderDown.
        """
        known = await self._itself(now)
        if sent_by != self.issuer and (known.says_who or sent_by is not None):
            raise Untrusted("the answer came from another provider")
        token = await self._exchanged(known, code, made.verifier)
        expected = Expected(
            issuer=self.issuer, client_id=self._client.client_id, nonce=made.nonce, now=now
        )
        keys = await self._keys_of(known, now)
        try:
            return believed(token, keys, expected)
        except UnknownKey:  # it may have made a new one since
            return believed(token, await self._keys_of(known, now, newer=True), expected)

    async def _itself(self, now: datetime) -> _Known:
        async with self._asking:
            if self._known is None or now - self._known.at > FRESH:
                where = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
                self._known = self._read(await self._json("GET", where), now)
            return self._known

    def _read(self, said: Mapping[str, Any], now: datetime) -> _Known:
        if said.get("issuer") != self.issuer:
            raise Untrusted("the provider calls itself something else than GATEWAY_OIDC_ISSUER")
        return _Known(
            authorization=self._address(said, "authorization_endpoint"),
            token=self._address(said, "token_endpoint"),
            jwks=self._address(said, "jwks_uri"),
            says_who=said.get("authorization_response_iss_parameter_supported") is True,
            at=now,
        )

    def _address(self, said: Mapping[str, Any], name: str) -> str:
        value = said.get(name)
        if not isinstance(value, str) or not _fit(value, production=self._client.production):
            raise Untrusted(f"the provider's {name} is not an address of HTTPS")
        return value

    async def _keys_of(self, known: _Known, now: datetime, *, newer: bool = False) -> KeySet:
        async with self._asking:
            age = None if self._keys is None else now - self._keys[1]
            if self._keys is None or age is None or age > (ASK_AGAIN if newer else FRESH):
                self._keys = (_public(await self._json("GET", known.jwks)), now)
            return self._keys[0]

    async def _exchanged(self, known: _Known, code: str, verifier: str) -> str:
        """The ID token for a code; a code that was used, or is not ours, gets none."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect,
            "client_id": self._client.client_id,
            "code_verifier": verifier,
        }
        token = (await self._json("POST", known.token, form)).get("id_token")
        if not isinstance(token, str):
            raise Untrusted("the provider gave no ID token")
        return token

    async def _json(
        self, method: str, address: str, form: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        """One answer. A refusal of ours (4xx) is Untrusted, whatever else is ProviderDown."""
        secret = self._client.client_secret
        # RFC 6749, 2.3.1: both are first written as in a form, then as Basic wants them
        pair = (quote(self._client.client_id, safe=""), quote(secret, safe=""))
        try:
            async with httpx2.AsyncClient(
                timeout=_SECONDS, follow_redirects=False, trust_env=False, verify=_tls()
            ) as http:
                answer = await http.request(
                    method,
                    address,
                    data=dict(form) if form else None,
                    headers={"Accept": "application/json"},
                    auth=pair if form and secret else None,
                )
        except httpx2.HTTPError as fault:
            raise ProviderDown(f"{type(fault).__name__} from {urlsplit(address).netloc}") from fault
        return _object(answer)


@cache
def _tls() -> ssl.SSLContext:
    """Read once: the machine's authorities take longer to read than the provider to answer."""
    return ssl.create_default_context()


def _object(answer: httpx2.Response) -> Mapping[str, Any]:
    if HTTPStatus.BAD_REQUEST <= answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Untrusted(f"the provider refused with {answer.status_code}")
    if answer.status_code != HTTPStatus.OK or len(answer.content) > _LARGEST:
        raise ProviderDown(f"an answer of {answer.status_code}, {len(answer.content)} bytes")
    try:
        body: object = answer.json()
    except ValueError as error:
        raise ProviderDown("an answer that is not JSON") from error
    if not isinstance(body, dict):
        raise ProviderDown("an answer that is no object")
    return cast("dict[str, Any]", body)


def _public(said: Mapping[str, Any]) -> KeySet:
    """The keys that sign; a shared secret among them is passed over, for it can sign nothing here.

    One that cannot be read is passed over too: a provider may have kinds that we do not know.
    """
    listed: object = said.get("keys")
    keys = [
        key
        for one in (cast("list[object]", listed) if isinstance(listed, list) else [])
        if isinstance(one, dict)
        for key in _one(cast("dict[str, Any]", one))
    ]
    if not keys:
        raise ProviderDown("the provider names no key that signs")
    return KeySet(keys)


def _one(said: dict[str, Any]) -> list[Any]:
    if said.get("use", "sig") != "sig" or said.get("kty") not in {"RSA", "EC", "OKP"}:
        return []
    public = {name: value for name, value in said.items() if name not in {"d", "p", "q"}}
    try:
        return list(KeySet.import_key_set({"keys": [public]}))
    except (JoseError, ValueError):
        return []


def _fit(address: str, *, production: bool) -> bool:
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname:
        return True
    return parts.scheme == "http" and not production and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

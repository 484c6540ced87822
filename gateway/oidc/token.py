"""Whether an ID token may be believed: OpenID Connect Core 1.0, 3.1.3.7, taken strictly."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, cast

from joserfc import jws, jwt
from joserfc.errors import InvalidKeyIdError, JoseError, SecurityWarning
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

LEEWAY = timedelta(seconds=60)
"""How far the provider's clock may be from ours."""
OLDEST = timedelta(minutes=10)
"""A token is fetched the moment it is made; an older one is not the one we asked for."""
LARGEST = 65_536
"""Bytes of a token; a provider that puts a hundred groups in it stays far below."""

_KEY_OF: Mapping[str, type[Key]] = {
    "RS256": RSAKey,
    "PS256": RSAKey,
    "ES256": ECKey,
    "EdDSA": OKPKey,
    "Ed25519": OKPKey,
}
"""The only signatures that are taken, each with its own kind of key: neither `none`, nor one made
with a shared secret, which a public key could be mistaken for."""
ALGORITHMS: Sequence[str] = tuple(_KEY_OF)


class Untrusted(Exception):
    """What the provider, or whoever played it, sent cannot be believed. Nobody is let in.

    The text is for the log and names what was wrong; the person is only told to try again.
    """


class UnknownKey(Untrusted):
    """The token names a key that the provider had not when last asked: ask it once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the token must say about itself."""

    issuer: str
    client_id: str
    nonce: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signed in, by the provider's word. `subject` is theirs for ever; the rest may change."""

    issuer: str
    subject: str
    login: str
    name: str
    claims: frozenset[tuple[str, str]]
    """Every claim that is a text or a list of texts, as pairs: what the mapping looks for."""


def believed(token: str, keys: KeySet, expected: Expected) -> Identity:
    """The identity in an ID token. Raises Untrusted; UnknownKey where a newer key may help."""
    if len(token) > LARGEST:
        raise Untrusted("the token is too large")
    claims = _signed(token, keys)
    _from_and_for(claims, expected)
    _in_time(claims, expected.now)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not compare_digest(nonce.encode(), expected.nonce.encode()):
        raise Untrusted("the nonce is not the one of this sign-in")
    return _identity(claims, expected.issuer)


def _signed(token: str, keys: KeySet) -> Mapping[str, Any]:
    """The claims, if one of the keys signed them by a signature that is taken."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError) as error:
        raise Untrusted("not a signed token") from error
    key = _key(header, keys)
    registry = jws.JWSRegistry(algorithms=ALGORITHMS)
    try:
        with warnings.catch_warnings():
            # it warns of `EdDSA`, the older name of what RFC 9864 calls Ed25519: providers use it
            warnings.simplefilter("ignore", SecurityWarning)
            return jwt.decode(token, key, registry=registry).claims
    except (JoseError, ValueError) as error:
        raise Untrusted(f"the signature is not the provider's: {error}") from error


def _key(header: Mapping[str, Any], keys: KeySet) -> Key:
    """The one key that may have signed: named by the token, of the kind its algorithm needs."""
    wanted = _KEY_OF.get(str(header.get("alg")))
    if wanted is None:
        raise Untrusted(f"the algorithm {header.get('alg')!r} is not taken")
    if header.get("typ", "JWT") not in {"JWT", "jwt"}:
        raise Untrusted(f"a token of type {header['typ']!r} is no ID token")
    try:
        key = keys.get_by_kid(cast("str | None", header.get("kid")))
    except InvalidKeyIdError as error:
        raise UnknownKey("no key of the provider has the name in the token") from error
    if not isinstance(key, wanted) or key.get("alg", header["alg"]) != header["alg"]:
        raise Untrusted("the key is not for this algorithm")
    return key


def _from_and_for(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise Untrusted("the issuer is another")
    audience = claims.get("aud")
    audiences: object = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or expected.client_id not in audiences:
        raise Untrusted("the token is meant for somebody else")
    several = len(cast("list[object]", audiences)) > 1
    if (several or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise Untrusted("the token was given to another party")


def _in_time(claims: Mapping[str, Any], now: datetime) -> None:
    until, made = _moment(claims, "exp"), _moment(claims, "iat")
    moment, leeway = now.timestamp(), LEEWAY.total_seconds()
    if until is None or until <= moment - leeway:
        raise Untrusted("the token has expired")
    if made is None or made > moment + leeway:
        raise Untrusted("the token is of the future")
    if made < moment - OLDEST.total_seconds():
        raise Untrusted("the token is old")
    if "nbf" in claims and (_moment(claims, "nbf") or moment * 2) > moment + leeway:
        raise Untrusted("the token does not hold yet")


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _identity(claims: Mapping[str, Any], issuer: str) -> Identity:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:  # noqa: PLR2004 - Core 1.0, 2
        raise Untrusted("the token does not say who it is about")
    login = _text(claims, "preferred_username") or _text(claims, "email") or subject
    return Identity(
        issuer=issuer,
        subject=subject,
        login=login.lower(),
        name=_text(claims, "name") or login,
        claims=frozenset(_pairs(claims)),
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    """The claim as it may be shown and kept: printable, and no longer than a name."""
    value = claims.get(name)
    return value.strip()[:200] if isinstance(value, str) and value.isprintable() else ""


def _pairs(claims: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in claims.items():
        several = cast("list[object]", value) if isinstance(value, list) else [value]
        pairs += [(name, one) for one in several if isinstance(one, str) and "\0" not in one]
    return pairs

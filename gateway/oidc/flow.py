"""One sign-in on its way to the provider and back: its secrets, and the address it leaves for."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

LOGIN_LIFE = timedelta(minutes=10)
"""How long somebody may take at the provider: a password, and a code from a phone."""
SCOPE = "openid profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The secrets of one sign-in.

    `state` comes back in the address and says which attempt this is; `browser` lies in a cookie
    and says that the same browser began it; `nonce` comes back inside the token; `verifier` is told
    to the provider only with the code (RFC 7636), so a code alone is worth nothing.
    """

    state: str
    browser: str
    nonce: str
    verifier: str


def attempt() -> Attempt:
    """A new attempt, each secret of 32 random bytes."""
    state, browser, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
    return Attempt(state=state, browser=browser, nonce=nonce, verifier=verifier)


def challenge(verifier: str) -> str:
    """What the provider is told of the verifier beforehand: RFC 7636, S256."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def departure(endpoint: str, client_id: str, redirect: str, made: Attempt) -> str:
    """The provider's address that the browser is sent to (OpenID Connect Core 1.0, 3.1.2.1)."""
    query = urlencode(
        {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect,
            "scope": SCOPE,
            "state": made.state,
            "nonce": made.nonce,
            "code_challenge": challenge(made.verifier),
            "code_challenge_method": "S256",
        }
    )
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

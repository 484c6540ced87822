"""Passwords, keys and one-time secrets: how they are made, and the only form kept of them."""

import asyncio
import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST_PASSWORD = 12
"""Characters; what NIST SP 800-63B and the Danish CFCS ask of a password used alone."""

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Douglas Crockford's base 32: no I, L, O and U, which people take for others, or for words."""

_OF_CODE = 12
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's argon2id
_AT_ONCE = ThreadPoolExecutor(2, thread_name_prefix="argon2")
"""Each takes 19 MiB and a whole core: more at once would only slow down all that is not a login."""
_NOBODY = _HASHER.hash(secrets.token_urlsafe(32))


def new_secret(size: int = 32) -> str:
    """A random secret of `size` bytes, in letters that need no escaping."""
    return secrets.token_urlsafe(size)


def new_code_secret() -> str:
    """The secret part of a code that people may have to type: 12 characters, 60 bits.

    That is enough for what opens once, for a day, at a door that slows down guessing.
    """
    return "".join(secrets.choice(CROCKFORD) for _ in range(_OF_CODE))


def digest(secret: str) -> bytes:
    """What is kept of a random secret. SHA-256 is enough: nobody guesses 32 random bytes.

    The 60 bits of a code would take one graphics card years, and are good for a day.
    """
    return hashlib.sha256(secret.encode()).digest()


def csrf_token(cookie: str) -> str:
    """The word that a form must bring: known only to who reads the page that the cookie opened."""
    return hashlib.sha256(b"form:" + cookie.encode()).hexdigest()


async def hash_password(password: str) -> str:
    """The argon2id form of a password, worked out off the loop: it takes tens of milliseconds."""
    return await asyncio.get_running_loop().run_in_executor(_AT_ONCE, _HASHER.hash, password)


async def password_fits(password: str, kept: str | None) -> bool:
    """Whether the password is the one kept. Nobody's password takes as long as somebody's."""
    return await asyncio.get_running_loop().run_in_executor(_AT_ONCE, _fits, password, kept)


def _fits(password: str, kept: str | None) -> bool:
    try:
        _HASHER.verify(kept or _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None

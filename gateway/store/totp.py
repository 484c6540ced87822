"""Codes from a phone that change every half minute: RFC 6238, as all phones make them."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote

STEP = 30
"""Seconds for which a code is shown."""
DIGITS = 6
_WINDOW = 1
"""Steps before and after now that are taken too: a phone's clock, and a slow thumb."""
_SECRET = 20
"""Bytes: as long as SHA-1's own, which RFC 4226 recommends and all phones take."""


def new_totp_secret() -> bytes:
    """A new secret, to be shown once and kept sealed."""
    return secrets.token_bytes(_SECRET)


def code_at(secret: bytes, step: int, *, digits: int = DIGITS) -> str:
    """The code of one step: RFC 4226, 5.3, with HMAC-SHA-1."""
    made = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    offset = made[-1] & 15
    number = int.from_bytes(made[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_at(now: datetime) -> int:
    """The number of the step that `now` is in, since 1970."""
    return int(now.timestamp()) // STEP


def matching_step(secret: bytes, code: str, now: datetime, *, after: int) -> int | None:
    """The step whose code this is, later than `after`, or None. Takes the same time either way."""
    typed, here = code.replace(" ", "").encode(), step_at(now)
    fits = [
        step
        for step in range(here - _WINDOW, here + _WINDOW + 1)
        if hmac.compare_digest(code_at(secret, step).encode(), typed) and step > after
    ]
    return fits[-1] if fits else None


def address_for_phone(secret: bytes, login: str) -> str:
    """What a phone reads as a picture or by hand: the otpauth address that all of them know."""
    word = base64.b32encode(secret).decode()
    return f"otpauth://totp/Trygport:{quote(login)}?secret={word}&issuer=Trygport"

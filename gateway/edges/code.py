"""CODE: what a technician types or scans into a box; it says where, whom to trust, and opens once.

`ADDRESS/XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`, the second part in Crockford's base 32: 12
characters of secret (60 bits), 16 of the fingerprint (the first 80 bits of the SHA-256 of our
authority's root certificate), 4 of a check (the first 20 bits of the SHA-256 of the address in
lower case, `/` and the 28 characters before). So the box knows whom it talks to before it says
anything, and a mistyped code is told as mistyped before anything is sent.
"""

import hashlib
import io
import re
from dataclasses import dataclass

import segno

from gateway.store.secrets import CROCKFORD

_SECRET, _FINGERPRINT, _CHECK, _GROUP = 12, 16, 4, 4
_ALL = _SECRET + _FINGERPRINT + _CHECK
_READ_AS = str.maketrans("ILO", "110")
_ADDRESS = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253}):([0-9]{1,5})")
_LONGEST, _LARGEST_PORT = 400, 65535


class BadCode(ValueError):
    """Not a code, or mistyped; the text says which, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A code, taken apart: the address of the boxes' HTTPS, the secret, and whom to trust there.

    `fingerprint` is the first 80 bits, in 20 hexadecimal characters.
    """

    address: str
    secret: str
    fingerprint: str


def make(address: str, secret: str, fingerprint: str) -> str:
    """The code. `fingerprint` is the whole SHA-256, in hexadecimal."""
    body = secret + _letters(bytes.fromhex(fingerprint), _FINGERPRINT)
    whole = body + _check(address, body)
    groups = (whole[at : at + _GROUP] for at in range(0, _ALL, _GROUP))
    return f"{address}/{'-'.join(groups)}"


def parse(text: str) -> Code:
    """The parts of a code, however it was typed. Raises BadCode."""
    squeezed = "".join(text[:_LONGEST].split())
    if squeezed.lower().startswith("trygport1."):
        raise BadCode("this code is of an older gateway: get a new one (gateway edges code BOX)")
    address, slash, typed = squeezed.rpartition("/")
    address = address.lower()
    found = _ADDRESS.fullmatch(address)
    if not slash or found is None or not 0 < int(found[2]) <= _LARGEST_PORT:
        raise BadCode("not a code: it looks like HOST:PORT/XXXX-XXXX-XXXX-…")
    body = read_as(typed)
    if len(body) != _ALL or not set(body) <= set(CROCKFORD):
        raise BadCode(f"mistyped: after the / there are {_ALL} letters and digits, in eights of 4")
    if _check(address, body[:-_CHECK]) != body[-_CHECK:]:
        raise BadCode("mistyped: look at it again, letter by letter, the address too")
    number = _number(body[_SECRET:-_CHECK])
    return Code(address=address, secret=body[:_SECRET], fingerprint=f"{number:020x}")


def read_as(typed: str) -> str:
    """What was typed, as Crockford reads it: case and dashes do not matter; I and L are 1, O is 0.

    >>> read_as("oil-9")
    '0119'
    """
    return typed.replace("-", "").upper().translate(_READ_AS)


def label(code: str) -> str:
    """The code as a QR code, to be printed or shown: an SVG document, read from 20 cm at 3 cm."""
    out = io.BytesIO()
    # capitals, digits and : / - . are QR's own alphabet: the squares are a third fewer
    segno.make(code.upper(), error="m", micro=False).save(
        out, kind="svg", scale=4, border=4, light="white", title="CODE"
    )
    return out.getvalue().decode()


def _check(address: str, body: str) -> str:
    return _letters(hashlib.sha256(f"{address.lower()}/{body}".encode()).digest(), _CHECK)


def _letters(of: bytes, count: int) -> str:
    """The first `count` times five bits."""
    number = int.from_bytes(of) >> (len(of) * 8 - count * 5)
    return "".join(CROCKFORD[(number >> 5 * at) & 31] for at in reversed(range(count)))


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number << 5 | CROCKFORD.index(letter)
    return number

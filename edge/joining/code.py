"""CODE, as a technician types it: where the gateway is, the secret, and whom to trust there.

`ADDRESS/XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`, the second part in Crockford's base 32: 12
characters of secret (60 bits), 16 of the fingerprint (the first 80 bits of the SHA-256 of the
authority's root certificate), 4 of a check (the first 20 bits of the SHA-256 of the address in
lower case, `/` and the 28 characters before).
"""

import hashlib
import re
from dataclasses import dataclass, field

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Its letters, without I, L, O (read as 1, 1, 0) and U."""

_SECRET, _FINGERPRINT, _CHECK = 12, 16, 4
_ALL = _SECRET + _FINGERPRINT + _CHECK
_BITS = 5  # of a character
_READ_AS = str.maketrans("ILO", "110")
_ADDRESS = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253}):([0-9]{1,5})")
_LONGEST, _LARGEST_PORT = 400, 65_535


class BadCode(ValueError):
    """The text is not a code, or it was mistyped; the text says which. Look at it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """`address` is HOST:PORT of the gateway's HTTPS for boxes."""

    address: str
    secret: str = field(repr=False)
    fingerprint: str
    """16 characters."""

    @property
    def digest(self) -> str:
        """Of the secret, in hexadecimal; it opens nothing."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def fits(self, certificate: bytes) -> bool:
        """Whether this is the authority (a certificate as DER) that the code names."""
        return _letters(hashlib.sha256(certificate).digest(), _FINGERPRINT) == self.fingerprint


def read_code(text: str) -> Code:
    """The parts of a code, however it was typed. Raises BadCode."""
    typed = "".join(text[:_LONGEST].split())
    if typed.lower().startswith("trygport1."):
        raise BadCode("it is of an older gateway; get a new one there: gateway edges code BOX")
    address, _, rest = typed.rpartition("/")
    address, body = address.lower(), rest.replace("-", "").upper().translate(_READ_AS)
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[2]) <= _LARGEST_PORT:
        raise BadCode("it does not begin with HOST:PORT/")
    if len(body) != _ALL or not set(body) <= set(CROCKFORD):
        raise BadCode(f"it has not {_ALL} letters and digits behind the /")
    if _letters(_digest(address, body[:-_CHECK]), _CHECK) != body[-_CHECK:]:
        raise BadCode("a letter or digit is wrong, or the address: look at each again")
    return Code(address=address, secret=body[:_SECRET], fingerprint=body[_SECRET:-_CHECK])


def _digest(address: str, body: str) -> bytes:
    return hashlib.sha256(f"{address}/{body}".encode()).digest()


def _letters(of: bytes, count: int) -> str:
    """The first `count` times five bits."""
    number = int.from_bytes(of) >> (len(of) * 8 - count * _BITS)
    return "".join(CROCKFORD[(number >> _BITS * at) & 31] for at in reversed(range(count)))

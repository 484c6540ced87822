"""Seals names, addresses and keys, so that a copy of the database tells nobody who lives where.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits. The keys lie in a file outside the
database, one a line: an id, a space, 32 bytes in base64. The first one seals, all of them open:
a new key is put first, `gateway seal` seals everything with it, and then the old one may go.
What is sealed is bound to its place: moved to another citizen or column, it does not open.
"""

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.settings import BadSetting, Settings

MARK = "sealed1:"
"""How every sealed value begins; what does not begin so was kept before there was a key."""

_NONCE, _KEY = 12, 32
_ID = re.compile(r"[a-z0-9-]{1,20}")
_SEALED = re.compile(MARK + r"([a-z0-9-]{1,20}):([A-Za-z0-9_-]+={0,2})")
_DEVELOPMENT = "development"
_LARGEST_FILE = 64 * 1024


class Unsealable(Exception):
    """A sealed value does not open: its key is not in the file, or it is not what we sealed here.

    Never retried and never shown as it is. Put the key back in the file; if it is there, somebody
    has changed the database.
    """


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is kept. `row` is the inside number of the citizen, person or device."""

    municipality: int
    table: str
    row: int
    column: str

    @property
    def words(self) -> bytes:
        return f"{self.municipality}|{self.table}|{self.row}|{self.column}".encode()


@dataclass(frozen=True, slots=True, repr=False)
class Seal:
    """The keys by their ids, and the id of the one that seals. Its text tells no key."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    def __repr__(self) -> str:
        return f"Seal({self.current}, {len(self.keys)} keys)"

    def seal(self, text: str, place: Place) -> str:
        """The text as it is kept. Twice is never the same; an empty text is nobody's and stays."""
        if not text:
            return ""
        nonce = secrets.token_bytes(_NONCE)
        made = AESGCM(self.keys[self.current]).encrypt(nonce, text.encode(), place.words)
        return f"{MARK}{self.current}:{base64.urlsafe_b64encode(nonce + made).decode()}"

    def open(self, kept: str, place: Place) -> str:
        """The text of what is kept. What was never sealed is given as it is. Raises Unsealable."""
        if not kept.startswith(MARK):
            return kept
        found = _SEALED.fullmatch(kept)
        key = self.keys.get(found[1]) if found else None
        if found is None or key is None:
            raise Unsealable(f"{place.table}.{place.column}: no key opens it")
        try:
            whole = _whole(found[2])
            return AESGCM(key).decrypt(whole[:_NONCE], whole[_NONCE:], place.words).decode()
        except (InvalidTag, ValueError) as error:
            raise Unsealable(f"{place.table}.{place.column}: it was not sealed here") from error

    def seal_bytes(self, value: bytes, place: Place) -> bytes:
        """Bytes as they are kept: sealed as their text in hexadecimal."""
        return self.seal(value.hex(), place).encode()

    def open_bytes(self, kept: bytes, place: Place) -> bytes:
        """The bytes of what is kept. Raises Unsealable."""
        if not kept.startswith(MARK.encode()):
            return kept
        try:
            return bytes.fromhex(self.open(kept.decode("ascii"), place))
        except ValueError as error:
            raise Unsealable(f"{place.table}.{place.column}: it was not sealed here") from error

    def is_current(self, kept: str) -> bool:
        """Whether there is nothing to do: empty, or sealed with the key that seals now."""
        return not kept or kept.startswith(f"{MARK}{self.current}:")

    def is_current_bytes(self, kept: bytes) -> bool:
        """The same of bytes."""
        return not kept or kept.startswith(f"{MARK}{self.current}:".encode())


def _whole(text: str) -> bytes:
    """Raises ValueError, also where the last letter's bits that say nothing were changed."""
    whole = base64.b64decode(text, b"-_", validate=True)
    if base64.urlsafe_b64encode(whole).decode() != text:
        raise ValueError("not as it is written here")
    return whole


NO_KEYS = Seal("", {})
"""Opens what was never sealed, and nothing else."""


def of_settings(settings: Settings) -> Seal:
    """The keys that GATEWAY_IDENTITY_KEY names. Raises BadSetting.

    Without the setting, a gateway that is not in production seals with a key that everybody can
    work out, so that a test or a demo goes the same way as the real thing.
    """
    if settings.identity_key is not None:
        return _read(settings.identity_key)
    if settings.production:
        raise BadSetting(
            "GATEWAY_IDENTITY_KEY: in production names and addresses are sealed, so this must name "
            "the file with the key; `gateway seal --new-key FILE` makes one"
        )
    return Seal(_DEVELOPMENT, {_DEVELOPMENT: hashlib.sha256(b"trygport development").digest()})


def new_line() -> str:
    """A line for the file: a new id and a new random key."""
    key = base64.b64encode(secrets.token_bytes(_KEY)).decode()
    return f"{secrets.token_hex(4)} {key}\n"


def parse(text: str) -> Seal:
    """The keys in the text of such a file. Raises ValueError, which repeats no key."""
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        name, key = _line(words, number)
        if name in keys:
            raise ValueError(f"line {number}: the id stands there twice")
        keys[name] = key
    if not keys:
        raise ValueError("it holds no key")
    return Seal(next(iter(keys)), keys)


def _line(words: list[str], number: int) -> tuple[str, bytes]:
    try:
        name, text = words
        key = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"line {number}: not an id and a key in base64") from error
    if len(key) != _KEY or not _ID.fullmatch(name):
        raise ValueError(f"line {number}: not an id (a-z, 0-9, -) and {_KEY} bytes")
    return name, key


def _read(path: Path) -> Seal:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return parse(file.read(_LARGEST_FILE))
    except OSError as error:
        raise BadSetting(f"GATEWAY_IDENTITY_KEY: {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadSetting(f"GATEWAY_IDENTITY_KEY: {path}: {error}") from error

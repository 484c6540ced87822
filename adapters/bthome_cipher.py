"""Opens encrypted BTHome payloads: AES-CCM with a tag of four bytes (https://bthome.io/encryption)."""

from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from adapters.errors import MissingKey, UnreadableFrame

COUNTER_AND_TAG = 8
"""Bytes at the end of an encrypted payload: a counter of four, little-endian, and the tag."""

_KEY_LENGTH = 16
_TAG_LENGTH = 4


def opened(  # every part of the nonce is a part of the question
    sealed: bytes,
    *,
    key: bytes | None,
    address: bytes,
    salt: bytes,
    associated: bytes | None,
) -> tuple[bytes, int]:
    """The plain objects and the counter of `sealed` (ciphertext, counter, tag).

    The nonce is address, salt (what the version of the format puts there) and counter.
    Raises MissingKey when there is no key or it does not fit.
    """
    if key is None or len(key) != _KEY_LENGTH:
        raise MissingKey("encrypted, and no key of 16 bytes is known for the device")
    if len(sealed) <= COUNTER_AND_TAG:
        raise UnreadableFrame(f"encrypted, but only {len(sealed)} bytes long")
    counter = sealed[-8:-4]
    try:
        plain = _cipher(key).decrypt(
            address + salt + counter, sealed[:-8] + sealed[-4:], associated
        )
    except InvalidTag:
        raise MissingKey("encrypted, and the key known for the device does not fit") from None
    except (ValueError, OverflowError) as error:
        raise UnreadableFrame(f"encrypted, and not to be opened: {error}") from None
    return plain, int.from_bytes(counter, "little")


def address_bytes(device: str) -> bytes:
    """The six bytes of an address like `A4:C1:38:8D:18:B2`, in that order."""
    try:
        return bytes.fromhex(device.replace(":", ""))
    except ValueError:
        raise UnreadableFrame("encrypted, and the frame's device is no Bluetooth address") from None


@lru_cache(maxsize=8_192)
def _cipher(key: bytes) -> AESCCM:
    return AESCCM(key, tag_length=_TAG_LENGTH)

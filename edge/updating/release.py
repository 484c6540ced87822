"""What a release key signs of a package, and whether one has; Ed25519."""

import base64
from collections.abc import Sequence
from contextlib import suppress

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def statement(*, package: str, version: str, architecture: str, size: int, digest: str) -> bytes:
    """These words, one a line. `digest` is SHA-256 in hexadecimal."""
    return f"trygport release 1\n{package}\n{version}\n{architecture}\n{size}\n{digest}\n".encode()


def is_signed(words: bytes, signature: str, keys: Sequence[bytes]) -> bool:
    """Whether one of the keys (PEM) has signed these words. `signature` is base64."""
    return any(_verifies(words, signature, pem) for pem in keys)


def _verifies(words: bytes, signature: str, pem: bytes) -> bool:
    with suppress(InvalidSignature, ValueError):
        key = load_pem_public_key(pem)
        if isinstance(key, Ed25519PublicKey):
            key.verify(base64.b64decode(signature, validate=True), words)
            return True
    return False

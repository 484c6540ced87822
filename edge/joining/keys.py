"""Makes this box's key and what is asked for with it; only short processes import this.

`edge join` and `edge renew` do. The agent does not: cryptography would cost it a third more memory.
"""

import base64
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


def new_key() -> bytes:
    """A P-256 key, as PEM (PKCS 8)."""
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def request(key: bytes) -> bytes:
    """A request for a certificate (PKCS 10, DER). It names nobody: the gateway knows the name."""
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return asked.sign(_private(key), hashes.SHA256()).public_bytes(Encoding.DER)


def proof(key: bytes, asked: bytes) -> str:
    """That who asks (DER) has this key too: ECDSA with SHA-256, base64."""
    return base64.b64encode(_private(key).sign(asked, ec.ECDSA(hashes.SHA256()))).decode()


def pem(asked: bytes) -> str:
    """A request as PEM."""
    return x509.load_der_x509_csr(asked).public_bytes(Encoding.PEM).decode()


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError when it is no key; a certificate may follow it in the file."""
    return cast("ec.EllipticCurvePrivateKey", load_pem_private_key(key, None))

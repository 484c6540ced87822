"""Requests for certificates as a box makes them, and as somebody makes them who wants more."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def request(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    *,
    name: str = "box-1234",
    extensions: Sequence[x509.ExtensionType] = (),
) -> str:
    """PEM."""
    wanted = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    for extension in extensions:
        wanted = wanted.add_extension(extension, critical=True)
    made = wanted.sign(key or new_key(), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def proof(key: ec.EllipticCurvePrivateKey, pem: str) -> bytes:
    """Shows that who holds the key wants what the request (PEM) asks for."""
    der = x509.load_pem_x509_csr(pem.encode()).public_bytes(serialization.Encoding.DER)
    return key.sign(der, ec.ECDSA(hashes.SHA256()))

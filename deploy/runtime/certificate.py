"""A self-signed certificate for this machine alone, for the demo and the tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_BEFORE, _AFTER = timedelta(hours=1), timedelta(days=30)
"""Valid from an hour ago, since clocks differ; for a month, since the demo makes its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate and its key as PEM files; `fingerprint` is the SHA-256 of its DER, in hex."""

    cert: Path
    key: Path
    fingerprint: str


def certificate(
    folder: Path, *, begins: timedelta = -_BEFORE, ends: timedelta = _AFTER
) -> Certificate:
    """Make a certificate for 127.0.0.1 and localhost in the folder; valid so long from now."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    signed = _sign(key, begins, ends)
    made = Certificate(
        cert=folder / "certificate.pem",
        key=folder / "key.pem",
        fingerprint=signed.fingerprint(hashes.SHA256()).hex(),
    )
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    made.cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return made


def _sign(key: ec.EllipticCurvePrivateKey, begins: timedelta, ends: timedelta) -> x509.Certificate:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # its own authority: whoever is given this file as CA trusts exactly this server
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )

"""Makes certificates and keys; every number of ours about their lives stands here."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_LIFE = timedelta(days=20 * 365)
ISSUER_LIFE = timedelta(days=5 * 365)
LEAF_LIFE = timedelta(days=90)
RENEW_AFTER = timedelta(days=60)
"""Two thirds of a leaf's life: a box that is off for a month still renews in time."""

CLOCKS_APART = timedelta(hours=1)
"""Valid from so long before it is made: a clock that is a little behind must not refuse it."""

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH

Key = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


def new_key() -> Key:
    """A key on P-256, which both OpenSSL and every box sign with fast."""
    return ec.generate_private_key(ec.SECP256R1())


def make_root(key: Key, now: datetime) -> x509.Certificate:
    """Ours, signed by itself; it signs issuers and nothing else."""
    name = _named("Trygport root")
    bare = _bare(name, name, key.public_key(), now, now + ROOT_LIFE)
    return _authority(bare, key, path=1)


def make_issuer(key: Key, root: x509.Certificate, root_key: Key, now: datetime) -> x509.Certificate:
    """Signs leaves and lists. Its name is its own: a list is found by its issuer's name."""
    mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    name = _named(f"Trygport issuer {mark}")
    bare = _bare(name, root.subject, key.public_key(), now, now + ISSUER_LIFE)
    return _authority(bare, root_key, path=0)


def make_leaf(
    key: PublicKey,
    *,
    name: str,
    others: Iterable[x509.GeneralName],
    usage: x509.ObjectIdentifier,
    issuer: x509.Certificate,
    issuer_key: Key,
    now: datetime,
) -> x509.Certificate:
    """For a box, or a part of the gateway; never longer than its issuer is valid."""
    end = min(now + LEAF_LIFE, issuer.not_valid_after_utc)
    bare = _bare(_named(name), issuer.subject, key, now, end)
    return (
        bare.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_uses(sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .add_extension(_signed_by(issuer_key), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def host_names(names: Iterable[str]) -> list[x509.GeneralName]:
    """Names and addresses as a certificate has them.

    >>> host_names(["localhost", "127.0.0.1"])
    [<DNSName(value='localhost')>, <IPAddress(value=127.0.0.1)>]
    """
    return [_host_name(name) for name in dict.fromkeys(names)]


def _host_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


def _authority(bare: x509.CertificateBuilder, signer: Key, *, path: int) -> x509.Certificate:
    return (
        bare.add_extension(x509.BasicConstraints(ca=True, path_length=path), critical=True)
        .add_extension(_uses(sign=False), critical=True)
        .add_extension(_signed_by(signer), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _bare(
    name: x509.Name, by: x509.Name, key: PublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_APART)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _signed_by(key: Key) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _uses(*, sign: bool) -> x509.KeyUsage:
    """A leaf signs its handshakes; an authority signs certificates and lists."""
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not sign,
        crl_sign=not sign,
        encipher_only=False,
        decipher_only=False,
    )

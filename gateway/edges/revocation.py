"""The list of revoked certificates: made, and held against what it must say before it is used.

Mosquitto 2.0 lets revoked boxes in when its list is spoilt or empty, and refuses everybody when
it is past its date. So nothing is installed that was not read again and found whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway.edges.authority import Authority, Issuer
from gateway.edges.keyfiles import put

LIFE = timedelta(days=7)
"""How long a list is good: so long the broker lets boxes in without us."""

LEAST = timedelta(days=3)
"""A list that is good for less is not installed, and one on the disk is an alarm of operations."""

RENEW_AFTER = timedelta(days=1)

LIST_MODE = 0o644


class BadList(Exception):
    """A list that must not be used; the text says what is wrong with it."""


def revocation_list(
    authority: Authority, revoked: Mapping[int, datetime], number: int, now: datetime
) -> bytes:
    """PEM: one list of each issuer, for the broker refuses leaves of one that has none.

    `revoked` are serials and when; a serial stands on the list of every issuer, since the serials
    of ours are random and never meet. `number` rises from list to list.
    """
    made = (_of_issuer(issuer, revoked, number, now) for issuer in authority.issuers)
    return b"".join(made)


def check(pem: bytes, authority: Authority, now: datetime, serials: Iterable[int]) -> None:
    """Raises BadList unless the broker may have it: whole, ours, good for long, nobody missing."""
    lists = _read(pem)
    wanted = set(serials)
    for issuer in authority.issuers:
        found = [one for one in lists if one.issuer == issuer.certificate.subject]
        if len(found) != 1:
            raise BadList("an issuer has no list, or two")
        _check_one(found[0], issuer, now, wanted)
    if len(lists) != len(authority.issuers):
        raise BadList("there is a list of an issuer that is not ours")


def install(
    path: Path, pem: bytes, authority: Authority, now: datetime, serials: Iterable[int]
) -> None:
    """Check it, and put it in place whole. Raises BadList, with nothing changed; OSError."""
    check(pem, authority, now, serials)
    put(path, pem, LIST_MODE)


def is_due(pem: bytes, now: datetime) -> bool:
    """Whether a newer list is to be made though nothing has changed. Raises BadList."""
    return any(now - _from(one) >= RENEW_AFTER for one in _read(pem))


def good_until(pem: bytes) -> datetime:
    """When the broker will refuse everybody. Raises BadList."""
    return min(_until(one) for one in _read(pem))


def named(pem: bytes, authority: Authority) -> Mapping[int, datetime]:
    """Who is on the lists that are ours, with when; of a spoilt or foreign list nobody."""
    try:
        lists = _read(pem)
    except BadList:
        return {}
    keys = [issuer.key.public_key() for issuer in authority.issuers]
    ours = [one for one in lists if any(one.is_signature_valid(key) for key in keys)]
    return {each.serial_number: each.revocation_date_utc for one in ours for each in one}


def _of_issuer(
    issuer: Issuer, revoked: Mapping[int, datetime], number: int, now: datetime
) -> bytes:
    now = now.replace(microsecond=0)
    key = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - timedelta(hours=1))  # the broker's clock may be behind ours
        .next_update(now + LIFE)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(key, critical=False)
    )
    for serial, at in sorted(revoked.items()):
        one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
        made = made.add_revoked_certificate(one)
    return made.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


_END = b"-----END X509 CRL-----"


def _read(pem: bytes) -> Sequence[x509.CertificateRevocationList]:
    parts = pem.split(_END)
    if len(parts) == 1:
        raise BadList("there is no list in it")
    if parts[-1].strip():
        raise BadList("it is cut off, or something follows it")
    try:
        return [x509.load_pem_x509_crl(part + _END) for part in parts[:-1]]
    except Exception as bad:  # the parser has many errors, some of no common kind
        raise BadList("it cannot be read") from bad


def _check_one(
    one: x509.CertificateRevocationList, issuer: Issuer, now: datetime, wanted: set[int]
) -> None:
    if not one.is_signature_valid(issuer.key.public_key()):
        raise BadList("it is not signed by our issuer")
    if one.last_update_utc > now:
        raise BadList(f"it is good only from {one.last_update_utc}")
    if _until(one) - now < LEAST:
        raise BadList(f"it is good only until {_until(one)}")
    missing = sorted(wanted - {each.serial_number for each in one})
    if missing:
        raise BadList(f"{len(missing)} revoked certificates are missing, {missing[0]:x} of them")


def _from(one: x509.CertificateRevocationList) -> datetime:
    return one.last_update_utc


def _until(one: x509.CertificateRevocationList) -> datetime:
    until = one.next_update_utc
    if until is None:
        raise BadList("it does not say how long it is good")
    return until

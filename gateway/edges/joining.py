"""A box joins with the secret of its code, and renews with the certificate that it has."""

import hashlib
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.edges.authority import Authority, requested_key
from gateway.edges.code import read_as
from gateway.store import certificates
from gateway.store.certificates import Certificate
from gateway.store.pool import Pool
from gateway.store.secrets import digest


async def join(
    pool: Pool,
    authority: Authority,
    *,
    secret: str,
    request: str,
    now: datetime,
    wall: datetime,
) -> Certificate:
    """The first certificate of the box to which the secret was given, for the key in `request`.

    `now` says whether the code is too old, `wall` from when the certificate holds. Only the key is
    taken from the request (PEM); the name is the box's. Raises WrongCode, and BadRequest for a
    request that is none of ours to sign: then the code is still good.
    """
    key = key_of(request)
    claim = digest(read_as(secret))
    certify = _certifier(authority, request, key, wall)
    return await certificates.take(pool, claim, key=key, now=now, wall=wall, certify=certify)


async def renew(
    pool: Pool,
    authority: Authority,
    *,
    certificate: str,
    request: str,
    proof: bytes,
    wall: datetime,
) -> Certificate:
    """The next certificate of who holds the key of this one, however late.

    Raises NotOurs for one that we do not know or that was revoked, BadRequest for one of another
    authority, and where the proof is not of its key.
    """
    key = key_of(request)
    shown = authority.presented(certificate, request, proof)
    certify = _certifier(authority, request, key, wall)
    return await certificates.renew(
        pool, shown.edge, shown.serial, key=key, wall=wall, certify=certify
    )


def key_of(request: str) -> bytes:
    """SHA-256 of the public key in the request (PEM). Raises BadRequest."""
    key = requested_key(request).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).digest()


def _certifier(
    authority: Authority, request: str, key: bytes, wall: datetime
) -> Callable[[str], Certificate]:
    def certify(edge: str) -> Certificate:
        made = authority.certify_box(request, edge, wall)
        return Certificate(
            edge=edge,
            serial=made.serial,
            key=key,
            pem=made.pem,
            issued=made.issued,
            renew=made.renew,
            expires=made.expires,
        )

    return certify

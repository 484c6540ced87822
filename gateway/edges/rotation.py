"""Puts a new secret in the place of one: a server's, a session's, the canary's, or the issuer's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes

from gateway.edges import signing
from gateway.edges.authority import CANARY, CHAIN, SESSIONS, Authority, BadAuthority, hosts_of
from gateway.edges.keyfiles import OPEN_MODE, BadFile, pem, put, put_key, read_key

ISSUER = "issuer"
PARTS: Mapping[str, Sequence[str]] = {
    "broker": ("broker",),
    "https": ("https",),
    "gateway": SESSIONS,
    "canary": (CANARY,),
}
"""What `gateway authority rotate` takes, beside `issuer`, and the certificates that it renews."""


def renew(authority: Authority, names: Sequence[str], now: datetime) -> None:
    """A new key and certificate for each, with the names it has. Raises BadAuthority, OSError."""
    for name in names:
        authority.make_own(name, hosts_of(authority.own(name)), now)


def rotate_issuer(authority: Authority, now: datetime, *, stolen: bool = False) -> Authority:
    """Another issuer signs from now on. Needs root.key. Raises BadAuthority, OSError.

    The one before is kept, so that its boxes come in, and renew, until they have certificates of
    the new one. With `stolen` it is not: every box it signed for is shut out and joins again.
    """
    folder = authority.folder
    try:
        root_key = read_key(folder / "root.key")
    except BadFile as bad:
        raise BadAuthority(f"{bad}: put root.key back for this, and take it away after") from bad
    if stolen:
        _forget_all_before(folder)
    else:
        _keep_before(authority)
    key = signing.new_key()
    now = now.replace(microsecond=0)
    made = signing.make_issuer(key, authority.root, root_key, now)
    put_key(folder / "issuer.key", key)
    put(folder / "issuer.pem", pem(made), OPEN_MODE)
    fresh = Authority.read(folder)
    put(folder / CHAIN, fresh.chain_pem, OPEN_MODE)
    return fresh


def _keep_before(authority: Authority) -> None:
    before = authority.issuer
    mark = before.certificate.fingerprint(hashes.SHA256()).hex()[:8]
    put_key(authority.folder / f"{ISSUER}-{mark}.key", before.key)
    put(authority.folder / f"{ISSUER}-{mark}.pem", pem(before.certificate), OPEN_MODE)


def _forget_all_before(folder: Path) -> None:
    for path in folder.glob(f"{ISSUER}-*"):
        path.unlink()

"""Our own certificate authority: signs for boxes whose requests are in order, and for no other."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.edges import signing
from gateway.edges.keyfiles import (
    OPEN_MODE,
    BadFile,
    pem,
    put,
    put_key,
    read_certificate,
    read_key,
    refuse_open,
)
from gateway.edges.signing import CLIENT, SERVER, Key, PublicKey

CHAIN, LIST = "chain.pem", "revoked.pem"
"""What the broker trusts, and whom it refuses."""

SERVERS = ("broker", "https")
SESSIONS = ("gateway-urgent", "gateway-bulk", "gateway-config")
CANARY = "canary"
"""Revoked from its birth: when it is let in, the list of the revoked does not work."""

OWN = (*SERVERS, *SESSIONS, CANARY)
"""The leaves of the gateway's own, each NAME.pem and NAME.key."""

HERE = ("localhost", "127.0.0.1")
"""In every server's certificate: the gateway's own sessions and its canary come from here."""

_EDGE = re.compile(r"[a-z0-9-]{4,40}")
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_LARGEST = 8192
"""Characters of a request or a certificate; an honest one has some 500, with chain 1,500."""


class BadAuthority(Exception):
    """The folder does not hold an authority that can be used; the text says what to type."""


class BadRequest(ValueError):
    """What a box sent is nothing that we sign, or that we signed; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A box's certificate: `pem` is its own and the issuer's; `renew` and `expires` are times."""

    pem: str
    serial: int
    issued: datetime
    renew: datetime
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """Whose certificate it was, shown by somebody who has its key."""

    edge: str
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who signs; one before it stays for as long as leaves of it may be about."""

    certificate: x509.Certificate
    key: Key = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The authority of one gateway, opened with `read`. Its folder is GATEWAY_AUTHORITY."""

    folder: Path
    root: x509.Certificate
    issuers: Sequence[Issuer]
    """The one that signs now, and then those before it."""

    @classmethod
    def read(cls, folder: Path) -> "Authority":
        """Raises BadAuthority when a file is missing, spoilt, or a key is open to others."""
        if not (folder / "root.pem").exists():
            raise BadAuthority(f"there is no authority in {folder}: type gateway authority begin")
        try:
            refuse_open(folder)
            root = read_certificate(folder / "root.pem")
            names = ["issuer", *sorted(path.stem for path in folder.glob("issuer-*.pem"))]
            issuers = [_issuer(folder, name, root) for name in names]
        except BadFile as bad:
            raise BadAuthority(str(bad)) from bad
        return cls(folder=folder, root=root, issuers=issuers)

    @property
    def issuer(self) -> Issuer:
        return self.issuers[0]

    @property
    def root_pem(self) -> str:
        """What a box holds against its code, and trusts from then on."""
        return pem(self.root).decode()

    @property
    def chain_pem(self) -> bytes:
        """Root and issuers: what the broker has as its authority."""
        return pem(self.root, *(one.certificate for one in self.issuers))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root's DER, in hexadecimal."""
        return self.root.fingerprint(hashes.SHA256()).hex()

    def certify_box(self, request_pem: str, edge: str, now: datetime) -> Certified:
        """A certificate for the box of that id. Of the request only the key is taken.

        Raises BadRequest for one that is too large, not readable, not signed by its own key, or
        whose key is of another kind or weaker than P-256; and for an id that no box may have.
        """
        if not _EDGE.fullmatch(edge) or edge in OWN:
            raise BadRequest(f"{edge!r} is no id that a box may have")
        now = now.replace(microsecond=0)
        made = signing.make_leaf(
            requested_key(request_pem),
            name=edge,
            others=[x509.UniformResourceIdentifier(f"urn:edge:{edge}")],
            usage=CLIENT,
            issuer=self.issuer.certificate,
            issuer_key=self.issuer.key,
            now=now,
        )
        return Certified(
            pem=pem(made, self.issuer.certificate).decode(),
            serial=made.serial_number,
            issued=now,
            renew=min(now + signing.RENEW_AFTER, made.not_valid_after_utc),
            expires=made.not_valid_after_utc,
        )

    def presented(self, certificate_pem: str, request_pem: str, proof: bytes) -> Presented:
        """Whose certificate this is, whatever its dates: a box may come back after months.

        `proof` is the signature (ECDSA with SHA-256) of the certificate's key over the request's
        DER, so that a certificate that was only seen renews nothing. Raises BadRequest.
        """
        leaf, request = _leaf(certificate_pem), _request(request_pem)
        if not any(_signed_by(leaf, one.certificate) for one in self.issuers):
            raise BadRequest("the certificate is not of this gateway's authority")
        key, edge = leaf.public_key(), _box_of(leaf)
        if not isinstance(key, PublicKey):
            raise BadRequest("the certificate's key is of another kind than ours")
        try:
            told = request.public_bytes(serialization.Encoding.DER)
            key.verify(proof, told, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as bad:
            raise BadRequest("the proof is not by the certificate's own key") from bad
        return Presented(edge=edge, serial=leaf.serial_number)

    def make_own(self, name: str, hosts: Iterable[str], now: datetime) -> None:
        """Give one of `OWN` a new key and certificate; `hosts` are a server's names. OSError."""
        server, key = name in SERVERS, signing.new_key()
        urn = x509.UniformResourceIdentifier(f"urn:trygport:{name}")
        made = signing.make_leaf(
            key.public_key(),
            name=name,
            others=signing.host_names([*HERE, *hosts]) if server else [urn],
            usage=SERVER if server else CLIENT,
            issuer=self.issuer.certificate,
            issuer_key=self.issuer.key,
            now=now.replace(microsecond=0),
        )
        put_key(self.folder / f"{name}.key", key)
        put(self.folder / f"{name}.pem", pem(made, self.issuer.certificate), OPEN_MODE)

    def own(self, name: str) -> x509.Certificate:
        """The certificate of one of `OWN`. Raises BadAuthority."""
        try:
            read_key(self.folder / f"{name}.key")
            return read_certificate(self.folder / f"{name}.pem")
        except BadFile as bad:
            raise BadAuthority(f"{bad} (gateway authority rotate makes a new one)") from bad


def begin(
    folder: Path, *, broker_names: Iterable[str], edge_names: Iterable[str], now: datetime
) -> Authority:
    """Make an authority and the gateway's own certificates in the folder.

    The names are those by which boxes reach the broker and the boxes' HTTPS: host names or
    addresses. Raises BadAuthority where there is one already, and OSError.
    """
    if (folder / "root.pem").exists():
        raise BadAuthority(f"there is an authority in {folder} already: every box trusts it")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    key, issuer = signing.new_key(), signing.new_key()
    now = now.replace(microsecond=0)
    root = signing.make_root(key, now)
    made = signing.make_issuer(issuer, root, key, now)
    put_key(folder / "root.key", key)
    put_key(folder / "issuer.key", issuer)
    put(folder / "issuer.pem", pem(made), OPEN_MODE)
    put(folder / CHAIN, pem(root, made), OPEN_MODE)
    issuers = [Issuer(certificate=made, key=issuer)]
    authority = Authority(folder=folder, root=root, issuers=issuers)
    names = {"broker": broker_names, "https": edge_names}
    for name in OWN:
        authority.make_own(name, names.get(name, ()), now)
    put(folder / "root.pem", pem(root), OPEN_MODE)  # last: with it the authority is there
    return authority


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """The names of a server's certificate, for the one that follows it."""
    of = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(one) for one in of.get_values_for_type(x509.IPAddress)]
    return [*of.get_values_for_type(x509.DNSName), *addresses]


def _issuer(folder: Path, name: str, root: x509.Certificate) -> Issuer:
    certificate = read_certificate(folder / f"{name}.pem")
    key = read_key(folder / f"{name}.key")
    if certificate.public_key() != key.public_key() or not _signed_by(certificate, root):
        raise BadFile(f"{folder / name}.pem does not belong to its key, or not to root.pem")
    return Issuer(certificate=certificate, key=key)


def requested_key(request_pem: str) -> PublicKey:
    """The key in a request that is in order. Raises BadRequest, as `certify_box` does."""
    key = _request(request_pem).public_key()
    if not isinstance(key, PublicKey) or not isinstance(key.curve, _CURVES):
        raise BadRequest("the key in the request must be on P-256, P-384 or P-521")
    return key


def _request(text: str) -> x509.CertificateSigningRequest:
    if len(text) > _LARGEST:
        raise BadRequest("the request for a certificate is too large")
    try:
        request = x509.load_pem_x509_csr(text.encode())
        request.public_key()
        signed = request.is_signature_valid
    except Exception as bad:  # the parser has many errors, some of no common kind
        raise BadRequest("the request for a certificate cannot be read") from bad
    if not signed:
        raise BadRequest("the request for a certificate is not signed by its own key")
    return request


def _leaf(text: str) -> x509.Certificate:
    if len(text) > _LARGEST:
        raise BadRequest("the certificate is too large")
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except Exception as bad:  # as above
        raise BadRequest("the certificate cannot be read") from bad


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _box_of(leaf: x509.Certificate) -> str:
    """The id in a certificate that we signed. Raises BadRequest for one of the gateway's own."""
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    edge = str(names[0].value) if len(names) == 1 else ""
    if not _EDGE.fullmatch(edge) or edge in OWN:
        raise BadRequest("the certificate is not that of a box")
    return edge

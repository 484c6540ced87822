"""The authority signs for a box's key, and for nothing that a box asks for besides."""

import base64
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edges.authority import (
    OWN,
    Authority,
    BadAuthority,
    BadRequest,
    begin,
    hosts_of,
)
from tests.gateway.edges.requests import NOW, new_key, proof, request

EDGE = "box-0a1b2c"
_ASKED = "CERTIFICATE REQUEST"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made(tmp_path_factory.mktemp("trust") / "authority")


def made(folder: Path) -> Authority:
    return begin(folder, broker_names=["mqtt.kommune.dk"], edge_names=["192.0.2.7"], now=NOW)


def leaf(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def name_of(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_a_new_authority_is_read_as_it_was_made(authority: Authority) -> None:
    read = Authority.read(authority.folder)

    assert read.fingerprint == authority.fingerprint
    assert len(read.fingerprint) == 64
    assert read.root_pem == authority.root_pem
    assert hosts_of(read.own("broker")) == ["localhost", "mqtt.kommune.dk", "127.0.0.1"]
    assert hosts_of(read.own("https")) == ["localhost", "127.0.0.1", "192.0.2.7"]
    assert {path.name for path in authority.folder.glob("*.key")} == {
        "root.key",
        "issuer.key",
        *(f"{name}.key" for name in OWN),
    }


def test_nobody_else_can_read_a_key(authority: Authority) -> None:
    modes = {path.stat().st_mode & 0o777 for path in authority.folder.glob("*.key")}

    assert modes == {0o600}
    assert authority.folder.stat().st_mode & 0o777 == 0o700


def test_a_second_authority_in_its_place_is_refused(authority: Authority) -> None:
    with pytest.raises(BadAuthority, match="there is an authority"):
        made(authority.folder)


@pytest.mark.parametrize("what", ["issuer.key", "."])
def test_what_others_can_read_is_refused_with_what_to_type(what: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "own").folder
    (folder / what).chmod(0o744)

    with pytest.raises(BadAuthority, match=r"type chmod 700 .*"):
        Authority.read(folder)


def test_without_an_authority_it_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(BadAuthority, match="type gateway authority begin"):
        Authority.read(tmp_path)


@pytest.mark.parametrize("file", ["issuer.pem", "issuer.key", "root.pem"])
@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_spoilt_file_is_said_and_not_used(
    file: str, content: bytes | None, tmp_path: Path
) -> None:
    folder, other = made(tmp_path / "own").folder, made(tmp_path / "other").folder

    (folder / file).write_bytes((other / file).read_bytes() if content is None else content)

    with pytest.raises(BadAuthority, match=r"pem|key"):
        Authority.read(folder)


def test_the_key_of_the_root_may_be_moved_away(tmp_path: Path) -> None:
    ours = made(tmp_path / "own")
    (ours.folder / "root.key").unlink()

    assert Authority.read(ours.folder).certify_box(request(), EDGE, NOW)


def test_a_box_gets_its_own_name_for_ninety_days(authority: Authority) -> None:
    key = new_key()

    given = authority.certify_box(request(key, name="box-other"), EDGE, NOW)

    certificate = leaf(given.pem)
    assert name_of(certificate) == EDGE
    assert certificate.public_key() == key.public_key()
    assert certificate.serial_number == given.serial
    assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert certificate.not_valid_after_utc == given.expires == NOW + timedelta(days=90)
    assert given.renew == NOW + timedelta(days=60)
    assert given.issued == NOW
    assert given.pem.count("BEGIN CERTIFICATE") == 2


def test_what_a_strict_verifier_wants_is_there(authority: Authority) -> None:
    given = authority.certify_box(request(), EDGE, NOW)
    both = x509.load_pem_x509_certificates(given.pem.encode())
    verifier = PolicyBuilder().store(Store([authority.root])).time(NOW).build_client_verifier()

    verified = verifier.verify(both[0], both[1:])

    names = verified.subjects
    assert names is not None
    assert [name.value for name in names] == [f"urn:edge:{EDGE}"]
    assert verified.chain[-1] == authority.root


def test_openssl_reads_the_chain(authority: Authority) -> None:
    context = ssl.create_default_context(cadata=authority.root_pem)
    context.load_cert_chain(authority.folder / "canary.pem", authority.folder / "canary.key")

    assert context.get_ca_certs()


def test_whoever_asks_to_be_an_authority_or_another_is_a_box_all_the_same(
    authority: Authority,
) -> None:
    wishes = [
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectAlternativeName([x509.DNSName("mqtt.kommune.dk")]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    ]
    for name in ("gateway-urgent", "+", "#", "*", EDGE + "/../x", "æøå", "x" * 64):
        given = leaf(authority.certify_box(request(name=name, extensions=wishes), EDGE, NOW).pem)

        of = given.extensions
        basic = of.get_extension_for_class(x509.BasicConstraints).value
        usage = of.get_extension_for_class(x509.ExtendedKeyUsage).value
        names = of.get_extension_for_class(x509.SubjectAlternativeName).value
        assert name_of(given) == EDGE
        assert not basic.ca
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        assert [name.value for name in names] == [f"urn:edge:{EDGE}"]


def test_a_weak_or_another_kind_of_key_is_refused(authority: Authority) -> None:
    weak = [
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - it must be refused
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.BrainpoolP256R1()),
    ]
    for key in weak:
        with pytest.raises(BadRequest, match="P-256"):
            authority.certify_box(request(key), EDGE, NOW)


def test_a_stronger_key_is_taken(authority: Authority) -> None:
    for curve in (ec.SECP384R1(), ec.SECP521R1()):
        assert authority.certify_box(request(ec.generate_private_key(curve)), EDGE, NOW)


def test_a_request_that_was_meddled_with_is_refused(authority: Authority) -> None:
    lines = request().splitlines()
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[der.index(b"box-1234") + 4] ^= 1
    meddled = "\n".join([lines[0], base64.b64encode(der).decode(), lines[-1]])

    with pytest.raises(BadRequest, match="its own key"):
        authority.certify_box(meddled, EDGE, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "\ud800",
        f"-----BEGIN {_ASKED}-----\nAAAA\n-----END {_ASKED}-----\n",
        "x" * 9000,
    ],
)
def test_garbage_is_refused(text: str, authority: Authority) -> None:
    with pytest.raises(BadRequest):
        authority.certify_box(text, EDGE, NOW)
    with pytest.raises(BadRequest):
        authority.presented(text, request(), b"")
    with pytest.raises(BadRequest):
        authority.presented(authority.certify_box(request(), EDGE, NOW).pem, text, b"")


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_a_request_with_any_bytes_changed_is_refused_or_for_the_same_name(
    data: st.DataObject, authority: Authority
) -> None:
    lines = _HONEST.splitlines()
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    changes = data.draw(
        st.lists(st.tuples(st.integers(0, len(der) - 1), st.integers(1, 255)), min_size=1)
    )
    for place, change in changes:
        der[place] ^= change
    text = "\n".join([lines[0], base64.b64encode(der).decode(), lines[-1]])

    try:
        given = authority.certify_box(text, EDGE, NOW)
    except BadRequest:
        return
    assert name_of(leaf(given.pem)) == EDGE


_HONEST = request()


@pytest.mark.parametrize(
    "edge", ["+", "#", "a", "Box-1234", "box 1234", "box/1234", "x" * 41, "box-1234\n", "", *OWN]
)
def test_a_name_that_no_box_may_have_is_never_signed(edge: str, authority: Authority) -> None:
    with pytest.raises(BadRequest, match="no id that a box may have"):
        authority.certify_box(request(), edge, NOW)


def test_a_certificate_never_outlives_its_issuer(authority: Authority) -> None:
    late = authority.issuer.certificate.not_valid_after_utc - timedelta(days=10)

    given = authority.certify_box(request(), EDGE, late)

    assert given.expires == given.renew == late + timedelta(days=10)


# ---------------------------------------------------------------- renewing


def test_who_has_the_key_is_known_however_late(authority: Authority) -> None:
    key, wanted = new_key(), request()
    old = authority.certify_box(request(key), EDGE, NOW - timedelta(days=800))

    shown = authority.presented(old.pem, wanted, proof(key, wanted))

    assert (shown.edge, shown.serial) == (EDGE, old.serial)


def test_a_certificate_without_its_key_is_nothing(authority: Authority) -> None:
    key, wanted = new_key(), request()
    old = authority.certify_box(request(key), EDGE, NOW)

    for false in (b"", b"\x00" * 70, proof(new_key(), wanted), proof(key, request())):
        with pytest.raises(BadRequest, match="proof"):
            authority.presented(old.pem, wanted, false)


def test_a_certificate_of_another_authority_is_not_ours(
    authority: Authority, tmp_path: Path
) -> None:
    key, wanted = new_key(), request()
    theirs = made(tmp_path / "theirs").certify_box(request(key), EDGE, NOW)

    with pytest.raises(BadRequest, match="not of this gateway"):
        authority.presented(theirs.pem, wanted, proof(key, wanted))


def test_the_gateways_own_certificates_renew_no_box(authority: Authority) -> None:
    wanted = request()
    canary = (authority.folder / "canary.pem").read_text()

    with pytest.raises(BadRequest):
        authority.presented(canary, wanted, b"")

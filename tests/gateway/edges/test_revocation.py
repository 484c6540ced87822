"""A list of the revoked that the broker must not have is never put in its place."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509

from gateway.edges.authority import Authority, begin
from gateway.edges.laying import lay_out
from gateway.edges.revocation import (
    BadList,
    check,
    good_until,
    install,
    is_due,
    named,
    revocation_list,
)
from gateway.edges.rotation import rotate_issuer
from tests.gateway.edges.requests import NOW

LOST, GONE = 0xABC, 0xDEF
REVOKED = {LOST: NOW, GONE: NOW}


def made(folder: Path) -> Authority:
    return begin(folder, broker_names=[], edge_names=[], now=NOW)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made(tmp_path_factory.mktemp("trust") / "authority")


def test_a_list_names_the_revoked_for_seven_days(authority: Authority) -> None:
    pem = revocation_list(authority, REVOKED, 7, NOW)

    check(pem, authority, NOW, REVOKED)
    assert named(pem, authority) == REVOKED
    assert good_until(pem) == NOW + timedelta(days=7)


def test_it_is_renewed_after_a_day(authority: Authority) -> None:
    pem = revocation_list(authority, REVOKED, 7, NOW)

    assert not is_due(pem, NOW + timedelta(hours=22))
    assert is_due(pem, NOW + timedelta(hours=24))


def _bad(authority: Authority, folder: Path) -> dict[str, bytes]:
    good = revocation_list(authority, REVOKED, 7, NOW)
    der = bytearray(x509.load_pem_x509_crl(good).signature)
    assert der
    lines = good.splitlines(keepends=True)
    flipped = bytearray(lines[3])
    flipped[10] = ord("A") if flipped[10] != ord("A") else ord("B")
    return {
        "corrupt": b"".join([*lines[:3], bytes(flipped), *lines[4:]]),
        "empty": b"",
        "garbage": b"garbage",
        "cut off": good[:-40],
        "followed by something": good + b"more",
        "expired": revocation_list(authority, REVOKED, 7, NOW - timedelta(days=8)),
        "soon to expire": revocation_list(authority, REVOKED, 7, NOW - timedelta(days=5)),
        "of tomorrow": revocation_list(authority, REVOKED, 7, NOW + timedelta(days=1)),
        "another's": revocation_list(made(folder / "other"), REVOKED, 7, NOW),
        "without one": revocation_list(authority, {LOST: NOW}, 7, NOW),
        "with another's besides": good + revocation_list(made(folder / "third"), REVOKED, 7, NOW),
        "twice": good + good,
    }


def test_what_must_not_be_installed_is_not(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "revoked.pem"
    good = revocation_list(authority, REVOKED, 6, NOW)
    install(path, good, authority, NOW, REVOKED)

    for what, pem in _bad(authority, tmp_path).items():
        with pytest.raises(BadList):
            install(path, pem, authority, NOW, REVOKED)
        assert path.read_bytes() == good, what


def test_whatever_lies_there_is_mended(authority: Authority, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir(mode=0o750)
    canary = authority.own("canary").serial_number
    again = partial(lay_out, files, authority, revoked=REVOKED, shut_out=("box-lost",), now=NOW)
    assert again()
    assert not again()

    for what, pem in _bad(authority, tmp_path).items():
        (files / "revoked.pem").write_bytes(pem)

        assert again(), what

        check((files / "revoked.pem").read_bytes(), authority, NOW, [canary, *REVOKED])


@pytest.mark.parametrize("name", ["mosquitto.acl", "chain.pem", "broker.pem", "broker.key"])
@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_so_are_the_other_files(
    name: str, content: bytes | None, authority: Authority, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir(mode=0o750)
    lay_out(files, authority, revoked={}, shut_out=["box-lost"], now=NOW)
    before = (files / name).read_bytes()

    if content is None:
        (files / name).unlink()
    else:
        (files / name).write_bytes(content)

    assert lay_out(files, authority, revoked={}, shut_out=["box-lost"], now=NOW)
    assert (files / name).read_bytes() == before
    assert not (files / name).stat().st_mode & 0o002


def test_who_was_revoked_stays_so_though_the_database_is_of_yesterday(
    authority: Authority, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir(mode=0o750)
    lay_out(files, authority, revoked=REVOKED, shut_out=["box-lost"], now=NOW)

    lay_out(files, authority, revoked={}, shut_out=[], now=NOW + timedelta(days=2))
    kept = named((files / "revoked.pem").read_bytes(), authority)
    lay_out(files, authority, revoked={}, shut_out=[], now=NOW + timedelta(days=93))

    assert set(REVOKED) <= set(kept)
    after = named((files / "revoked.pem").read_bytes(), authority)
    assert not set(REVOKED) & set(after)


def test_while_nothing_is_known_who_is_shut_out_stays_so(
    authority: Authority, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir(mode=0o750)
    lay_out(files, authority, revoked={}, shut_out=["box-lost"], now=NOW)

    assert not lay_out(files, authority, revoked={}, shut_out=None, now=NOW)

    assert "topic deny edges/box-lost/#" in (files / "mosquitto.acl").read_text()


def test_each_issuer_has_a_list_of_its_own(tmp_path: Path) -> None:
    first = made(tmp_path / "authority")
    both = rotate_issuer(first, NOW)

    pem = revocation_list(both, REVOKED, 7, NOW)

    check(pem, both, NOW, REVOKED)
    assert pem.count(b"BEGIN X509 CRL") == 2
    with pytest.raises(BadList, match="no list"):
        check(revocation_list(first, REVOKED, 7, NOW), both, NOW, REVOKED)

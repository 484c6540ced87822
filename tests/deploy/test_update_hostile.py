"""Whoever holds the box's own user cannot have anything installed that no release key signed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.packaging.signing import make_key
from edge.updating.installer import Installer, Request
from tests.deploy.boxes import architecture
from tests.deploy.conftest import built
from tests.deploy.updating import Updating, crafted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user"),
]

EVIL = "etc/evil"
"""What a package of nobody's leaves where its script has run."""
Hostile = Callable[[Updating, Path], None]


def other_key(box: Updating, package: Path) -> None:
    key = box.scratch / "other.pem"
    make_key(key)
    box.offer(package, key=key)


def wrong_signature(box: Updating, package: Path) -> None:
    box.offer(package, signature="A" * 86 + "==")


def truncated_signature(box: Updating, package: Path) -> None:
    box.offer(package, signature="AAAA")


def no_signature(box: Updating, package: Path) -> None:
    box.offer(package, signature="")


def said_to_be_newer(box: Updating, package: Path) -> None:
    box.offer(package, version="9.9")


def truncated(box: Updating, package: Path) -> None:
    box.offer(package)
    os.truncate(box.fetched, box.fetched.stat().st_size - 1)


def lengthened(box: Updating, package: Path) -> None:
    box.offer(package)
    with box.fetched.open("ab") as opened:
        opened.write(b"!")


def changed(box: Updating, package: Path) -> None:
    box.offer(package)
    with box.fetched.open("r+b") as opened:
        opened.seek(1000)
        opened.write(b"!!!!")


def a_link(box: Updating, package: Path) -> None:
    box.offer(package)
    box.fetched.rename(box.scratch / "elsewhere")
    box.fetched.symlink_to(box.scratch / "elsewhere")


def a_pipe(box: Updating, package: Path) -> None:
    box.offer(package)
    box.fetched.unlink()
    os.mkfifo(box.fetched)


def a_folder(box: Updating, package: Path) -> None:
    box.offer(package)
    box.fetched.unlink()
    box.fetched.mkdir()


def nothing(box: Updating, package: Path) -> None:
    box.offer(package)
    box.fetched.unlink()


def without_keys(box: Updating, package: Path) -> None:
    box.offer(package)
    for key in box.places.keys.iterdir():
        key.unlink()


def an_older_one(box: Updating, _: Path) -> None:
    box.offer(crafted(box.scratch, "0.9"))


def the_same_version(box: Updating, _: Path) -> None:
    box.offer(crafted(box.scratch, "1.0"))


def of_another_machine(box: Updating, _: Path) -> None:
    other = "arm64" if architecture() == "amd64" else "amd64"
    box.offer(built(box.release, other, "1.3"))


def of_another_name(box: Updating, _: Path) -> None:
    box.offer(crafted(box.scratch, "1.2", name="sudo"))


HOSTILE: dict[Hostile, str] = {
    other_key: "signature",
    wrong_signature: "signature",
    truncated_signature: "signature",
    no_signature: "signature",
    said_to_be_newer: "signature",
    truncated: "size",
    lengthened: "size",
    changed: "digest",
    a_link: "not_a_file",
    a_pipe: "not_a_file",
    a_folder: "not_a_file",
    nothing: "not_a_file",
    without_keys: "no_key",
    an_older_one: "not_newer",
    the_same_version: "not_newer",
    of_another_machine: "signature",
    of_another_name: "other_package",
}


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda each: each.__name__)
def test_it_is_refused_with_the_reason(updating: Updating, newer: Path, hostile: Hostile) -> None:
    hostile(updating, newer)

    told = updating.run()

    assert (told["result"], told["why"]) == ("refused", HOSTILE[hostile]), told
    assert updating.box.status() == "ii 1.0"
    assert not (updating.places.own / "candidate.deb").exists()


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b"\xff\xfe",
        b"[" * 15_000,
        b'{"id": "../x", "do": "install"}',
        b'{"id": 1, "do": "rollback"}',
        b'{"id": "a", "do": "shell", "version": "1"}',
        b'{"id": "a", "do": "install", "version": "1\\n2", "size": 1}',
        b'{"id": "a", "do": "install", "version": "1.1", "size": 1e400}',
        b'{"id": "a", "do": "install", "version": "1.1", "size": true}',
        b'{"id": "a", "do": "install", "version": "1.1", "size": 99999999999}',
        b'{"id": "a", "do": "install", "version": ["1.1"], "size": 10}',
        b'{"id": "a", "do": "install", "version": "--help", "size": 10}',
        b'{"id": "a", "do": ["install"], "version": "1.1", "size": 10}',
    ],
    ids=lambda each: repr(each[-50:]),
)
def test_a_request_that_is_none_is_refused(updating: Updating, request_: bytes) -> None:
    (updating.places.box / "update/request.json").write_bytes(request_)

    told = updating.run()

    assert (told["result"], told["why"]) == ("refused", "bad_request")
    assert updating.box.status() == "ii 1.0"


def test_a_link_in_place_of_the_request_is_not_read(updating: Updating) -> None:
    secret = updating.scratch / "secret.json"
    secret.write_text('{"id": "secret", "do": "rollback"}')
    (updating.places.box / "update/request.json").symlink_to(secret)

    told = updating.run()

    assert (told["why"], told["id"]) == ("bad_request", "unread")
    assert secret.exists()


def test_a_folder_in_place_of_the_request_does_not_wake_it_for_ever(updating: Updating) -> None:
    (updating.places.box / "update/request.json/deep/down").mkdir(parents=True)

    told = updating.run()

    assert told["why"] == "bad_request"
    assert not (updating.places.box / "update/request.json").exists()


def test_a_link_in_place_of_the_folder_leads_nowhere(updating: Updating) -> None:
    elsewhere = updating.scratch / "elsewhere"
    (updating.places.box / "update").rename(elsewhere)
    (updating.places.box / "update").symlink_to(elsewhere)
    (elsewhere / "request.json").write_text('{"id": "a", "do": "rollback"}')

    updating.kind(places=updating.places).run()

    assert not (updating.places.own / "outcome.json").exists()
    assert (elsewhere / "request.json").exists()


def test_what_is_replaced_after_the_check_is_not_installed(updating: Updating, newer: Path) -> None:
    updating.kind = ReplacedAfterTheCheck
    updating.offer(newer)

    told = updating.run()

    assert (told["result"], updating.box.status()) == ("installed", "ii 1.1")
    assert not (updating.box.root / EVIL).exists()


def test_the_saboteur_that_installs_what_lies_in_the_boxs_folder_is_seen(
    updating: Updating,
    newer: Path,
) -> None:
    updating.kind = InstallsTheOriginal
    updating.offer(newer)

    updating.run()

    assert (updating.box.root / EVIL).exists()


def test_the_saboteur_that_checks_nothing_is_seen(updating: Updating, newer: Path) -> None:
    updating.kind = ChecksNothing
    wrong_signature(updating, newer)

    updating.run()

    assert updating.box.status() == "ii 1.1"


class ReplacedAfterTheCheck(Installer):
    """The box's user writes another package in the moment after the check."""

    def _check(self, candidate: Path, request: Request) -> None:
        super()._check(candidate, request)
        fetched = self.places.box / "update/package.deb"
        evil = crafted(self.places.own.parent, "6.6", postinst=f"touch $DPKG_ROOT/{EVIL}")
        evil.replace(fetched)


class InstallsTheOriginal(ReplacedAfterTheCheck):
    def _chosen(self, candidate: Path) -> Path:
        assert candidate.exists()
        return self.places.box / "update/package.deb"


class ChecksNothing(Installer):
    def _check(self, candidate: Path, request: Request) -> None:
        """Whatever was fetched will do."""

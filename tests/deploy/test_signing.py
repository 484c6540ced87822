"""A release key is made for one person's eyes, and what it signs a box believes."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.packaging.signing import make_key, sign
from deploy.runtime.exits import Stop
from edge.updating.release import is_signed, statement

PACKAGE = "trygport-edge_1.0+7.gabc_arm64.deb"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / PACKAGE
    package.write_bytes(b"a package")
    return package


@pytest.fixture
def key(tmp_path: Path) -> Path:
    key = tmp_path / "release.pem"
    make_key(key)
    return key


def test_a_key_is_for_its_owner_alone_and_its_public_part_for_everybody(key: Path) -> None:
    public = key.with_name("release.pub.pem")

    assert key.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" in key.read_bytes()
    assert b"PUBLIC KEY" in public.read_bytes()


def test_a_key_is_never_overwritten(key: Path) -> None:
    before = key.read_bytes()

    with pytest.raises(Stop, match="is there already"):
        make_key(key)

    assert key.read_bytes() == before


def test_what_is_signed_is_believed_word_for_word(package: Path, key: Path) -> None:
    told = json.loads(sign(package, key).read_text())
    keys = [key.with_name("release.pub.pem").read_bytes()]
    signature = told.pop("signature")

    assert (told["version"], told["architecture"]) == ("1.0+7.gabc", "arm64")
    assert is_signed(statement(**told), signature, keys)
    changes: list[dict[str, Any]] = [{"version": "1.1"}, {"architecture": "amd64"}]
    changes += [{"size": 10}, {"digest": ""}]
    for changed in changes:
        assert not is_signed(statement(**{**told, **changed}), signature, keys)
    assert not is_signed(statement(**told), signature, [])
    assert not is_signed(statement(**told), signature, [b"no key"])


def test_a_key_that_others_may_read_signs_nothing(package: Path, key: Path) -> None:
    key.chmod(0o640)

    with pytest.raises(Stop, match="chmod 600"):
        sign(package, key)


def test_a_file_that_is_no_key_and_one_that_is_no_package_are_told(
    package: Path, key: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_text("nothing")
    other.chmod(0o600)

    with pytest.raises(Stop, match="no private key"):
        sign(package, other)
    with pytest.raises(Stop, match="not the name of a package"):
        sign(other, key)

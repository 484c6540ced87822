"""Who shares telemetry meets under a name that no box can know."""

from pathlib import Path

import pytest

from gateway.ingest.group import group
from gateway.settings import Settings


def keyed(folder: Path, key: str) -> Settings:
    folder.mkdir()
    (folder / "gateway-bulk.key").write_text(key)
    return Settings(broker_identity=folder, production=False)


def test_who_has_the_same_key_has_the_same_name_and_who_has_another_has_not(tmp_path: Path) -> None:
    one, two = keyed(tmp_path / "one", "a key"), keyed(tmp_path / "two", "a key")
    other = keyed(tmp_path / "other", "another key")

    assert group(one) == group(two) != group(other)
    assert len(group(one)) == 32
    assert "key" not in group(one)


def test_without_certificates_the_password_makes_the_name() -> None:
    names = {
        group(Settings(broker_password=word, production=False))  # pyright: ignore[reportArgumentType] - parsed by it
        for word in ("one", "two", "two")
    }

    assert len(names) == 2


def test_a_key_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"gateway-bulk\.key"):
        group(Settings(broker_identity=tmp_path, production=False))

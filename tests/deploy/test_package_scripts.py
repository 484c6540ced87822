"""The real dpkg installs, upgrades, removes and purges the box's package in a root of its own."""

import os
import shutil
from pathlib import Path

import pytest

from tests.deploy.boxes import NAME, Box, Release, architecture
from tests.deploy.conftest import built

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user"),
    pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd is not installed"),
]
HOME = "var/lib/trygport"


@pytest.fixture
def first(release: Release) -> Path:
    return release.package(architecture(), "1.0")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box.make(tmp_path / "box")


def test_installed_it_has_a_user_and_folders_of_its_own_and_is_started_at_boot(
    box: Box, first: Path
) -> None:
    done = box.dpkg("-i", first)

    assert (done.returncode, box.status()) == (0, "ii 1.0"), done.stderr
    [user] = lines(box.root / "etc/passwd", "trygport:")
    [group] = lines(box.root / "etc/group", "bluetooth:")
    assert user.split(":")[5:] == ["/var/lib/trygport", "/usr/sbin/nologin"]
    assert group.endswith(":trygport")
    home, update = (box.root / HOME).stat(), (box.root / HOME / "update").stat()
    root = (box.root / "var/lib/trygport-update").stat()
    assert (home.st_uid, home.st_mode & 0o777) == (int(user.split(":")[2]), 0o700)
    assert (update.st_uid, update.st_mode & 0o777) == (home.st_uid, 0o700)
    assert (root.st_uid, root.st_mode & 0o777) == (0, 0o755)
    wants = box.root / "etc/systemd/system"
    assert (wants / "multi-user.target.wants/edge.service").is_symlink()
    assert (wants / "paths.target.wants/edge-update.path").is_symlink()


def test_installed_twice_it_is_as_installed_once(box: Box, first: Path) -> None:
    box.dpkg("-i", first)
    before = [str(path) for path in sorted(box.root.rglob("*")) if "dpkg" not in str(path)]

    done = box.dpkg("-i", first)

    assert done.returncode == 0, done.stderr
    assert [str(p) for p in sorted(box.root.rglob("*")) if "dpkg" not in str(p)] == before


def test_an_upgrade_keeps_keys_frames_and_what_the_operator_wrote(
    box: Box, first: Path, release: Release
) -> None:
    box.dpkg("-i", first)
    kept = keep_something(box)

    done = box.dpkg("-i", built(release, architecture(), "1.1"))

    assert (done.returncode, box.status()) == (0, "ii 1.1"), done.stderr
    assert {path: path.read_text() for path in kept} == kept


def test_removed_it_keeps_keys_and_frames_and_says_so(box: Box, first: Path) -> None:
    box.dpkg("-i", first)
    kept = keep_something(box)

    done = box.dpkg("-r", NAME)

    assert (done.returncode, box.status()) == (0, "rc 1.0"), done.stderr
    assert "kept in /var/lib/trygport" in done.stdout
    assert {path: path.read_text() for path in kept} == kept
    assert not (box.root / "opt/trygport").exists()
    assert not (box.root / "usr/bin/edge").is_symlink()


def test_purged_it_leaves_nothing_and_says_what_is_lost(box: Box, first: Path) -> None:
    box.dpkg("-i", first)
    keep_something(box)
    # what postinst compiles on a booted system
    (box.root / "opt/trygport/lib/edge/__pycache__").mkdir()

    done = box.dpkg("-P", NAME)

    assert done.returncode == 0, done.stderr
    assert "deleted with /var/lib/trygport" in done.stdout
    left = [str(path) for path in box.root.rglob("*") if "trygport" in path.name]
    assert [path for path in left if "/var/lib/dpkg/" not in path] == []
    assert not list((box.root / "etc/systemd/system").rglob("edge*"))


@pytest.mark.parametrize("version", ["11", "12"])
def test_an_older_debian_is_refused_with_the_reason_and_nothing_is_changed(
    tmp_path: Path, first: Path, version: str
) -> None:
    box = Box.make(tmp_path / "box", version=version)

    done = box.dpkg("-i", first)

    assert done.returncode != 0
    assert "needs Debian 13 or Raspberry Pi OS 13, whose Python is 3.13" in done.stderr
    assert f"this is version {version}" in done.stderr
    assert not (box.root / "opt/trygport").exists()


@pytest.mark.parametrize("python", ["3.11.2-1", "3.14.0-1"])
def test_another_python_is_refused(tmp_path: Path, first: Path, python: str) -> None:
    box = Box.make(tmp_path / "box")
    status = box.root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("3.13.5-1", python))

    done = box.dpkg("-i", first)

    assert done.returncode != 0
    assert "depends on python3" in done.stderr


def keep_something(box: Box) -> dict[Path, str]:
    kept = {
        box.root / HOME / "spool.sqlite": "frames",
        box.root / HOME / "box.pem": "a key",
        box.root / "etc/trygport/edge.env": "EDGE_SPOOL_MB=64\n",
    }
    for path, text in kept.items():
        path.write_text(text)
    return kept


def lines(file: Path, start: str) -> list[str]:
    return [line for line in file.read_text().splitlines() if line.startswith(start)]

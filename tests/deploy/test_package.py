"""The Debian packages of the box: what is in them, for which machine, and the same bytes twice."""

import hashlib
import importlib.metadata
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from deploy.packaging.build import build
from deploy.packaging.target import TARGETS
from deploy.packaging.tree import LIB, programs
from deploy.runtime.paths import DEPLOY, ROOT
from tests.deploy.boxes import Release, fields, is_elf, said

MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}
ARCHITECTURES = tuple(TARGETS)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_compiled_file_is_of_the_machine_and_needs_no_newer_system(
    trees: Mapping[str, Path], architecture: str
) -> None:
    found = [path for path in files(trees[architecture]) if is_elf(path)]
    machines = {int.from_bytes(path.read_bytes()[18:20], "little") for path in found}
    glibc = {
        (int(major), int(minor))
        for path in found
        for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)", path.read_bytes())
    }

    assert found
    assert machines == {TARGETS[architecture].elf}
    assert max(glibc) <= (2, 41)  # Debian 13's
    assert {path for path in files(trees[architecture]) if ".so" in path.name} == set(found)
    # made for another Python they would be there and not be found
    assert not [p.name for p in found if not re.search(r"(\.cpython-313-|\.abi3\.so)", p.name)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_each_package_requires_is_inside(trees: Mapping[str, Path], architecture: str) -> None:
    lib = trees[architecture] / LIB
    inside = {name(each.metadata["Name"]): each for each in distributions(lib)}
    box = {
        "python_version": "3.13",
        "python_full_version": "3.13.5",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": MACHINES[architecture],
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
        "extra": "",
    }

    wanted = [
        requirement
        for each in inside.values()
        for requirement in map(Requirement, each.requires or [])
        if requirement.marker is None or requirement.marker.evaluate(box)
    ]

    assert len(wanted) > 5
    assert {str(r) for r in wanted if name(r.name) not in inside} == set()
    assert all(Version(inside[name(r.name)].version) in r.specifier for r in wanted)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_box_gets_the_locked_packages_and_its_own_room_and_nothing_of_the_tests(
    trees: Mapping[str, Path], architecture: str
) -> None:
    lock = (DEPLOY / "requirements-edge.lock").read_text()
    locked = {f"{name(n)}-{v}" for n, v in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)}
    lib = trees[architecture] / LIB
    inside = {f"{name(each.metadata['Name'])}-{each.version}" for each in distributions(lib)}
    ours = {path.relative_to(lib) for top in ("edge", "adapters") for path in files(lib / top)}

    assert inside - {"trygport-1.0"} <= locked
    assert ours == {path.relative_to(ROOT) for path in programs()}
    assert "adapters/bthome.py" not in map(str, ours)
    assert not [p for p in files(lib) if "__pycache__" in p.parts or p.suffix in (".pyi", ".c")]
    assert not (lib / "gateway").exists()
    assert not (lib / "tests").exists()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_package_says_what_it_needs_and_belongs_to_root(
    release: Release, architecture: str
) -> None:
    package = release.package(architecture, "1.0")

    told = fields(package)
    owners = {line.split()[1] for line in said("dpkg-deb", "-c", package).stdout.splitlines()}

    assert told["Architecture"] == architecture
    assert told["Version"] == "1.0"
    needs = {"python3 (>= 3.13)", "python3 (<< 3.14)", "bluez", "polkitd", "dbus"}
    assert needs <= set(told["Depends"].split(", "))
    assert owners == {"root/root"}


def test_a_box_reports_the_version_of_its_package(trees: Mapping[str, Path]) -> None:
    [ours] = [each for each in distributions(trees["amd64"] / LIB) if each.name == "trygport"]

    assert ours.version == "1.0"


def test_the_same_bytes_come_out_whoever_builds_them(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = release.package("arm64", "1.0").read_bytes()
    monkeypatch.setenv("TZ", "Pacific/Apia")
    before = os.umask(0o077)

    try:
        again = build(TARGETS["arm64"], tmp_path, version="1.0", keys=release.keys).read_bytes()
    finally:
        os.umask(before)

    assert hashlib.sha256(again).hexdigest() == hashlib.sha256(first).hexdigest()


def test_no_private_key_is_in_the_repository_or_in_a_package(trees: Mapping[str, Path]) -> None:
    kept = [*(DEPLOY / "release-keys").glob("*"), *files(trees["amd64"] / "usr/share/trygport")]

    assert kept
    assert not [path for path in kept if b"PRIVATE" in path.read_bytes()]


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def distributions(lib: Path) -> Iterator[importlib.metadata.Distribution]:
    return iter(importlib.metadata.distributions(path=[str(lib)]))


def name(written: str) -> str:
    return re.sub(r"[-_.]+", "-", written).lower()

"""Packages of the box, built once for the tests that look at them."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.packaging.build import build
from deploy.packaging.signing import make_key
from deploy.packaging.target import TARGETS
from deploy.runtime.exits import Exit, Stop
from tests.deploy.boxes import Box, Release, architecture, unpacked
from tests.deploy.updating import Agent, Updating


@pytest.fixture(scope="session")
def release(service_folder: Path) -> Release:
    """A release key, and a package of each architecture that knows it."""
    folder = service_folder / "release"
    folder.mkdir()
    private, pinned = folder / "release.pem", folder / "keys"
    pinned.mkdir()
    public = make_key(private)
    public.rename(pinned / public.name)
    release = Release(folder=folder, private=private, keys=tuple(pinned.iterdir()))
    for each in TARGETS:
        built(release, each, "1.0")
    return release


@pytest.fixture(scope="session")
def trees(release: Release) -> Mapping[str, Path]:
    """What lies in each package, unpacked."""
    return {name: unpacked(release.package(name, "1.0"), release.folder / name) for name in TARGETS}


@pytest.fixture(scope="session")
def installed(service_folder: Path, release: Release) -> Path:
    """The root of a box with version 1.0, to be copied."""
    box = Box.make(service_folder / "installed")
    done = box.dpkg("-i", release.package(architecture(), "1.0"))
    assert done.returncode == 0, done.stderr
    (box.root / "var/lib/trygport/box.pem").write_text("a key")
    return box.root


@pytest.fixture
def updating(tmp_path: Path, installed: Path, release: Release) -> Updating:
    """A box of the test's own with version 1.0, which hears and reaches its gateway."""
    subprocess.run(["cp", "-a", installed, tmp_path / "box"], check=True)
    box = Box(tmp_path / "box")
    agent = Agent(box=box)
    agent.speak()
    return Updating(box=box, release=release, agent=agent, scratch=tmp_path)


@pytest.fixture
def newer(release: Release) -> Path:
    package = release.package(architecture(), "1.1")
    return package if package.exists() else built(release, architecture(), "1.1")


def built(release: Release, architecture: str, version: str) -> Path:
    """A package of a version; the test is skipped where nothing can be fetched."""
    try:
        return build(TARGETS[architecture], release.folder, version=version, keys=release.keys)
    except Stop as stop:
        if stop.code == Exit.NO_NETWORK:
            pytest.skip(stop.sentence)
        raise

"""Packages of the box, built once for the tests that look at them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.packaging.build import build
from deploy.packaging.signing import make_key
from deploy.packaging.target import TARGETS
from deploy.runtime.exits import Exit, Stop
from tests.deploy.boxes import Release, unpacked


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
    for architecture in TARGETS:
        built(release, architecture, "1.0")
    return release


@pytest.fixture(scope="session")
def trees(release: Release) -> Mapping[str, Path]:
    """What lies in each package, unpacked."""
    return {name: unpacked(release.package(name, "1.0"), release.folder / name) for name in TARGETS}


def built(release: Release, architecture: str, version: str) -> Path:
    """A package of a version; the test is skipped where nothing can be fetched."""
    try:
        return build(TARGETS[architecture], release.folder, version=version, keys=release.keys)
    except Stop as stop:
        if stop.code == Exit.NO_NETWORK:
            pytest.skip(stop.sentence)
        raise

"""Unpacks Debian 13's Python into a private folder: the one that the box's package is made for."""

import shutil
from pathlib import Path

from deploy.runtime.machine import architecture_of
from deploy.runtime.paths import RUNTIME
from deploy.runtime.prefix import RELEASE, fetch, unpack, updated_apt, wrap_programs
from deploy.runtime.steps import Stamp, digest, replace_folder, step

FOLDER = RUNTIME / "python-of-debian-13"
BOX_PYTHON = FOLDER / "usr" / "bin" / "python3.13"

_PACKAGES = (
    *("python3.13-minimal", "libpython3.13-minimal", "libpython3.13-stdlib", "libc6", "libgcc-s1"),
    *("libssl3t64", "libzstd1", "libexpat1", "libffi8", "libbz2-1.0", "liblzma5", "libsqlite3-0"),
    *("zlib1g", "libuuid1", "media-types"),
)
_LAYOUT = "1"


def build_box_python() -> Path:
    """The program; made if it is not there as it should be. Raises Stop."""
    architecture = architecture_of()
    inputs = digest(_LAYOUT, architecture, RELEASE, *_PACKAGES)
    stamp = Stamp(file=RUNTIME / "stamps" / "box-python", inputs=inputs)
    if stamp.is_current() and BOX_PYTHON.exists():
        return BOX_PYTHON
    downloads, fresh = RUNTIME / "download-python", RUNTIME / "python.new"
    for left in (downloads, fresh):
        shutil.rmtree(left, ignore_errors=True)
    with step("the box's Python: fetch and unpack"):
        apt = updated_apt(downloads, architecture)
        for package in fetch(apt, _PACKAGES, downloads / "packages"):
            unpack(package, fresh)
        wrap_programs(fresh)
        replace_folder(fresh, FOLDER)
        stamp.write()
        shutil.rmtree(downloads)
    return BOX_PYTHON

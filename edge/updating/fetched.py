"""Takes what the box has fetched out of its folder, which is hostile ground to who installs it."""

import contextlib
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Literal

FOLDER = "update"
REQUEST, PACKAGE = "request.json", "package.deb"
"""What the box puts into its folder: the request last, and by a rename."""
LARGEST = 64_000_000
"""Bytes of a package."""

_VERSION = re.compile(r"[0-9][0-9A-Za-z.+~]{0,63}")
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_LARGEST_REQUEST = 16_384  # bytes
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotAsTold(Exception):
    """What lies there is not what was told; `why` is one word for programs."""

    def __init__(self, why: Literal["not_a_file", "size", "digest"], sentence: str) -> None:
        super().__init__(sentence)
        self.why: Literal["not_a_file", "size", "digest"] = why


def take_request(box: Path, taken: Path) -> bytes | None:
    """The request, moved to `taken` and gone afterwards, so that it is asked once.

    None where there is none, and nothing where it is a link, a pipe or a folder. Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError), _hostile(box) as folder:
        os.rename(REQUEST, taken, src_dir_fd=folder)
        try:
            with _opened(str(taken)) as source:
                return os.read(source, _LARGEST_REQUEST)
        except NotAsTold:
            return b""
        finally:
            remove(taken)
    return None


def copy_package(box: Path, into: Path, *, size: int, digest: str) -> None:
    """Copy what was fetched to a file that only we can write, of `size` bytes and this SHA-256.

    Raises NotAsTold and OSError.
    """
    total, left = hashlib.sha256(), size + 1  # it may grow while it is read
    with _hostile(box) as folder, _opened(PACKAGE, folder) as source, into.open("xb") as copy:
        while block := os.read(source, min(left, 1 << 20)):
            total.update(block)
            copy.write(block)
            left -= len(block)
    if left != 1:
        raise NotAsTold("size", f"it has not the {size} bytes that were told")
    if total.hexdigest() != digest:
        raise NotAsTold("digest", "the package is not the one that was told")


def remove(path: Path) -> None:
    """A file, or a folder with what is in it; a link itself. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def must_be_sane(said: Mapping[str, object]) -> None:
    """Of a request that was read from JSON, where each field may be anything.

    Raises ValueError and TypeError.
    """
    for name in ("id", "do", "version", "digest", "signature"):
        if not isinstance(said[name], str):
            raise TypeError(name)
    if not _ID.fullmatch(str(said["id"])) or said["do"] not in ("install", "rollback"):
        raise ValueError("id or do")
    if said["do"] == "rollback":
        return
    if not _VERSION.fullmatch(str(said["version"])):
        raise ValueError("version")
    size = said["size"]
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= LARGEST:
        raise ValueError("size")


@contextlib.contextmanager
def _hostile(box: Path) -> Generator[int]:
    """The folder of updates, reached without following a link of the user's."""
    top = os.open(box, _DIRECTORY)
    try:
        folder = os.open(FOLDER, _DIRECTORY, dir_fd=top)
    except OSError as odd:
        raise FileNotFoundError(odd.errno, "no folder of updates") from odd
    finally:
        os.close(top)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def _opened(name: str, folder: int | None = None) -> Generator[int]:
    try:
        source = os.open(name, _FILE, dir_fd=folder)
    except OSError as odd:
        raise NotAsTold("not_a_file", f"no package was fetched: {odd.strerror}") from odd
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise NotAsTold("not_a_file", "what was fetched is no file")
        yield source
    finally:
        os.close(source)

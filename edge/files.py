"""Writes a file whole or not at all, and renames one that must not be used."""

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(
    path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True
) -> None:
    """Replace a file; after a power cut either the old or the new is there. Raises OSError.

    Not durable: a power cut may leave it empty, and a memory card is spared the fsync.
    """
    new = path.with_name(f"{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(handle, mode)
        os.write(handle, content)
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)
    new.replace(path)
    if durable:
        sync_folder(path.parent)


def set_aside(path: Path, why: str) -> Path:
    """Rename a file, and what SQLite keeps beside it; its new name, used by no other. OSError."""
    number = len(list(path.parent.glob(f"{path.name}.{why}-*[0-9]")))
    aside = path.with_name(f"{path.name}.{why}-{number}")
    for end in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    sync_folder(path.parent)
    return aside


def sync_folder(folder: Path) -> None:
    """So that a power cut cannot take away a file's name. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

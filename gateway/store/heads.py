"""Heads of the access log's chains in a file outside the database: added to, never rewritten."""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from gateway.store.chain import Head

_MODE = 0o640


class UnreadableHeads(Exception):
    """The file has a line that is no head; the text says which. Compare it with where it is kept.

    A last line without its end is a power cut's, and is passed over.
    """


def publish(path: Path, heads: Sequence[Head], at: datetime) -> None:
    """Add a line for each head, on the disk when this returns. Raises OSError."""
    lines = [
        {
            "municipality": str(head.municipality),
            "position": head.position,
            "hash": head.hash.hex(),
            "at": at.isoformat(),
        }
        for head in heads
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        # one write: lines of several gateways do not mix
        os.write(descriptor, (_end_of_torn_line(descriptor) + text).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _keep_name(path.parent)


def _end_of_torn_line(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return "\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else ""


def _keep_name(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def published(path: Path) -> list[Head]:
    """Every head in the file. Raises UnreadableHeads, OSError."""
    heads = list[Head]()
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.endswith("}"):  # torn by a power cut
            continue
        try:
            told = json.loads(line)
            heads.append(
                Head(
                    municipality=UUID(str(told["municipality"])),
                    position=int(told["position"]),
                    hash=bytes.fromhex(str(told["hash"])),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableHeads(f"{path}: line {number} is no head") from error
    return heads

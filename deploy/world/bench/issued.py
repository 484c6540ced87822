"""Keys and certificates of a benchmark's boxes: a file each, as joining leaves it on a box."""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from deploy.world.bench.shown import AUTHORITY, own
from edge.joining import keys
from edge.joining.identity import OWN, Identity
from gateway.edges.authority import Authority

_NOBODY = "127.0.0.1:1"
_NEVER = 1 << 39  # seconds since 1970: no renewal within a benchmark


def issue(authority: Authority, names: Iterable[str], folder: Path, *, now: datetime) -> None:
    """A key and a certificate for each, without the gateway's records: brokers ask for none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / AUTHORITY).write_text(authority.root_pem)
    for name in names:
        key = keys.new_key()
        given = authority.certify_box(keys.pem(keys.request(key)), name, now)
        put(own(folder, name), key + given.pem.encode())


def put(path: Path, content: bytes) -> None:
    """Write a file that nobody else reads."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def identify(folder: Path, name: str, home: Path, *, broker: str) -> None:
    """Leave on a box what joining leaves there."""
    put(home / OWN, own(folder, name).read_bytes())
    authority = (folder / AUTHORITY).read_text()
    Identity(edge=name, broker=broker, ca=authority, address=_NOBODY, renew=_NEVER).write(home)

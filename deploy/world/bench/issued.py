"""Keys and certificates of a benchmark's boxes: a file each, as joining leaves it on a box."""

import os
import ssl
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from edge.joining import keys
from gateway.edges.authority import Authority

AUTHORITY = "authority.pem"
"""Beside them: whom the boxes trust."""


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


def own(folder: Path, name: str) -> Path:
    """The box's key and certificate."""
    return folder / f"{name}.pem"


def context(folder: Path, name: str) -> ssl.SSLContext:
    """What the box shows, and whom it trusts."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(folder / AUTHORITY)
    made.load_cert_chain(own(folder, name))
    return made

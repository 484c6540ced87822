"""What a benchmark's box shows the broker, and whom it trusts; imports nothing that weighs."""

import ssl
from pathlib import Path

AUTHORITY = "authority.pem"
"""Beside the boxes' certificates: whom the boxes trust."""


def own(folder: Path, name: str) -> Path:
    """The box's key and certificate."""
    return folder / f"{name}.pem"


def context(folder: Path, name: str) -> ssl.SSLContext:
    """For a connection of this box."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(folder / AUTHORITY)
    made.load_cert_chain(own(folder, name))
    return made

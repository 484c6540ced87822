"""Makes a release key and signs packages with it: what the gateway sends along, and boxes check."""

import base64
import hashlib
import json
import os
import re
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from deploy.packaging.deb import NAME
from deploy.runtime.exits import Exit, Stop
from edge.updating.release import statement

_FILE = re.compile(rf"{NAME}_(?P<version>[0-9A-Za-z.+~]+)_(?P<architecture>[a-z0-9]+)\.deb")


def make_key(file: Path) -> Path:
    """A new private key in the file, mode 0600; the file of its public key, which packages carry.

    Raises Stop when there is a file of that name already.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as there:
        raise Stop(Exit.USAGE, f"{file} is there already and is not overwritten.") from there
    with os.fdopen(handle, "wb") as opened:
        opened.write(private)
    told = file.with_name(f"{file.stem}.pub.pem")
    told.write_bytes(public)
    return told


def sign(package: Path, key: Path) -> Path:
    """Sign a package; the file beside it with what the gateway tells of it. Raises Stop."""
    named = _FILE.fullmatch(package.name)
    if named is None:
        raise Stop(Exit.USAGE, f"{package.name} is not the name of a package of the box.")
    content = package.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    about = {"package": NAME, **named.groupdict()}
    words = statement(**about, size=len(content), digest=digest)
    signature = base64.b64encode(_private(key).sign(words)).decode()
    told = {**about, "size": len(content), "digest": digest, "signature": signature}
    beside = package.with_suffix(".json")
    beside.write_text(f"{json.dumps(told, indent=2)}\n")
    return beside


def _private(file: Path) -> Ed25519PrivateKey:
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise Stop(Exit.USAGE, f"Others may read {file}; type: chmod 600 {file}")
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError) as bad:
        raise Stop(Exit.USAGE, f"{file} is no private key: {bad}") from bad
    if not isinstance(key, Ed25519PrivateKey):
        raise Stop(Exit.USAGE, f"{file} is not an Ed25519 key; type: ./deploy/package key FILE")
    return key

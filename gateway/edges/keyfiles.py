"""Keys and certificates as files: put in place whole, and refused where others could read a key."""

import os
import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.edges.signing import Key

KEY_MODE, OPEN_MODE = 0o600, 0o644


class BadFile(Exception):
    """A file is missing, cannot be read, or others can; the text says what to type."""


def put(path: Path, content: bytes, mode: int) -> None:
    """The whole content or what was there: never a half. It is on the disk afterwards.

    The file stays with the owner and group it has, for the broker may run as somebody else.
    Raises OSError.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        if path.exists():
            before, now = path.stat(), os.fstat(file.fileno())
            if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _keep_folder(path.parent)


def put_key(path: Path, key: Key) -> None:
    """A private key in PEM, for its owner alone."""
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    put(path, key.private_bytes(serialization.Encoding.PEM, form, plain), KEY_MODE)


def read_key(path: Path) -> Key:
    """Raises BadFile, also where others may read it."""
    refuse_open(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as bad:
        raise BadFile(f"{path} is no private key that can be read: {_why(bad)}") from bad
    if not isinstance(key, Key):
        raise BadFile(f"{path} is a key of another kind than ours")
    return key


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate in the file. Raises BadFile."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as bad:
        raise BadFile(f"{path} is no certificate that can be read: {_why(bad)}") from bad


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def refuse_open(path: Path, forbidden: int = 0o077) -> None:
    """Raises BadFile when others can read the file or folder, or it is not there."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as bad:
        raise BadFile(f"{path} cannot be read: {_why(bad)}") from bad
    if mode & forbidden:
        right = mode & ~forbidden
        raise BadFile(f"{path} is open to others (mode {mode:o}): type chmod {right:o} {path}")


def _keep_folder(folder: Path) -> None:
    """A rename is on the disk when its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why(bad: Exception) -> str:
    return (bad.strerror or str(bad)) if isinstance(bad, OSError) else "it is spoilt"

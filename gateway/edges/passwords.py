"""Writes the broker's password file: the boxes that joined, and the gateway's own sessions."""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable

from gateway.edges.broker_files import reload
from gateway.settings import Settings

OWN = ("gateway-urgent", "gateway-bulk", "gateway-config")
"""The gateway's own users at the broker."""

_ROUNDS = 101  # Mosquitto's own number; the passwords are random, so there is nothing to guess
_SALT = 12


def hash_password(password: str) -> str:
    """The password as Mosquitto 2 keeps it: `$7$`, rounds, salt and PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(_SALT)
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return f"$7${_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}"


def write_password_file(settings: Settings, boxes: Iterable[tuple[str, str]]) -> None:
    """Put the whole file in place and have the broker read it. Without the setting, nothing.

    `boxes` are names and passwords in Mosquitto's form. The file stays with the owner it has, for
    a broker started as root reads it as somebody else. Raises OSError.
    """
    path = settings.broker_password_file
    if path is None:
        return
    own = [(name, hash_password(settings.broker_password.get_secret_value())) for name in OWN]
    fresh = path.with_name(f"{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        if path.exists():
            before = path.stat()
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
        file.write("".join(f"{name}:{hashed}\n" for name, hashed in [*own, *boxes]))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    if settings.broker_pid_file is not None:
        reload(settings.broker_pid_file)

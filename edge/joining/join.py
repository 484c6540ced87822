"""Gets the box its certificate for a one-time code, from the gateway that the code names, no other.

The key is made here and stays here. An answer that is lost costs nothing: the same code is good
again for the same key, which waits in a file of its own until the certificate is there.
"""

import os
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from edge.files import write_atomically
from edge.joining import keys
from edge.joining.answer import Busy, Granted, WrongGateway, ask, authority_of
from edge.joining.aside import joined_as, set_box_aside
from edge.joining.code import Code
from edge.joining.identity import OWN, BadIdentity, Identity, NotJoined, joined
from edge.keeping.disk import SPOOL, only_writer

KEY = "joining.pem"
"""The key's file until the gateway has signed for it."""

LONGEST_WAIT = 120
"""Seconds that joining waits by itself when the gateway asks it to, at most."""
TRIES = 4
"""Times that the gateway is asked before a person is told to wait."""


def join(
    code: Code,
    home: Path,
    *,
    version: str,
    earliest: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
    wait: Callable[[float], None] = time.sleep,
) -> Identity:
    """Ask for a certificate and keep it in the home folder; `tell` is told what people should know.

    What the box kept under another id is set aside first: it must not be sent under this one.
    `earliest` as in tls.context. Raises WrongGateway, Refused, Busy, Unreachable, SpoolTaken when
    an agent runs as the box that this was, and OSError when the folder cannot be written.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(home):
        if (already := _joined_by(code, home)) is not None:
            tell("this box has joined by this code already: nobody was asked")
            return already
        authority = authority_of(code.address)
        if not code.fits(ssl.PEM_cert_to_DER_cert(authority)):
            raise WrongGateway(f"{code.address} has another authority than the code names")
        key = _key(home / KEY)
        asked = {"secret": code.secret, "request": keys.pem(keys.request(key)), "version": version}
        granted = _patiently(
            lambda: ask(code.address, authority, "/edges/join", asked, earliest=earliest),
            tell,
            wait,
        )
        for path in _others(home, granted.edge, tell):
            tell(f"what it kept is not sent, it is in {path}")
        identity = keep(home, granted, key, code.address, code=code.digest)
        (home / KEY).unlink()
    return identity


def keep(home: Path, granted: Granted, key: bytes, address: str, *, code: str = "") -> Identity:
    """What was granted for the key, in the home folder. Raises OSError.

    First the certificate, which is good for itself; then where to go with it and until when.
    """
    write_atomically(home / OWN, key + granted.certificate.encode())
    identity = Identity(
        edge=granted.edge,
        broker=granted.broker,
        ca=granted.authority,
        address=address,
        renew=granted.renew,
        expires=granted.expires,
        code=code,
        own=home / OWN,
    )
    identity.write(home)
    return identity


def _joined_by(code: Code, home: Path) -> Identity | None:
    """What this code brought already: the power was cut before anybody read that it had."""
    try:
        before = joined(home)
    except (NotJoined, BadIdentity):
        return None
    return before if before.code == code.digest else None


def _others(home: Path, edge: str, tell: Callable[[str], None]) -> list[Path]:
    """What the box kept as another one, set aside."""
    before = joined_as(home)
    if before in (None, edge):
        return []
    tell(f"this was box {before} before, and is {edge} now")
    return set_box_aside(home, before or "")


def _key(path: Path) -> bytes:
    """The one that waits, or a new one, on disk before anybody is asked to sign for it."""
    try:
        key = path.read_bytes()
        keys.request(key)
    except (FileNotFoundError, ValueError):
        key = keys.new_key()
        write_atomically(path, key)
    return key


@contextmanager
def _alone(home: Path) -> Generator[None]:
    """No agent sends as the box that this was, or begins to, while it becomes another."""
    lock = only_writer(home / SPOOL)
    try:
        yield
    finally:
        os.close(lock)


def _patiently(
    again: Callable[[], Granted], tell: Callable[[str], None], wait: Callable[[float], None]
) -> Granted:
    for _ in range(TRIES - 1):
        try:
            return again()
        except Busy as busy:
            if busy.seconds > LONGEST_WAIT:
                raise
            tell(f"the gateway is busy: trying again in {busy.seconds} seconds")
            wait(busy.seconds)
    return again()

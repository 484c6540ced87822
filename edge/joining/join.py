"""Gets the box its identity for a one-time code, from the gateway that the code names, no other."""

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import os
import re
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from edge.joining.aside import joined_as, set_box_aside
from edge.joining.identity import BadIdentity, Identity, read_identity
from edge.keeping.disk import SPOOL, only_writer

PREFIX = "trygport1."
"""What every code begins with; the digit is the version of its form."""
PATIENCE = 20.0
"""Seconds for the gateway to connect and to answer, each."""

LONGEST_WAIT = 120
"""Seconds that joining waits by itself when the gateway asks it to, at most."""
TRIES = 4
"""Times that the gateway is asked before a person is told to wait."""

_MOST = 65_536
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+)(:[0-9]{1,5})?")


class BadCode(ValueError):
    """The text is not a code: it was cut off or mistyped. Copy it again, whole."""


class WrongGateway(Exception):
    """The certificate is not the one in the code: the secret was not sent. Check the network."""


class Refused(Exception):
    """The gateway knows the code no more (used, older than a day) or never did. Get a new one."""


class Unreachable(Exception):
    """No gateway answers at the code's address. Nothing was used up: try again."""


class Busy(Exception):
    """Too many joined from here: the gateway has not looked at the code. Wait `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many boxes join from here; wait {seconds} seconds, then try again")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """`fingerprint` is the SHA-256 of the gateway's certificate, lower-case hexadecimal."""

    address: str
    fingerprint: str
    edge: str
    secret: str = field(repr=False)


def read_code(text: str) -> Code:
    """The parts of `trygport1.` and base64url of their JSON list. Raises BadCode."""
    packed = text.strip()
    if not packed.startswith(PREFIX):
        raise BadCode(f"it does not begin with {PREFIX}")
    body = packed.removeprefix(PREFIX)
    try:
        parts = json.loads(base64.b64decode(body + "=" * (-len(body) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadCode("it was cut off or changed on its way") from error
    if not isinstance(parts, list):
        raise BadCode("it does not hold what a code holds")
    return _code(cast("list[object]", parts))


def _code(parts: list[object]) -> Code:
    match parts:
        case [str(address), str(fingerprint), str(edge), str(secret)]:
            plain = fingerprint.replace(":", "").lower()
        case _:
            raise BadCode("it does not hold what a code holds")
    if not re.fullmatch("[0-9a-f]{64}", plain) or not _ADDRESS.fullmatch(address):
        raise BadCode("its address or fingerprint is none")
    return Code(address=address, fingerprint=plain, edge=edge, secret=secret)


def join(
    code: Code,
    home: Path,
    *,
    version: str,
    tell: Callable[[str], None] = lambda _: None,
    wait: Callable[[float], None] = time.sleep,
) -> Identity:
    """Ask for the identity and keep it in the home folder; `tell` is told what people should know.

    What the box kept under another id is set aside first: it must not be sent under this one.
    Raises WrongGateway, Refused, Busy, Unreachable, SpoolTaken when an agent runs as another box,
    and OSError when the folder cannot be written.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    probe = home / ".writable"  # before the code is used up, not after
    probe.write_bytes(b"")
    probe.unlink()
    before = joined_as(home)
    if before in (None, code.edge):
        identity = _ask_patiently(code, version, tell, wait)
        identity.write(home)
        return identity
    with _alone(home):
        identity = _ask_patiently(code, version, tell, wait)
        for path in set_box_aside(home, before or ""):
            tell(f"this was box {before} before; what it kept is not sent, it is in {path}")
        identity.write(home)
    return identity


@contextmanager
def _alone(home: Path) -> Generator[None]:
    lock = only_writer(home / SPOOL)
    try:
        yield
    finally:
        os.close(lock)


def _ask_patiently(
    code: Code, version: str, tell: Callable[[str], None], wait: Callable[[float], None]
) -> Identity:
    for _ in range(TRIES - 1):
        try:
            return ask(code, version=version)
        except Busy as busy:
            if busy.seconds > LONGEST_WAIT:
                raise
            tell(f"the gateway is busy: trying again in {busy.seconds} seconds")
            wait(busy.seconds)
    return ask(code, version=version)


def ask(code: Code, *, version: str) -> Identity:
    """The gateway's answer to the code. Raises WrongGateway, Refused, Busy, Unreachable."""
    connection = http.client.HTTPSConnection(
        code.address, timeout=PATIENCE, context=_by_fingerprint_alone()
    )
    try:
        connection.connect()
        _check(connection, code)
        return _answer(connection, code, version)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{code.address}: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _check(connection: http.client.HTTPSConnection, code: Code) -> None:
    """Compare the certificate with the code's fingerprint, before a word of the secret is said."""
    shown = cast("ssl.SSLSocket", connection.sock).getpeercert(binary_form=True) or b""
    fingerprint = hashlib.sha256(shown).hexdigest()
    if not hmac.compare_digest(fingerprint, code.fingerprint):
        raise WrongGateway(
            f"{code.address} shows certificate {fingerprint}, the code names {code.fingerprint}"
        )


def _answer(connection: http.client.HTTPSConnection, code: Code, version: str) -> Identity:
    body = json.dumps({"edge": code.edge, "secret": code.secret, "version": version})
    connection.request("POST", "/edges/join", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read(_MOST)
    if answer.status >= 500:  # noqa: PLR2004 - HTTP: the server's own trouble
        raise Unreachable(f"{code.address} answers {answer.status} {answer.reason}")
    if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
        raise Busy(_seconds(answer.headers.get("Retry-After")))
    if answer.status not in (200, 201):
        raise Refused(f"{answer.status} {_detail(said) or answer.reason}")
    try:
        identity = read_identity(said)
    except BadIdentity as bad:
        raise Unreachable(f"{code.address} answers with something else: {bad}") from bad
    if identity.edge != code.edge:
        raise Unreachable(f"{code.address} answers for another box")
    return identity


def _seconds(said: str | None) -> int:
    """Retry-After in its form of seconds (RFC 9110, 10.2.3); a minute when it says nothing."""
    return max(1, int(said)) if said is not None and re.fullmatch("[0-9]{1,6}", said) else 60


def _detail(said: bytes) -> str:
    """The words of a problem document (RFC 9457), if it is one."""
    try:
        problem = json.loads(said)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(problem, dict):
        return ""
    words = cast("dict[str, object]", problem)
    return str(words.get("detail") or words.get("title") or "")


def _by_fingerprint_alone() -> ssl.SSLContext:
    """No authority is asked: the code carries the fingerprint of the one right certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context

"""Gets the box its identity for a one-time code, from the gateway that the code names, no other."""

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from edge.identity import BadIdentity, Identity, read_identity

PREFIX = "trygport1."
"""What every code begins with; the digit is the version of its form."""
PATIENCE = 20.0
"""Seconds for the gateway to connect and to answer, each."""

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


def join(code: Code, home: Path, *, version: str) -> Identity:
    """Ask for the identity and keep it in the home folder.

    Raises WrongGateway, Refused, Unreachable, and OSError when the folder cannot be written.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    probe = home / ".writable"  # before the code is used up, not after
    probe.write_bytes(b"")
    probe.unlink()
    identity = ask(code, version=version)
    identity.write(home)
    return identity


def ask(code: Code, *, version: str) -> Identity:
    """The gateway's answer to the code. Raises WrongGateway, Refused, Unreachable."""
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
    if answer.status not in (200, 201):
        raise Refused(f"{answer.status} {_detail(said) or answer.reason}")
    try:
        identity = read_identity(said)
    except BadIdentity as bad:
        raise Unreachable(f"{code.address} answers with something else: {bad}") from bad
    if identity.edge != code.edge:
        raise Unreachable(f"{code.address} answers for another box")
    return identity


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

"""What the gateway answers over HTTPS to a box that joins or renews: granted, or refused why."""

import http.client
import json
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

from edge import tls
from edge.fields import BadFields, Fields
from edge.joining.identity import BROKER, CERTIFICATE, CERTIFICATES
from edge.settings import ID

PATIENCE = 20.0
"""Seconds for the gateway to connect and to answer, each."""

_MOST = 65_536
_LATEST = 1 << 40  # seconds since 1970, beyond every date
_ERROR = 500


class Refused(Exception):
    """The gateway knows the code, or the certificate, no more or never did. Get a new code."""


class Unreachable(Exception):
    """No gateway answers, or with something else. Nothing was used up: try again."""


class WrongGateway(Exception):
    """Not the gateway of the code: the secret was not sent. Check the network."""


class Busy(Exception):
    """Too many asked from here: the gateway has not looked. Wait `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many boxes ask from here; wait {seconds} seconds, then try again")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Times in seconds since 1970; `certificate` is the box's own and its issuer's, as PEM."""

    edge: str
    broker: str
    authority: str
    certificate: str = field(repr=False)
    renew: int
    expires: int


def authority_of(address: str) -> str:
    """The authority (PEM) of whoever answers there, trusted in nothing yet. Raises Unreachable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    said = _talk(address, context, lambda line: line.request("GET", "/authority"))
    found = CERTIFICATE.search(said.decode(errors="replace"))
    if found is None:
        raise Unreachable(f"{address} answers with something else than an authority")
    return found[0]


def ask(
    address: str, authority: str, path: str, body: Mapping[str, str], *, earliest: float | None
) -> Granted:
    """The gateway's answer; it must be the one of this authority. `earliest` as in tls.context.

    Raises WrongGateway, Refused, Busy, Unreachable.
    """
    context = tls.context(authority, earliest=earliest)
    words, kind = json.dumps(body), {"Content-Type": "application/json"}
    said = _talk(address, context, lambda line: line.request("POST", path, words, kind))
    try:
        fields = Fields(json.loads(said), "answer")
        return Granted(
            edge=fields.text("edge", ID),
            broker=fields.text("broker", BROKER),
            authority=fields.text("authority", CERTIFICATE),
            certificate=fields.text("certificate", CERTIFICATES),
            renew=fields.whole("renew", 0, _LATEST),
            expires=fields.whole("expires", 0, _LATEST),
        )
    except (BadFields, ValueError, RecursionError) as bad:
        raise Unreachable(f"{address} answers with something else: {bad}") from bad


def _talk(
    address: str, context: ssl.SSLContext, say: Callable[[http.client.HTTPSConnection], None]
) -> bytes:
    """What is answered to what is said. Raises as `ask`."""
    made = http.client.HTTPSConnection(address, timeout=PATIENCE, context=context)
    try:
        with closing(made) as line:
            say(line)
            answer = line.getresponse()
            return _granted(address, answer, answer.read(_MOST))
    except ssl.SSLCertVerificationError as wrong:
        raise WrongGateway(f"{address}: {wrong.verify_message}") from wrong
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{address}: {error or type(error).__name__}") from error


def _granted(address: str, answer: http.client.HTTPResponse, said: bytes) -> bytes:
    if answer.status in (http.HTTPStatus.OK, http.HTTPStatus.CREATED):
        return said
    if answer.status >= _ERROR:
        raise Unreachable(f"{address} answers {answer.status} {answer.reason}")
    if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
        raise Busy(_seconds(answer.headers.get("Retry-After")))
    raise Refused(f"{answer.status} {_detail(said) or answer.reason}")


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

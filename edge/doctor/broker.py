"""Whether the broker is the right one, and takes this box; asked without disturbing the agent."""

import math
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from edge import tls
from edge.broker import Link
from edge.doctor import hello
from edge.doctor.verdict import Verdict, bad, first, ok, unknown, warn

WAITING = 3.0
"""Seconds for the port, the handshake and the broker's answer, each."""
REFUSING = 0.7
"""Seconds in which a broker that does not like our certificate says so: TLS 1.3 lets the handshake
end first."""
_DAY = 86_400.0
_LATE = 25.0
"""Days before the end of the box's certificate; it is renewed from thirty days before on."""
_ALERTS: Mapping[str, str] = {
    "CERTIFICATE_REVOKED": "the box's certificate was revoked",
    "CERTIFICATE_EXPIRED": "the box's certificate has expired",
    "CERTIFICATE_REQUIRED": "the box has no certificate",
    "UNKNOWN_CA": "the box's certificate is of another gateway",
    "BAD_CERTIFICATE": "the box's certificate is not taken",
}
_JOIN = "edge join CODE; of a box that was shut out, with the CODE of: gateway edges add"
_RENEW = "edge renew; if that is refused: " + _JOIN
_WRONG = (
    "somebody answers in the broker's place (a hotel's or an office's network does), or the"
    " gateway has a new authority: edge join CODE"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """`untrusted`: why its certificate is not taken by us; `refused`: why it does not take us.

    Both ends of certificates are seconds since 1970. `asked`: whether the box's name was said to
    it, which is only done while no agent runs: it would be thrown out.
    """

    joined: bool = True
    tls: bool = False
    unreachable: str | None = None
    untrusted: str | None = None
    refused: str | None = None
    until: float | None = None
    ours_until: float | None = None
    asked: bool = False
    connected: bool = False


def read_broker(
    link: Link, *, running: bool, connected: bool, earliest: float | None, ours_until: float | None
) -> Broker:
    """One connection that ends at once; `earliest` as in tls.context."""
    told = Broker(tls=link.tls, ours_until=ours_until, connected=running and connected)
    until = None
    try:
        with _opened(link, earliest) as line:
            until = _end(line)
            refused = _answer(line, link, running=running)
    except ssl.SSLCertVerificationError as error:
        return replace(told, untrusted=error.verify_message or str(error))
    except ssl.SSLError as error:
        return replace(told, refused=_alert(error), until=until)
    except OSError as error:
        return replace(told, unreachable=error.strerror or str(error) or "no answer", until=until)
    return replace(told, refused=refused, until=until, asked=not running)


def judge_broker(broker: Broker, now: float) -> Verdict:
    """From its certificate to its answer."""
    ends, ours = _ends(broker), math.inf if broker.ours_until is None else broker.ours_until
    again = "edge doctor again in a minute; then: journalctl -u edge -n 50"
    return first(
        (not broker.joined, unknown("no broker is known before the box has joined")),
        (
            broker.unreachable is not None,
            bad(f"it cannot be asked: {broker.unreachable}", "see link above"),
        ),
        (
            broker.untrusted is not None,
            bad(f"its certificate is not trusted: {broker.untrusted}{ends}", _WRONG),
        ),
        (ours <= now, bad(f"the box's certificate has expired{ends}", _RENEW)),
        (
            broker.refused is not None,
            bad(f"it does not take this box: {broker.refused}{ends}", _JOIN),
        ),
        (
            ours - now < _LATE * _DAY,
            warn(f"the box's certificate was not renewed in time{ends}", _RENEW),
        ),
        (broker.asked, ok(f"it takes this box{ends}")),
        (
            not broker.connected,
            warn(f"it answers{ends}; the agent is not connected", again),
        ),
        otherwise=ok(f"the agent is connected{ends}"),
    )


def _opened(link: Link, earliest: float | None) -> socket.socket:
    """Connected, and encrypted where that is asked for. Raises OSError."""
    plain = socket.create_connection((link.host, link.port), WAITING)
    if not link.tls:
        return plain
    try:
        context = tls.context(link.ca, earliest=earliest, own=link.own)
        return context.wrap_socket(plain, server_hostname=link.host)
    except BaseException:
        plain.close()
        raise


def _answer(line: socket.socket, link: Link, *, running: bool) -> str | None:
    """Why it does not take the box. Raises OSError.

    First it is let speak: what it says of our certificate is lost where we speak meanwhile.
    """
    line.settimeout(REFUSING)
    try:
        if line.recv(1) == b"":
            return "it closed the connection"
    except TimeoutError:
        pass
    if running:
        return None
    line.settimeout(WAITING)
    user = None if link.own is not None else link.username or link.edge
    return hello.ask(line, link.edge, user, link.password)


def _alert(error: ssl.SSLError) -> str:
    reason = error.reason or type(error).__name__
    found = next((said for word, said in _ALERTS.items() if reason.endswith(word)), None)
    return found or f"encryption failed: {reason}"


def _end(line: socket.socket) -> float | None:
    if not isinstance(line, ssl.SSLSocket):
        return None
    said = (line.getpeercert() or {}).get("notAfter")
    return None if said is None else ssl.cert_time_to_seconds(str(said))


def _ends(broker: Broker) -> str:
    told = [
        "" if broker.tls else "in clear",
        "" if broker.until is None else f"its certificate lasts until {_day(broker.until)}",
        "" if broker.ours_until is None else f"ours until {_day(broker.ours_until)}",
    ]
    said = ", ".join(one for one in told if one)
    return f"; {said}" if said else ""


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"

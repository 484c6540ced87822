"""Encryption to the broker, held to its authority and name by a box that may not know the date.

A box without a battery behind its clock starts in 1970, or when its image was made, until a time
server has answered; behind a router that lets no NTP through it stays there. No certificate is
valid then. Chain and name are checked all the same. In place of the dates stands the one thing
that is known: it is not earlier than `earliest`, nor than the pinned authority began, so that a
certificate which ended before that is expired whatever the clock shows.
"""

import math
import ssl
from datetime import UTC, datetime
from pathlib import Path

_IGNORE_TIMES = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name


def context(ca: str | None, *, earliest: float | None, own: Path | None = None) -> ssl.SSLContext:
    """For a connection to the broker of the authority `ca` (PEM text; None: the system's own).

    `own` is the file with this box's key and certificate, read now. Raises OSError, ssl.SSLError.

    `earliest`: None where the clock is synchronised, so that dates are checked as everywhere; else
    the seconds since 1970 that it is now at the least. Dates are left to it for a pinned authority
    only: with the system's two hundred nothing but the clock will do.
    """
    made = ssl.create_default_context(cadata=ca)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if own is not None:
        _show(made, own)
    if ca is not None:
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # form only; Python 3.13 asks for it
    if ca is None or earliest is None:
        made.sslsocket_class = _Checked
        return made
    made.verify_flags |= _IGNORE_TIMES
    pinned = made.get_ca_certs()
    begun = min((_seconds(one["notBefore"]) for one in pinned), default=0.0)
    end = max((_seconds(one["notAfter"]) for one in pinned), default=math.inf)
    if end < earliest:
        raise ssl.SSLCertVerificationError(f"the authority has expired: {_day(end)}")
    made.sslsocket_class = _since(max(earliest, begun))
    return made


def _show(context: ssl.SSLContext, own: Path) -> None:
    """Raises OSError, ssl.SSLError with a text that a person can follow."""
    try:
        context.load_cert_chain(own)
    except ssl.SSLError as error:
        raise ssl.SSLError(f"{own} is not a key with its certificate: join anew") from error


class _Checked(ssl.SSLSocket):
    """Closed when the handshake fails, which whoever asked for it may forget."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as its parent
        try:
            super().do_handshake(block)
            self.check()
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Before the first byte of ours. Raises SSLCertVerificationError."""


def _since(earliest: float) -> type[ssl.SSLSocket]:
    class Since(_Checked):
        """Refuses what has ended before the earliest time that it can be now."""

        def check(self) -> None:
            end = _seconds((self.getpeercert() or {})["notAfter"])
            if end < earliest:
                raise ssl.SSLCertVerificationError(f"certificate has expired: {_day(end)}")

    return Since


def _seconds(date: object) -> float:
    return ssl.cert_time_to_seconds(str(date))


def _day(seconds: float) -> str:
    return f"it ended on {datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"

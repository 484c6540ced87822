"""Addresses to listen on, taken early so that a used port is said in one sentence."""

import asyncio
import errno
import socket

from gateway import log
from gateway.settings import BadSetting

_AGAIN = 5.0
"""Seconds before a used port is tried again: a gateway that is being replaced lets go of it."""

_log = log.get(__name__)


def split(setting: str, address: str) -> tuple[str, int]:
    """HOST and PORT of HOST:PORT; brackets around an IPv6 host. Raises BadSetting."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - ports have 16 bits
        raise BadSetting(f"{setting}={address}: it must be HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


async def bound(setting: str, address: str) -> socket.socket:
    """A socket on that address; waits while another program has it, and says so.

    Raises BadSetting for an address that is not this machine's.
    """
    host, port = split(setting, address)
    while True:
        try:
            return _bind(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise BadSetting(f"{setting}={address}: {error.strerror or error}") from error
        _log.error(f"another program uses {address} ({setting}); trying again", seconds=_AGAIN)
        await asyncio.sleep(_AGAIN)


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, place = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
    except OSError:
        made.close()
        raise
    made.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return made

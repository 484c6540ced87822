"""Whether there is a way to the broker: an address, a route, its name, and an open port."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.doctor.verdict import Verdict, bad, ok, warn

PROC = Path("/proc/net")
CONNECTING = 3.0
"""Seconds for the broker's port to open."""
_UP, _GATEWAY = 0x1, 0x2
"""Flags of a route: RTF_UP and RTF_GATEWAY. Source: Linux, include/uapi/linux/route.h."""
_WEAK = -75
"""dBm of Wi-Fi below which connections break: some 10 dB above what most radios still hear."""
_ELSEWHERE = "198.51.100.1"
"""An address that is nobody's (RFC 5737): by which of ours would it be gone to?"""
_CABLE = "check the cable or the Wi-Fi's name and password, and that the router is on: ip address"
_ROUTER = "switch the router off and on; then: ip route"
_NAMES = "the router's DNS does not answer: switch it off and on, or try: getent hosts NAME"
_PORT = "the home's router or provider may shut the port: try with a telephone's Wi-Fi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """`interface` is that of the default route, `address` ours on the way to the broker.

    `unknown_name`, `unreachable`: why the broker's name has no address, why its port is not open.
    """

    host: str = ""
    port: int = 0
    interface: str | None = None
    address: str | None = None
    wifi: float | None = None
    names: int = 0
    unknown_name: str | None = None
    unreachable: str | None = None


def read_way(host: str, port: int, *, interface: str = "", proc: Path = PROC) -> Way:
    """Looks the name up and opens the port once; nothing is said there."""
    route = interface or _default_route(proc)
    told = Way(
        host=host,
        port=port,
        interface=route,
        address=_own_address(_ELSEWHERE),
        wifi=_wifi(proc / "wireless", route),
    )
    if not host:
        return told
    try:
        listed = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except OSError as error:
        return replace(told, unknown_name=error.strerror or type(error).__name__)
    address = _own_address(str(listed[0][4][0])) or told.address
    return replace(told, address=address, names=len(listed), unreachable=_tried(listed))


def judge_way(way: Way) -> Verdict:
    """From the cable to the broker's port."""
    where = f"{way.host}:{way.port}"
    ours = f"{way.interface or 'no default route'}, {way.address or 'no address'}{_signal(way)}"
    if way.interface is None and (way.unknown_name is not None or not way.host):
        if way.address is None:
            return bad(f"no network: {ours}", _CABLE)
        return bad(f"no way out of the home: {ours}", _ROUTER)
    if way.unknown_name is not None:
        return bad(f"{ours}; {way.host} is not found: {way.unknown_name}", _NAMES)
    if way.unreachable is not None:
        then = _PORT if way.interface is not None else _ROUTER
        return bad(f"{ours}; {where} cannot be reached: {way.unreachable}", then)
    answers = f"{ours}; {where} answers" if way.host else f"{ours}; no broker before it has joined"
    if way.wifi is not None and way.wifi < _WEAK:
        return warn(answers, "move the box or the router, or use a cable")
    return ok(answers)


def _signal(way: Way) -> str:
    return "" if way.wifi is None else f", Wi-Fi at {way.wifi:.0f} dBm"


def _tried(listed: Sequence[tuple[int, int, int, str, Any]]) -> str | None:
    """Why no address of the broker opens its port; None where one does."""
    why = "no address"
    for family, kind, protocol, _, address in listed[:2]:
        with socket.socket(family, kind, protocol) as made:
            made.settimeout(CONNECTING / 2)
            try:
                made.connect(address)
            except OSError as error:
                why = error.strerror or "no answer"
            else:
                return None
    return why


def _default_route(proc: Path) -> str | None:
    """The interface of the IPv4 default route, else of the IPv6 one. Source: proc_net(5)."""
    with suppress(OSError, ValueError):
        for line in (proc / "route").read_text().splitlines()[1:]:
            name, destination, _, flags, *_ = line.split()
            if destination == "00000000" and int(flags, 16) & _UP:
                return name
    with suppress(OSError, ValueError):
        for line in (proc / "ipv6_route").read_text().splitlines():
            words = line.split()
            if words[1] == "00" and int(words[8], 16) & _GATEWAY and words[9] != "lo":
                return words[9]
    return None


def _wifi(path: Path, interface: str | None) -> float | None:
    """Signal level in dBm. Source: Linux, Documentation of the wireless extensions."""
    with suppress(OSError, ValueError, IndexError):
        for line in path.read_text().splitlines()[2:]:
            name, _, rest = line.partition(":")
            if name.strip() == interface:
                level = float(rest.split()[2].rstrip("."))
                return level if level < 0 else level - 256
    return None


def _own_address(there: str) -> str | None:
    """Ours on the way there; a datagram socket that is only connected sends nothing."""
    family = socket.AF_INET6 if ":" in there else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as made:
        made.connect((there, 9))
        return str(made.getsockname()[0])
    return None

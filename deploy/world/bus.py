"""A D-Bus of our own, so that bleak finds the emulated org.bluez and never the machine's."""

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path

from deploy.runtime.process import Guarded

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:{kind}={name}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*" eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
_LONGEST_SOCKET_PATH = 100
"""Linux allows 107 bytes in `sun_path`; a few are kept free."""


@dataclass(frozen=True, slots=True)
class PrivateBus:
    """A running dbus-daemon; DBUS_SYSTEM_BUS_ADDRESS must be `address` before bleak's first call.

    It serves only the user who started it, and ends when we end, however we end.
    """

    address: str
    _daemon: Guarded

    @classmethod
    def start(cls, folder: Path, *, program: str = "dbus-daemon") -> "PrivateBus":
        """Start a daemon whose socket, settings and log lie in `folder`. Blocks some 50 ms.

        A folder too deep for a socket's path gets a socket without a file. Raises DidNotStart,
        for example without the program (Debian's package is `dbus`).
        """
        kind, name = _place(folder / "bus")
        config = folder / "bus.conf"
        config.write_text(_CONFIG.format(kind=kind, name=name))
        daemon = Guarded.start(
            [program, f"--config-file={config}", "--nofork", "--nopidfile", "--nosyslog"],
            log=folder / "bus.log",
        )
        there = name if kind == "path" else f"\0{name}"
        daemon.wait_until(lambda: _answers(there), seconds=10)
        return cls(f"unix:{kind}={name}", daemon)

    def stop(self) -> None:
        """End the daemon; every client sees its connection close."""
        self._daemon.stop()


def _place(path: Path) -> tuple[str, str]:
    if len(bytes(path)) <= _LONGEST_SOCKET_PATH:
        path.unlink(missing_ok=True)
        return "path", str(path)
    return "abstract", f"trygport-{hashlib.sha256(bytes(path)).hexdigest()[:32]}"


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(address) == 0

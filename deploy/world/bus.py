"""A D-Bus of our own, so that bleak finds the emulated org.bluez and never the machine's."""

import socket
from dataclasses import dataclass
from pathlib import Path

from deploy.runtime.process import Guarded

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*" eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"""
_LONGEST_SOCKET_PATH = 100
"""Linux allows 107 bytes in `sun_path`; a few are kept for the daemon's own temporary names."""


class PathTooLong(Exception):
    """A Unix socket cannot have a path this long; choose a folder nearer the root."""


@dataclass(frozen=True, slots=True)
class PrivateBus:
    """A running dbus-daemon; DBUS_SYSTEM_BUS_ADDRESS must be `address` before bleak's first call.

    The daemon ends when we end, however we end.
    """

    address: str
    _daemon: Guarded

    @classmethod
    def start(cls, folder: Path, *, program: str = "dbus-daemon") -> "PrivateBus":
        """Start a daemon whose socket, settings and log lie in `folder`. Blocks some 50 ms.

        Raises PathTooLong, FileNotFoundError (Debian's package is `dbus`) or DidNotStart.
        """
        path = folder / "bus"
        if len(bytes(path)) > _LONGEST_SOCKET_PATH:
            raise PathTooLong(f"{path} is too long for a socket")
        path.unlink(missing_ok=True)
        config = folder / "bus.conf"
        config.write_text(_CONFIG.format(address=f"unix:path={path}"))
        daemon = Guarded.start(
            [program, f"--config-file={config}", "--nofork", "--nopidfile", "--nosyslog"],
            log=folder / "bus.log",
        )
        daemon.wait_until(lambda: _answers(path), seconds=10)
        return cls(f"unix:path={path}", daemon)

    def stop(self) -> None:
        """End the daemon; every client sees its connection close."""
        self._daemon.stop()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return path.exists() and client.connect_ex(str(path)) == 0

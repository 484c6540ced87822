"""Starts a private D-Bus on which any name may be owned, for the emulated Bluetooth service."""

import socket
from dataclasses import dataclass
from pathlib import Path

from deploy.runtime.process import Guarded
from deploy.runtime.scratch import folder_for_socket

_CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true"/>
    <allow receive_requested_reply="true"/>
    <allow receive_type="method_call"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""


@dataclass(slots=True, kw_only=True)
class PrivateBus:
    """A dbus-daemon of ours; `address` goes into DBUS_SYSTEM_BUS_ADDRESS."""

    address: str
    _process: Guarded

    @classmethod
    def start(cls, folder: Path, *, program: str = "dbus-daemon") -> "PrivateBus":
        """Start in the folder. Raises DidNotStart when dbus-daemon refuses or is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        place = folder_for_socket(folder, name="bus")
        place.mkdir(mode=0o700, exist_ok=True)
        there = place / "bus"
        there.unlink(missing_ok=True)
        configuration = folder / "bus.conf"
        configuration.write_text(_CONFIGURATION.format(socket=there))
        command = [program, "--nofork", "--nopidfile", f"--config-file={configuration}"]
        process = Guarded.start(command, log=folder / "bus.log", leftover=place)
        process.wait_until(lambda: _answers(there))
        return cls(address=f"unix:path={there}", _process=process)

    @property
    def pid(self) -> int:
        """The process number of the dbus-daemon."""
        return self._process.pid

    def stop(self) -> None:
        """End it; whoever is connected is cut off."""
        self._process.stop()


def _answers(place: Path) -> bool:
    """Whether somebody listens there: the file stands a moment before that."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(place)) == 0

"""What can be wrong with the emulated BlueZ, and how fast it is when nothing is."""

from dataclasses import dataclass
from typing import Literal

from dbus_fast import DBusError

Version = Literal["5.66", "5.82"]
"""Debian 12's and Debian 13's BlueZ; they differ in what they tell of unchanged advertisements."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """Switches; each may be turned while the daemon runs."""

    deaf: bool = False
    """Scans start and nothing is heard, as when the controller hangs; a power cycle heals it."""
    hangs: bool = False
    """Nothing is answered, as by a daemon that was stopped amid its work."""
    hung: frozenset[tuple[str, str]] = frozenset()
    """Method and address: never answered for that device, for example `Connect`, as each may."""
    in_progress: bool = False
    """StartDiscovery and Connect are refused with InProgress."""
    gatt_in_progress: bool = False
    """Reads and writes are refused with InProgress; bleak then retries for ever."""
    refused_stops: int = 0
    """This many StopDiscovery are refused with InProgress, and the scan state sticks until one is
    accepted (bluez/bluez issue 807, present before 5.88)."""
    abort_connection: int = 0
    """This many connections fail with le-connection-abort-by-local after having come up."""
    services_never_resolve: bool = False
    """Connections come up and ServicesResolved stays false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the radio takes, in seconds; the defaults suit tests, real ones are slower."""

    connect: float = 0.02
    resolve: float = 0.05
    pair: float = 0.05
    gatt: float = 0.002
    temporary: float = 30.0
    """A device unheard for this long, neither connected nor paired, is forgotten (BlueZ's
    TemporaryTimeout)."""


def refused(name: str, text: str) -> DBusError:
    """BlueZ's refusal, for example `refused("InProgress", "Operation already in progress")`."""
    return DBusError(f"org.bluez.Error.{name}", text)


def busy() -> DBusError:
    """BlueZ's answer to what is under way already."""
    return refused("InProgress", "Operation already in progress")


def not_ready() -> DBusError:
    """BlueZ's answer when the adapter is off."""
    return refused("NotReady", "Resource Not Ready")


def not_connected() -> DBusError:
    """BlueZ's answer when the device has gone."""
    return refused("Failed", "Not connected")

"""What BlueZ says of a device becomes a frame, or is found to be no news from the air; pure."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from adapters.frame import Frame
from edge.clock import Clock

_AIR = ("RSSI", "ManufacturerData", "ServiceData", "TxPower")
_DEVICES = 1_024
_BASE = "-0000-1000-8000-00805f9b34fb"
"""The tail of every 16-bit UUID written in full: Bluetooth Core specification, volume 3, part B."""
_NO_RSSI = -127


class Air:
    """Tells what was heard from what BlueZ only remembers.

    BlueZ reports every change of a device's properties in one way, and each report carries the
    last advertisement. "Connected" or "Paired" changing is not an advertisement: taken for one,
    a connection would be its own reason to connect again, and an old press a new one.
    """

    def __init__(self, *, devices: int = _DEVICES) -> None:
        self.told_again = False
        """Whether the last report had nothing new: proof that repeats are told in this scan."""
        self._devices = devices
        self._last = OrderedDict[str, Mapping[str, Any]]()

    def heard(self, properties: Mapping[str, Any]) -> bool:
        """Whether this report of org.bluez.Device1's properties comes from the air."""
        address: str = properties["Address"]
        last = self._last.pop(address, None)
        self.told_again = last == properties
        self._last[address] = dict(properties)
        while len(self._last) > self._devices:
            self._last.popitem(last=False)
        if last is None or self.told_again:
            return True
        changed = {
            name
            for name in properties.keys() | last.keys()
            if properties.get(name) != last.get(name)
        }
        if "RSSI" in last and "RSSI" not in properties:
            changed.discard("RSSI")
            return any(name in changed for name in _AIR)
        return any(name in changed for name in _AIR)


def frame(properties: Mapping[str, Any], clock: Clock) -> Frame:
    """The advertisement that the properties of org.bluez.Device1 hold, as heard now."""
    rssi = properties.get("RSSI", _NO_RSSI)
    return Frame(
        device=properties["Address"].upper(),
        heard="advertisement",
        at=clock.now_ms(),
        uptime=round(clock.uptime(), 3),
        sure=clock.synchronised(),
        rssi=None if rssi == _NO_RSSI else int(rssi),
        address_type="random" if properties.get("AddressType") == "random" else "public",
        name=properties.get("Name"),
        services=tuple(short(uuid) for uuid in properties.get("UUIDs", ())),
        manufacturer={int(k): bytes(v) for k, v in properties.get("ManufacturerData", {}).items()},
        data={short(k): bytes(v) for k, v in properties.get("ServiceData", {}).items()},
        tx_power=properties.get("TxPower"),
    )


def short(uuid: str) -> str:
    """A UUID as frames write it: four digits for a 16-bit one, otherwise the whole."""
    lower = uuid.lower()
    if lower.startswith("0000") and lower.endswith(_BASE):
        return lower[4:8]
    return lower


def full(uuid: str) -> str:
    """A UUID as BlueZ writes it."""
    return uuid if len(uuid) > 4 else f"0000{uuid}{_BASE}"  # noqa: PLR2004 - see `short`

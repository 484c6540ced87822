"""The devices that the emulated adapter has heard, and the links to them."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from dbus_fast import Message, Variant

from deploy.world.bluez_faults import Faults, Pace, busy, not_ready, refused
from deploy.world.bluez_objects import ADAPTER, DEVICE, NO, YES, Methods, Objects, Properties, done
from deploy.world.peripheral import Advertisement, Central, Peripheral, long_uuid

_DATA = ("ManufacturerData", "ServiceData")


class Bonds(Protocol):
    """The keys that are kept of devices, by object path."""

    def is_bonded(self, path: str) -> bool:
        """Whether there are any."""
        ...

    def unbond(self, path: str) -> None:
        """Throw them away."""
        ...


@dataclass(slots=True, kw_only=True)
class Devices:
    """Advertisements become Device1 objects; Connect makes a link."""

    objects: Objects
    faults: Faults
    pace: Pace
    adapter: str
    central: Central
    resolved: Callable[[str, Peripheral], None]
    """Shows the GATT objects of a device, just before ServicesResolved."""
    unlinked: Callable[[str], None]
    """Ends the notifications of a device whose link is gone."""
    bonds: Bonds
    peripherals: dict[str, Peripheral] = field(default_factory=dict[str, Peripheral])
    _forgetting: dict[str, asyncio.TimerHandle] = field(
        default_factory=dict[str, asyncio.TimerHandle]
    )
    _connecting: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])

    def methods(self) -> Methods:
        """What Device1 does, and Adapter1 about devices."""
        return {
            (DEVICE, "Connect"): self._connect,
            (DEVICE, "Disconnect"): self._disconnect,
            (ADAPTER, "RemoveDevice"): self._remove,
        }

    def hear(self, peripheral: Peripheral, said: Advertisement, *, repeating: bool) -> None:
        """Show what was broadcast: a new object, or what is news about the old one.

        `repeating` tells its data again though they do not differ. So does BlueZ 5.66 in every
        active scan, and 5.82 when the scan's filter asks for it; never in a passive scan, where
        the kernel filters duplicates.
        """
        path = self.path(peripheral)
        self.peripherals[path] = peripheral
        repeated = _DATA if repeating else ()
        if self.objects.has(path, DEVICE):
            self.objects.change(path, DEVICE, self._news(path, peripheral, said, repeated))
        else:
            self.objects.add(path, {DEVICE: self._fresh(peripheral, said)})
        self._forget_later(path)

    def path(self, peripheral: Peripheral) -> str:
        """The object path of a device."""
        return f"{self.adapter}/dev_{peripheral.address.replace(':', '_')}"

    def is_linked(self, path: str) -> bool:
        """Whether the device is connected."""
        return bool(self.objects.value(path, DEVICE, "Connected"))

    def unlink(self, path: str) -> None:
        """The link is gone: by our wish, the device's, or the distance."""
        if not self.is_linked(path):
            return
        self.unlinked(path)
        gone = {"ServicesResolved": NO, "Connected": NO}
        self.objects.change(path, DEVICE, gone)
        self._forget_later(path)
        self.peripherals[path].disconnected(self.central)

    def forget(self, path: str) -> None:
        """Take the device out of BlueZ; it returns with its next advertisement."""
        self.unlink(path)
        if timer := self._forgetting.pop(path, None):
            timer.cancel()
        self.peripherals.pop(path, None)
        self.objects.remove(path)

    def reset(self) -> None:
        """The daemon has died or the adapter is gone: nobody is known any more."""
        self.unlink_all()
        for path in tuple(self.peripherals):
            self.forget(path)

    def unlink_all(self) -> None:
        """The adapter was switched off: links end, and attempts at making one."""
        for attempt in self._connecting.values():
            attempt.set()
        for path in tuple(self.peripherals):
            self.unlink(path)

    async def _connect(self, call: Message) -> Message:
        path = self._known(call)
        if not self.objects.value(self.adapter, ADAPTER, "Powered"):
            raise not_ready()
        if self.is_linked(path):
            return done(call)
        if self.faults.in_progress or path in self._connecting:
            raise busy()
        cancelled = self._connecting[path] = asyncio.Event()
        try:
            await self._reach(path, cancelled)
        finally:
            del self._connecting[path]
        self._link(path)
        if self.faults.abort_connection > 0:
            self.faults.abort_connection -= 1
            asyncio.get_running_loop().call_later(self.pace.connect, self.unlink, path)
            raise refused("Failed", "le-connection-abort-by-local")
        return done(call)

    async def _reach(self, path: str, cancelled: asyncio.Event) -> None:
        """Wait until the device answers; one that is out of range answers when it is back."""
        while True:
            try:
                async with asyncio.timeout(self.pace.connect):
                    await cancelled.wait()
            except TimeoutError:
                peripheral = self.peripherals.get(path)
                if peripheral and peripheral.services and not peripheral.dead:
                    return
            else:
                raise refused("Failed", "le-connection-abort-by-local")

    def _link(self, path: str) -> None:
        self.objects.change(path, DEVICE, {"Connected": YES})
        self._forget_later(path)
        self.peripherals[path].connected(self.central)
        asyncio.get_running_loop().call_later(self.pace.resolve, self._resolve, path)

    def _resolve(self, path: str) -> None:
        if self.is_linked(path) and not self.faults.services_never_resolve:
            self.resolved(path, self.peripherals[path])
            self.objects.change(path, DEVICE, {"ServicesResolved": YES})

    async def _disconnect(self, call: Message) -> Message:
        path = self._known(call)
        if attempt := self._connecting.get(path):
            attempt.set()
        elif not self.is_linked(path):
            raise refused("NotConnected", "Not Connected")
        self.unlink(path)
        return done(call)

    async def _remove(self, call: Message) -> Message:
        path: str = call.body[0]
        if not self.objects.has(path, DEVICE):
            raise refused("DoesNotExist", "Does Not Exist")
        self.forget(path)
        self.bonds.unbond(path)
        return done(call)

    def _known(self, call: Message) -> str:
        return call.path or ""

    def _forget_later(self, path: str) -> None:
        if timer := self._forgetting.pop(path, None):
            timer.cancel()
        if self.is_linked(path) or self.objects.value(path, DEVICE, "Paired"):
            return
        loop = asyncio.get_running_loop()
        self._forgetting[path] = loop.call_later(self.pace.temporary, self.forget, path)

    def _fresh(self, peripheral: Peripheral, said: Advertisement) -> dict[str, Variant]:
        alias = said.name or peripheral.address.replace(":", "-")
        bonded = YES if self.bonds.is_bonded(self.path(peripheral)) else NO
        return {
            "Address": Variant("s", peripheral.address),
            "AddressType": Variant("s", peripheral.address_type),
            "Alias": Variant("s", alias),
            "Adapter": Variant("o", self.adapter),
            **dict.fromkeys(("Trusted", "Blocked", "LegacyPairing"), NO),
            **dict.fromkeys(("Paired", "Bonded"), bonded),
            **dict.fromkeys(("Connected", "ServicesResolved"), NO),
            **_told(said, {}),
            "RSSI": Variant("n", peripheral.rssi),
        }

    def _news(
        self, path: str, peripheral: Peripheral, said: Advertisement, repeated: Collection[str]
    ) -> dict[str, Variant]:
        """What differs from what is shown, and what is repeated though it does not."""
        before = self.objects.properties(path, DEVICE)
        told = _told(said, before)
        news = {
            name: value
            for name, value in told.items()
            if name in repeated or before.get(name) != value
        }
        if "Name" in news:
            news["Alias"] = news["Name"]
        # a scan with a filter, as bleak's always are, tells every difference in strength
        if self.objects.value(path, DEVICE, "RSSI") != peripheral.rssi:
            news["RSSI"] = Variant("n", peripheral.rssi)
        return news


def _told(said: Advertisement, before: Properties) -> dict[str, Variant]:
    """What the broadcast says as properties; company ids, service data and UUIDs accumulate."""
    told: dict[str, Variant] = {}
    if said.name is not None:
        told["Name"] = Variant("s", said.name)
    if said.tx_power is not None:
        told["TxPower"] = Variant("n", said.tx_power)
    if said.flags is not None:
        told["AdvertisingFlags"] = Variant("ay", bytes([said.flags]))
    known: list[str] = before["UUIDs"].value if "UUIDs" in before else []
    told["UUIDs"] = Variant("as", sorted({*known, *map(long_uuid, said.service_uuids)}))
    companies: dict[int | str, Variant] = {
        company: Variant("ay", data) for company, data in said.manufacturer_data.items()
    }
    uuids: dict[int | str, Variant] = {
        long_uuid(uuid): Variant("ay", data) for uuid, data in said.service_data.items()
    }
    for name, signature, heard in (
        ("ManufacturerData", "a{qv}", companies),
        ("ServiceData", "a{sv}", uuids),
    ):
        if heard:
            earlier: dict[int | str, Variant] = before[name].value if name in before else {}
            told[name] = Variant(signature, {**earlier, **heard})
    return told

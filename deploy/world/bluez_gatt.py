"""The GATT objects of connected devices: reading, writing, and being notified."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dbus_fast import Message, Variant

from deploy.world.bluez_faults import Faults, Pace, busy, not_connected, refused
from deploy.world.bluez_objects import (
    CHARACTERISTIC,
    DESCRIPTOR,
    DEVICE,
    NO,
    SERVICE,
    YES,
    Methods,
    Objects,
    Properties,
    done,
)
from deploy.world.peripheral import AttError, Characteristic, Flag, Peripheral, long_uuid

_MTU = 247
_FIRST_HANDLE = 0x0010
_CONFIGURATION = "2902"
_SUFFIX = len("/service0010/char0011")
"""bleak, too, cuts a device's path out of its characteristic's by this length."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Shown:
    """A characteristic that has an object, and who is notified of it."""

    path: str
    characteristic: Characteristic
    tell: Callable[[bytes], None]
    clients: set[str] = field(default_factory=set[str])
    sockets: list[socket.socket] = field(default_factory=list[socket.socket])

    @property
    def device(self) -> str:
        return self.path[:-_SUFFIX]

    def notify(self, value: bytes) -> None:
        """The peripheral has sent a notification or indication."""
        if self.clients:
            self.tell(value)
        for end in tuple(self.sockets):
            try:
                end.send(value)
            except OSError:
                end.close()
                self.sockets.remove(end)

    def listen(self) -> None:
        """Enable notifications at the peripheral, unless they are."""
        if self.notify not in self.characteristic.listeners:
            self.characteristic.listeners.append(self.notify)

    def rest(self) -> None:
        """Disable notifications at the peripheral when nobody wants them."""
        wanted = self.clients or self.sockets
        if not wanted and self.notify in self.characteristic.listeners:
            self.characteristic.listeners.remove(self.notify)

    def close(self) -> None:
        """The link is gone."""
        while self.sockets:
            self.sockets.pop().close()
        self.clients.clear()
        self.rest()


@dataclass(slots=True, kw_only=True)
class Gatt:
    """Services and characteristics of devices whose services have been resolved."""

    objects: Objects
    faults: Faults
    pace: Pace
    encrypt: Callable[[str], Awaitable[None]]
    """Makes sure that the link to this device is encrypted, or raises BlueZ's refusal."""
    _shown: dict[str, _Shown] = field(default_factory=dict[str, _Shown])

    def methods(self) -> Methods:
        """What GattCharacteristic1 does."""
        return {
            (CHARACTERISTIC, "ReadValue"): self._read,
            (CHARACTERISTIC, "WriteValue"): self._write,
            (CHARACTERISTIC, "StartNotify"): self._start_notify,
            (CHARACTERISTIC, "StopNotify"): self._stop_notify,
            (CHARACTERISTIC, "AcquireNotify"): self._acquire_notify,
        }

    def show(self, device: str, peripheral: Peripheral) -> None:
        """Show the device's services. They stay after a disconnection, as BlueZ's cache keeps them.

        Paths end in the handle as four hexadecimal digits; bleak reads the handle from there.
        """
        handle = _FIRST_HANDLE
        for service in peripheral.services:
            path = f"{device}/service{handle:04x}"
            self._add(path, SERVICE, _service(device, service.uuid))
            handle += 1
            for characteristic in service.characteristics:
                self._show_characteristic(path, handle, characteristic)
                handle += 3

    def unlink(self, device: str) -> None:
        """The link is gone, and with it every notification."""
        for shown in self._of(device):
            shown.close()
            self._tell_notifying(shown)

    def forget_client(self, client: str) -> None:
        """A client has left the bus."""
        for shown in self._shown.values():
            if client in shown.clients:
                self._leave(shown, client)

    def _show_characteristic(self, service: str, handle: int, said: Characteristic) -> None:
        path = f"{service}/char{handle:04x}"
        if self._add(path, CHARACTERISTIC, _characteristic(service, said)):
            self._shown[path] = _Shown(
                path=path, characteristic=said, tell=lambda value: self._tell_value(path, value)
            )
            if _can_notify(said):
                self._add(f"{path}/desc{handle + 2:04x}", DESCRIPTOR, _configuration(path))

    def _add(self, path: str, interface: str, properties: Properties) -> bool:
        is_new = not self.objects.has(path, interface)
        if is_new:
            self.objects.add(path, {interface: properties})
        return is_new

    async def _read(self, call: Message) -> Message:
        shown = await self._reached(call, "read", "Read not permitted")
        with _att_errors():
            value = shown.characteristic.read()
        self._tell_value(shown.path, value)
        return done(call, "ay", [value])

    async def _write(self, call: Message) -> Message:
        value, options = bytes(call.body[0]), call.body[1]
        command = "type" in options and options["type"].value == "command"
        flag: Flag = "write-without-response" if command else "write"
        shown = await self._reached(call, flag, "Write not permitted")
        with _att_errors():
            await shown.characteristic.write(value)
        return done(call)

    async def _reached(self, call: Message, flag: Flag, refusal: str) -> _Shown:
        shown = self._linked(call)
        await asyncio.sleep(self.pace.gatt)
        if self.faults.gatt_in_progress:
            raise busy()
        if flag not in shown.characteristic.flags:
            raise refused("NotPermitted", refusal)
        if shown.characteristic.encrypted:
            await self.encrypt(shown.device)
        self._linked(call)
        return shown

    async def _start_notify(self, call: Message) -> Message:
        shown = self._notifying(call)
        if shown.characteristic.encrypted:
            await self.encrypt(shown.device)
            self._linked(call)
        shown.clients.add(call.sender or "")
        self._begin(shown)
        return done(call)

    async def _stop_notify(self, call: Message) -> Message:
        shown = self._linked(call)
        if call.sender not in shown.clients:
            raise refused("Failed", "No notify session started")
        self._leave(shown, call.sender or "")
        return done(call)

    async def _acquire_notify(self, call: Message) -> Message:
        shown = self._notifying(call)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        shown.sockets.append(ours)
        self._begin(shown)
        return Message.new_method_return(call, "hq", [0, _MTU], unix_fds=[theirs.detach()])

    def _notifying(self, call: Message) -> _Shown:
        shown = self._linked(call)
        if not _can_notify(shown.characteristic):
            raise refused("NotSupported", "Operation is not supported")
        return shown

    def _begin(self, shown: _Shown) -> None:
        shown.listen()
        self._tell_notifying(shown)
        if shown.characteristic.subscribed is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self.pace.gatt, shown.characteristic.subscribed)

    def _leave(self, shown: _Shown, client: str) -> None:
        shown.clients.discard(client)
        shown.rest()
        self._tell_notifying(shown)

    def _linked(self, call: Message) -> _Shown:
        shown = self._shown.get(call.path or "")
        if shown is None or not self.objects.value(shown.device, DEVICE, "Connected"):
            raise not_connected()
        return shown

    def _of(self, device: str) -> list[_Shown]:
        return [shown for shown in self._shown.values() if shown.device == device]

    def _tell_value(self, path: str, value: bytes) -> None:
        """Every value is told, equal or not; a read tells its value, too, as in real BlueZ."""
        self.objects.change(path, CHARACTERISTIC, {"Value": Variant("ay", value)})

    def _tell_notifying(self, shown: _Shown) -> None:
        notifying = bool(shown.clients)
        if self.objects.value(shown.path, CHARACTERISTIC, "Notifying") not in (None, notifying):
            told = {"Notifying": Variant("b", notifying)}
            self.objects.change(shown.path, CHARACTERISTIC, told)


@contextmanager
def _att_errors() -> Generator[None]:
    try:
        yield
    except AttError as error:
        text = f"Operation failed with ATT error: 0x{error.code:02x}"
        raise refused("Failed", text) from error


def _can_notify(characteristic: Characteristic) -> bool:
    return not {"notify", "indicate"}.isdisjoint(characteristic.flags)


def _service(device: str, uuid: str) -> Properties:
    return {
        "UUID": Variant("s", long_uuid(uuid)),
        "Device": Variant("o", device),
        "Primary": YES,
        "Includes": Variant("ao", []),
    }


def _characteristic(service: str, said: Characteristic) -> Properties:
    notifying = ("Notifying", "NotifyAcquired") if _can_notify(said) else ()
    return {
        "UUID": Variant("s", long_uuid(said.uuid)),
        "Service": Variant("o", service),
        "Flags": Variant("as", list(said.flags)),
        "MTU": Variant("q", _MTU),
        **dict.fromkeys(notifying, NO),
    }


def _configuration(characteristic: str) -> Properties:
    return {
        "UUID": Variant("s", long_uuid(_CONFIGURATION)),
        "Characteristic": Variant("o", characteristic),
        "Flags": Variant("as", []),
    }

"""An emulated org.bluez: the real bleak scans and connects through it, and no radio is needed.

What it does was read from BlueZ's own behaviour in virtual machines (5.66 and 5.82) and from what
bleak 3.1 relies on; it belongs on a D-Bus of its own (`deploy.runtime.bus`).
"""

import asyncio
import logging
import os
from collections.abc import Coroutine
from typing import Any

from dbus_fast import DBusError, Message, MessageFlag, MessageType, RequestNameReply, Variant
from dbus_fast.aio import MessageBus

from deploy.world.bluez_agent import Agents
from deploy.world.bluez_devices import Devices
from deploy.world.bluez_faults import Faults, Pace, Version, refused
from deploy.world.bluez_gatt import Gatt
from deploy.world.bluez_monitor import Monitors
from deploy.world.bluez_objects import (
    ADAPTER,
    AGENT_MANAGER,
    MONITOR_MANAGER,
    NO,
    OBJECT_MANAGER,
    PROPERTIES,
    YES,
    Methods,
    Objects,
    Properties,
    done,
)
from deploy.world.bluez_outbox import Outbox
from deploy.world.bluez_scan import Scan
from deploy.world.peripheral import Advertisement, Peripheral

_NAME = "org.bluez"
_BUS = "org.freedesktop.DBus"
_log = logging.getLogger(__name__)


class NameTaken(Exception):
    """A bus holds one org.bluez; give each emulated one a bus of its own."""


class Bluez:
    """One daemon with one adapter. Peripherals that are added to it are within its range."""

    def __init__(
        self,
        *,
        bluez: Version = "5.82",
        experimental: bool = False,
        adapter: str = "hci0",
        address: str = "00:1A:7D:DA:71:13",
        pace: Pace | None = None,
    ) -> None:
        """`experimental` is bluetoothd's own option: passive scans need it."""
        self.faults = Faults()
        self.adapter = f"/org/bluez/{adapter}"
        self._address = address
        self._experimental = experimental
        self._version = bluez
        self._bus: MessageBus | None = None
        self._outbox: Outbox | None = None
        self._bus_address = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._air: list[Peripheral] = []
        pace = pace or Pace()
        self.objects = Objects(self._send)
        self._scan = Scan(objects=self.objects, faults=self.faults, adapter=self.adapter)
        self._monitors = Monitors(version=bluez, call=self._call, spawn=self._spawn)
        self.agents = Agents(
            objects=self.objects,
            pace=pace,
            call=self._call,
            peripheral=lambda path: self._devices.peripherals[path],
        )
        self._gatt = Gatt(
            objects=self.objects, faults=self.faults, pace=pace, encrypt=self.agents.encrypt
        )
        self._devices = Devices(
            objects=self.objects,
            faults=self.faults,
            pace=pace,
            adapter=self.adapter,
            central=self,
            resolved=self._gatt.show,
            unlinked=self._gatt.unlink,
            bonds=self.agents,
        )
        self._methods = self._all_methods()

    @property
    def listens(self) -> bool:
        """Whether some client scans, actively or by patterns that have been read."""
        return bool(self._scan.sessions) or any(self._monitors.patterns.values())

    async def start(self, address: str) -> None:
        """Appear as org.bluez on the bus at this address, with a powered adapter and no devices.

        Raises NameTaken when another org.bluez is there.
        """
        self._bus_address = address
        bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
        bus.add_message_handler(self._handle)
        await bus.call(_watch_clients())
        self._bus, self._outbox = bus, Outbox(bus)
        self._show_adapter()
        if await bus.request_name(_NAME) is not RequestNameReply.PRIMARY_OWNER:
            await self.stop()
            raise NameTaken(f"another {_NAME} is on {address}")

    async def stop(self) -> None:
        """Leave the bus; devices and links are forgotten, peripherals stay within range."""
        bus, outbox, self._bus, self._outbox = self._bus, self._outbox, None, None
        self._forget_all()
        self.agents.reset()
        self.objects.clear()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if outbox is not None:
            outbox.close()
        if bus is not None:
            bus.disconnect()
            await bus.wait_for_disconnect()

    async def die(self) -> None:
        """End as by kill -9: no signal says that the scan has ended or that links are gone."""
        await self.stop()

    async def revive(self) -> None:
        """Come back after `die`, as a new daemon that knows nothing of the old one's scans."""
        await self.start(self._bus_address)

    def add(self, *peripherals: Peripheral) -> None:
        """Bring peripherals within range: their broadcasts are heard while a client scans."""
        for peripheral in peripherals:
            self._air.append(peripheral)
            peripheral.centrals.append(self)

    def remove(self, peripheral: Peripheral) -> None:
        """Take a peripheral out of range; a link to it is lost, BlueZ forgets it later."""
        self.lose(peripheral)
        self._air.remove(peripheral)
        peripheral.centrals.remove(self)

    def power(self, *, on: bool) -> None:
        """Switch the adapter. Off ends scans and links; on again also heals deafness."""
        if not on:
            self._devices.unlink_all()
            self._end_scans()
            self.faults.deaf = False
        self.objects.change(self.adapter, ADAPTER, {"Powered": Variant("b", on)})

    def unplug(self) -> None:
        """Pull the adapter out: its object vanishes."""
        self._forget_all()
        self.objects.remove(self.adapter)

    def plug(self) -> None:
        """Put the adapter back, powered."""
        self._show_adapter()

    def hear(self, peripheral: Peripheral, said: Advertisement) -> None:
        """A peripheral within range has broadcast once."""
        powered = bool(self.objects.value(self.adapter, ADAPTER, "Powered"))
        if self._bus is None or self.faults.deaf or not powered:
            return
        actively = self._scan.hears(said, peripheral.rssi)
        if actively or self._monitors.hears(said):
            repeating = actively and (self._version == "5.66" or self._scan.wants_duplicates)
            self._devices.hear(peripheral, said, repeating=repeating)

    def lose(self, peripheral: Peripheral) -> None:
        """The link to a peripheral has broken."""
        self._devices.unlink(self._devices.path(peripheral))

    def _forget_all(self) -> None:
        self._devices.reset()
        self._end_scans()

    def _end_scans(self) -> None:
        self._scan.reset()
        self._monitors.reset()

    def _show_adapter(self) -> None:
        managers: dict[str, Properties] = {ADAPTER: _adapter(self._address)}
        if self._experimental:
            managers[MONITOR_MANAGER] = {"SupportedMonitorTypes": Variant("as", ["or_patterns"])}
        self.objects.add("/org/bluez", {AGENT_MANAGER: {}})
        self.objects.add(self.adapter, managers)

    def _all_methods(self) -> Methods:
        parts = (self._scan, self._devices, self._gatt, self.agents)
        methods = {key: method for part in parts for key, method in part.methods().items()}
        if self._experimental:
            methods |= self._monitors.methods()
        return methods | {
            (OBJECT_MANAGER, "GetManagedObjects"): self._managed_objects,
            (PROPERTIES, "Get"): self._get,
            (PROPERTIES, "GetAll"): self._get_all,
            (PROPERTIES, "Set"): self._set,
        }

    def _handle(self, message: Message) -> bool:
        if message.message_type is MessageType.METHOD_CALL:
            return self._handle_call(message)
        if message.member == "NameOwnerChanged" and not message.body[2]:
            for part in (self._scan, self._monitors, self._gatt, self.agents):
                part.forget_client(message.body[0])
        return False

    def _handle_call(self, call: Message) -> bool:
        method = self._methods.get((call.interface or "", call.member or ""))
        if method is None:
            return False
        self._spawn(self._answer(call, method(call)))
        return True

    async def _answer(self, call: Message, working: Coroutine[Any, Any, Message]) -> None:
        reply = Message.new_error(call, "org.bluez.Error.Failed", "the emulated BlueZ has failed")
        try:
            if self.faults.hangs or self._is_hung(call):
                await asyncio.Event().wait()
            self._check_object(call)
            reply = await working
        except DBusError as error:
            reply = Message.new_error(call, error.type, error.text)
        finally:
            working.close()
            if not call.flags & MessageFlag.NO_REPLY_EXPECTED:
                await self._send_reply(reply)

    async def _send_reply(self, reply: Message) -> None:
        """Send, and close the descriptors that travelled with it: the client has its own now."""
        try:
            if self._outbox is not None:
                await self._outbox.put(reply)
        finally:
            for descriptor in reply.unix_fds:
                os.close(descriptor)

    def _is_hung(self, call: Message) -> bool:
        device = (call.path or "").replace("_", ":")
        return any(call.member == member and at in device for member, at in self.faults.hung)

    def _check_object(self, call: Message) -> None:
        """Refuse what is asked of an object that is not there, or not any more."""
        path, interface = call.path or "", call.interface or ""
        general = interface in (OBJECT_MANAGER, PROPERTIES)
        if not (self.objects.has(path, interface) or general):
            unknown = f"Method {call.member!r} on {path} doesn't exist"
            raise DBusError(f"{_BUS}.Error.UnknownObject", unknown)

    async def _managed_objects(self, call: Message) -> Message:
        return done(call, "a{oa{sa{sv}}}", [self.objects.all()])

    async def _get_all(self, call: Message) -> Message:
        return done(call, "a{sv}", [self.objects.properties(call.path or "", call.body[0])])

    async def _get(self, call: Message) -> Message:
        found = self.objects.properties(call.path or "", call.body[0]).get(call.body[1])
        if found is None:
            raise DBusError(f"{_BUS}.Error.InvalidArgs", f"No such property {call.body[1]!r}")
        return done(call, "v", [found])

    async def _set(self, call: Message) -> Message:
        interface, name, value = call.body
        if not self.objects.has(call.path or "", interface):
            raise refused("DoesNotExist", "Does Not Exist")
        if (interface, name) == (ADAPTER, "Powered"):
            self.power(on=value.value)
        else:
            self.objects.change(call.path or "", interface, {name: value})
        return done(call)

    async def _call(self, message: Message) -> Message | None:
        return None if self._bus is None else await self._bus.call(message)

    def _send(self, message: Message) -> None:
        if self._outbox is not None:
            self._outbox.put(message)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("the emulated BlueZ failed to answer", exc_info=error)


def _watch_clients() -> Message:
    rule = f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg2=''"
    return Message(
        destination=_BUS,
        path="/org/freedesktop/DBus",
        interface=_BUS,
        member="AddMatch",
        signature="s",
        body=[rule],
    )


def _adapter(address: str) -> Properties:
    return {
        "Address": Variant("s", address),
        "AddressType": Variant("s", "public"),
        "Name": Variant("s", "trygport"),
        "Alias": Variant("s", "trygport"),
        "Class": Variant("u", 0),
        "Powered": YES,
        **dict.fromkeys(("Discoverable", "Pairable", "Discovering"), NO),
        "UUIDs": Variant("as", []),
        "Roles": Variant("as", ["central", "peripheral"]),
    }

"""Performs the stronger steps against silence: calls to BlueZ, systemd and logind over D-Bus."""

import asyncio

from dbus_fast import Variant
from dbus_fast.aio import MessageBus

from edge.bluez.bus import ANSWER, Refused, ask, system_bus

_BLUEZ = "org.bluez"
_ADAPTER = "org.bluez.Adapter1"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_BETWEEN = 0.1


async def power_cycle(adapter: str = "") -> None:
    """Switch the adapter off and on, and wait until it is on. Raises Refused.

    On Debian 12 it was still off a second after "on" had been accepted, so "on" is said again
    until BlueZ shows it. An adapter that is not named is the first, as for bleak.
    """
    async with system_bus() as bus:
        path = await _adapter(bus, adapter)
        await _power(bus, path, on=False)
        try:
            async with asyncio.timeout(ANSWER):
                while not await _is_on(bus, path):
                    await _power(bus, path, on=True)
                    await asyncio.sleep(_BETWEEN)
        except TimeoutError as late:
            raise Refused("StaysOff") from late


async def restart_daemon() -> None:
    """Let systemd restart bluetoothd, and wait until the new one is there. Raises Refused."""
    async with system_bus() as bus:
        before = await _owner(bus)
        await ask(
            bus,
            "org.freedesktop.systemd1",
            "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager.RestartUnit",
            signature="ss",
            body=("bluetooth.service", "replace"),
        )
        try:
            async with asyncio.timeout(ANSWER):
                while await _owner(bus) in (None, before):  # noqa: ASYNC110 - knows no event
                    await asyncio.sleep(_BETWEEN)
        except TimeoutError as late:
            raise Refused("StaysAway") from late


async def reboot() -> None:
    """Let logind reboot the box; nobody can be asked for a password. Raises Refused."""
    async with system_bus() as bus:
        await ask(
            bus,
            "org.freedesktop.login1",
            "/org/freedesktop/login1",
            "org.freedesktop.login1.Manager.Reboot",
            signature="b",
            body=(False,),
        )


async def forget(device: str) -> None:
    """Let BlueZ forget all it remembers of a device, given by its object path. Raises Refused.

    Its bond too: a paired device must be paired anew.
    """
    adapter, _, _ = device.rpartition("/")
    async with system_bus() as bus:
        await ask(bus, _BLUEZ, adapter, f"{_ADAPTER}.RemoveDevice", signature="o", body=(device,))


async def _owner(bus: MessageBus) -> str | None:
    """Who is org.bluez now; asked of the bus, which starts nobody for it."""
    name = "org.freedesktop.DBus"
    try:
        [owner] = await ask(bus, name, "/", f"{name}.GetNameOwner", signature="s", body=(_BLUEZ,))
    except Refused:
        return None
    return str(owner)


async def _adapter(bus: MessageBus, named: str) -> str:
    if named:
        return f"/org/bluez/{named}"
    method = "org.freedesktop.DBus.ObjectManager.GetManagedObjects"
    [objects] = await ask(bus, _BLUEZ, "/", method)
    found = sorted(path for path, interfaces in objects.items() if _ADAPTER in interfaces)
    if not found:
        raise Refused("NoAdapter")
    return str(found[0])


async def _power(bus: MessageBus, path: str, *, on: bool) -> None:
    body = (_ADAPTER, "Powered", Variant("b", on))
    await ask(bus, _BLUEZ, path, f"{_PROPERTIES}.Set", signature="ssv", body=body)


async def _is_on(bus: MessageBus, path: str) -> bool:
    body = (_ADAPTER, "Powered")
    [powered] = await ask(bus, _BLUEZ, path, f"{_PROPERTIES}.Get", signature="ss", body=body)
    return bool(powered.value)

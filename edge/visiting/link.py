"""A link to one device by bleak: what can go wrong with it is a failed visit and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)
from bleak_retry_connector import establish_connection

from edge.bluez.air import full
from edge.bluez.bus import Refused, ask, system_bus
from edge.visiting.connection import KeysRefused, VisitFailed

FAULTS = (BleakError, OSError, EOFError, TimeoutError, AttributeError, KeyError)
"""What bleak and D-Bus raise when the daemon or the adapter goes away in the middle."""

_AWAY = ("ServiceUnknown", "NameHasNoOwner")
_BLUEZ = "org.bluez"
_DEVICE = "org.bluez.Device1"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_NO_KEYS = frozenset(
    {
        BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION_KEY_SIZE,
    }
)


class Link:
    """One connected device, by `edge.visiting.connection.Client`."""

    def __init__(self, client: BleakClient, path: str) -> None:
        self._path = path
        self._client = client

    @property
    def path(self) -> str:
        return self._path

    async def subscribe(
        self, uuid: str, told: Callable[[bytes], None], *, service: str | None = None
    ) -> None:
        with _translated():
            await self._client.start_notify(
                self._found(uuid, service), lambda _, value: told(bytes(value))
            )

    async def write(self, uuid: str, value: bytes, *, service: str | None = None) -> None:
        with _translated():
            await self._client.write_gatt_char(self._found(uuid, service), value)

    async def read(self, uuid: str) -> bytes:
        with _translated():
            return bytes(await self._client.read_gatt_char(full(uuid)))

    async def is_bonded(self) -> bool:
        """Whether BlueZ holds keys for the device; it knows better than any note of ours."""
        try:
            async with system_bus() as bus:
                method = f"{_PROPERTIES}.GetAll"
                answer = await ask(bus, _BLUEZ, self._path, method, signature="s", body=(_DEVICE,))
        except Refused as refused:
            raise VisitFailed(f"BlueZ does not say whether it is paired: {refused}") from refused
        known = answer[0]
        return bool((known.get("Bonded") or known["Paired"]).value)

    async def pair(self) -> None:
        with _translated():
            await self._client.pair()

    def _found(self, uuid: str, service: str | None) -> BleakGATTCharacteristic | str:
        """A characteristic by name may be in several services: then the service must be told."""
        if service is None:
            return full(uuid)
        held = self._client.services.get_service(full(service))
        found = None if held is None else held.get_characteristic(full(uuid))
        if found is None:
            raise VisitFailed(f"it has no {uuid} in a service {service}")
        return found


@asynccontextmanager
async def link(
    device: BLEDevice, left: Callable[[], None], *, connecting: float, leaving: float
) -> AsyncGenerator[Link]:
    """Connect, and disconnect whatever happens within; seconds for each. Raises VisitFailed.

    `left` is called when the link has ended, by whomever. VisitFailed also for one that does not.
    """
    with _translated():
        async with asyncio.timeout(connecting):
            client = await establish_connection(
                BleakClient, device, device.address, lambda _: left(), use_services_cache=False
            )
    try:
        yield Link(client, device.details["path"])
    except BaseException:
        await _leave(client, leaving)
        raise
    if not await _leave(client, leaving):
        # a device in a link advertises nothing: only another visit, which ends it, finds it again
        raise VisitFailed("its link did not end")


async def _leave(client: BleakClient, within: float) -> bool:
    """Whether the link has ended, as far as anybody can tell."""
    try:
        async with asyncio.timeout(within):
            await client.disconnect()
    except TimeoutError:
        return False
    except FAULTS:
        return True
    return True


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except FAULTS as fault:
        failed = KeysRefused if _is_about_keys(fault) else VisitFailed
        raise failed(str(fault) or type(fault).__name__) from fault


def _is_about_keys(fault: Exception) -> bool:
    """Whether the device, or BlueZ for it, finds that the link cannot be encrypted by our keys.

    Source: BlueZ, create_gatt_dbus_error in src/gatt-client.c.
    """
    if isinstance(fault, BleakGATTProtocolError):
        return fault.code in _NO_KEYS
    return isinstance(fault, BleakDBusError) and "Not paired" in str(fault)


def why_unwell(fault: Exception) -> Literal["refused", "daemon_gone", "no_adapter", "powered_off"]:
    """What a scan that did not start tells of the radio."""
    if isinstance(fault, BleakBluetoothNotAvailableError):
        off = fault.reason is BleakBluetoothNotAvailableReason.POWERED_OFF
        return "powered_off" if off else "no_adapter"
    if isinstance(fault, BleakDBusError):
        if fault.dbus_error.endswith(_AWAY):
            return "daemon_gone"
        if fault.dbus_error == "org.bluez.Error.NotReady":
            return "powered_off"
    return "refused"

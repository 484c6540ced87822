"""The emulated org.bluez outlives its clients, and is alone on its bus."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bleak import BleakAdapter, BleakClient, BleakScanner

from deploy.runtime.process import DidNotStart
from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez, NameTaken
from deploy.world.devices import HealthThermometer
from tests.world.radio import settle, until

ANOTHER_BOX = """
import asyncio
from bleak import BleakClient, BleakScanner

async def main():
    async with BleakScanner() as scanner:
        async for device, _ in scanner.advertisement_data():
            client = BleakClient(device)
            await client.connect()
            await client.start_notify("2a1c", print)
            await asyncio.sleep(60)

asyncio.run(main())
"""


@asynccontextmanager
async def another_process() -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ANOTHER_BOX, env=os.environ, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_a_killed_clients_scan_ends_and_its_link_stays(bluez: Bluez) -> None:
    thermometer = HealthThermometer("A4:C1:38:00:00:01")
    bluez.add(thermometer)
    subscribed = thermometer.services[0].characteristics[0].listeners

    async with another_process():
        await until(lambda: bluez.listens, seconds=15)  # another Python has to start first
        thermometer.advertise()
        await until(lambda: bool(subscribed))

    await until(lambda: not bluez.listens and not subscribed)
    assert thermometer.connected_to == [bluez]
    adapter = await BleakAdapter.get()
    [device] = await adapter.get_connected_devices(["1809"])
    async with BleakClient(device) as client:
        assert await client.read_gatt_char("2a19") == bytes([90])
    assert thermometer.connected_to == []


async def test_a_peripheral_that_walks_away_is_lost_and_no_longer_heard(bluez: Bluez) -> None:
    thermometer = HealthThermometer("A4:C1:38:00:00:01")
    bluez.add(thermometer)
    heard: list[str] = []

    async with BleakScanner(lambda device, _: heard.append(device.address)) as scanner:
        thermometer.advertise()
        await settle()
        client = BleakClient(scanner.discovered_devices[0])
        await client.connect()
        bluez.remove(thermometer)
        await settle()
        assert not client.is_connected
        await client.disconnect()
        before = len(heard)
        thermometer.advertise()
        await settle()

    assert len(heard) == before


async def test_two_boxes_hear_one_device_and_only_one_is_connected(
    bluez: Bluez, tmp_path: Path
) -> None:
    thermometer = HealthThermometer("A4:C1:38:00:00:01")
    other_bus = PrivateBus.start(tmp_path)
    other = Bluez()
    await other.start(other_bus.address)
    bluez.add(thermometer)
    other.add(thermometer)

    async with BleakScanner() as scanner:
        thermometer.advertise()
        await settle()
        async with BleakClient(scanner.discovered_devices[0]):
            assert thermometer.connected_to == [bluez]
    await other.stop()
    other_bus.stop()


async def test_a_bus_holds_one_daemon(bluez: Bluez, dbus: PrivateBus) -> None:
    assert bluez

    with pytest.raises(NameTaken):
        await Bluez().start(dbus.address)


async def test_a_folder_too_deep_for_a_socket_will_do(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    bus = PrivateBus.start(deep)
    bluez = Bluez()

    await bluez.start(bus.address)

    await bluez.stop()
    bus.stop()


def test_a_bus_says_why_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match="no-such-dbus-daemon"):
        PrivateBus.start(tmp_path, program="no-such-dbus-daemon")

"""Fixtures: a private D-Bus, an emulated BlueZ on it, and the end of what bleak leaves behind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from bleak.backends.bluezdbus import manager

from deploy.world.bluez import Bluez
from deploy.world.bus import PrivateBus


@pytest.fixture(scope="session")
def dbus(service_folder: Path) -> Iterator[PrivateBus]:
    """One private D-Bus for the whole run."""
    folder = service_folder / "dbus"
    folder.mkdir()
    daemon = PrivateBus.start(folder)
    yield daemon
    daemon.stop()


@pytest.fixture
async def radio(dbus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrivateBus]:
    """The bus that bleak uses in this test, with nobody on it yet."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", dbus.address)
    yield dbus
    await end_bleak()


@pytest.fixture
async def bluez(radio: PrivateBus) -> AsyncIterator[Bluez]:
    """An emulated BlueZ 5.82 without --experimental."""
    bluez = Bluez()
    await bluez.start(radio.address)
    yield bluez
    await bluez.stop()


async def end_bleak() -> None:
    """Drop this loop's bleak manager, which else keeps a task and a socket for ever."""
    found = manager._global_instances.pop(asyncio.get_running_loop(), None)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- bleak has no door for this
    if found is None:
        return
    bus, watcher = found._bus, found._bus_watcher_task  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if bus is not None:
        bus.disconnect()
    if watcher is not None:
        await watcher

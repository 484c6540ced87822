"""Fixtures: a private D-Bus, an emulated BlueZ on it, and the end of what bleak leaves behind."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from bleak.backends.bluezdbus import manager
from dbus_fast import Message

from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez

_CLOSING = 0.02
"""Seconds in which the connections of bleak's clients, shut already, close their sockets."""

_GLANCE = 0.005


@pytest.fixture(scope="session")
def dbus(service_folder: Path) -> Iterator[PrivateBus]:
    """One private D-Bus for the whole run of those tests that share this fixture."""
    daemon = PrivateBus.start(Path(tempfile.mkdtemp(prefix="dbus-", dir=service_folder)))
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


async def settle() -> None:
    """Return when bleak has taken in all that the daemon has said until now.

    A call on bleak's own connection comes back behind every signal sent before it.
    """
    bus = (await manager.get_global_bluez_manager())._bus  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    assert bus
    peer = "org.freedesktop.DBus.Peer"
    await bus.call(Message(destination="org.bluez", path="/", interface=peer, member="Ping"))


async def until(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    """Return as soon as the condition holds, and fail when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- what is waited for knows no event
            await asyncio.sleep(_GLANCE)


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
    await asyncio.sleep(_CLOSING)

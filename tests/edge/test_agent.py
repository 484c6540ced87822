"""Our pairing agent lets in the device that is to be paired, and nobody else."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDBusError
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez
from deploy.world.peripheral import Characteristic, Peripheral, Service
from edge.bluez.agent import Agent
from tests.edge.hearing import sensor

CUFF, STRANGER = "C8:2B:96:00:00:11", "C8:2B:96:00:00:12"


def cuff(address: str = CUFF) -> Peripheral:
    secret = Characteristic(uuid="2a19", flags=("read",), value=b"\x5a", encrypted=True)
    return sensor(address, Service(uuid="180f", characteristics=(secret,)))


@asynccontextmanager
async def agent() -> AsyncGenerator[Agent]:
    ours = Agent(lambda address: address == CUFF, again=0.05)
    task = asyncio.create_task(ours.run())
    await asyncio.wait_for(ours.ready.wait(), timeout=5)
    try:
        yield ours
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def connected(device: Peripheral) -> AsyncGenerator[BleakClient]:
    async with BleakScanner() as scanner:
        asyncio.get_running_loop().call_later(0.05, device.advertise)
        found = await anext(
            found
            async for found, _ in scanner.advertisement_data()
            if found.address == device.address
        )
    async with BleakClient(found) as client:
        yield client


async def test_a_device_that_is_to_be_paired_is_and_a_stranger_is_refused(bluez: Bluez) -> None:
    ours, theirs = cuff(), cuff(STRANGER)
    bluez.add(ours, theirs)

    async with agent():
        async with connected(ours) as client:
            await client.pair()
            assert await client.read_gatt_char("2a19") == b"\x5a"
        async with connected(theirs) as client:
            with pytest.raises(BleakDBusError, match="AuthenticationRejected"):
                await client.pair()

    assert (ours.pairings, theirs.pairings) == (1, 0)


async def test_the_agent_is_there_again_when_the_daemon_comes_back(bluez: Bluez) -> None:
    ours = cuff()
    bluez.add(ours)

    async with agent() as registered:
        await bluez.die()
        while registered.ready.is_set():  # noqa: ASYNC110 - knows no event for it
            await asyncio.sleep(0.01)
        await bluez.revive()
        await asyncio.wait_for(registered.ready.wait(), timeout=5)
        async with connected(ours) as client:
            assert await client.read_gatt_char("2a19") == b"\x5a"


@pytest.mark.parametrize(
    ("member", "signature", "body"),
    [
        ("RequestConfirmation", "ou", [f"/org/bluez/hci0/dev_{CUFF.replace(':', '_')}", 1]),
        ("RequestPinCode", "o", [f"/org/bluez/hci0/dev_{CUFF.replace(':', '_')}"]),
        ("AuthorizeService", "os", [f"/org/bluez/hci0/dev_{CUFF.replace(':', '_')}", "1810"]),
        ("RequestAuthorization", "o", ["/org/bluez/hci0/dev_"]),
    ],
)
async def test_whatever_is_not_just_works_is_refused(
    radio: PrivateBus, bluez: Bluez, member: str, signature: str, body: list[object]
) -> None:
    asking = await MessageBus(bus_address=radio.address).connect()
    async with agent():
        [(name, path)] = bluez.agents.agents.items()
        answer = await asking.call(
            Message(
                destination=name,
                path=path,
                interface="org.bluez.Agent1",
                member=member,
                signature=signature,
                body=body,
            )
        )
    asking.disconnect()
    assert answer.message_type is MessageType.ERROR
    assert answer.error_name == "org.bluez.Error.Rejected"

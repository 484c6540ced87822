"""The real bleak and bleak-retry-connector connect through the emulated org.bluez."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from bleak import BleakClient, BleakScanner
from bleak.args.bluez import BlueZNotifyArgs
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakGATTProtocolError
from bleak_retry_connector import BleakClientWithServiceCache, establish_connection
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez
from deploy.world.peripheral import AttError, Characteristic, Peripheral, Service
from tests.world.radio import settle, until


class Thermometer(Peripheral):
    """As little as a test needs of a device with GATT."""

    def __init__(self, *, encrypted: bool = False) -> None:
        self.written: list[bytes] = []
        self.subscriptions = 0
        self.measurement = Characteristic(
            uuid="2a1c", flags=("indicate",), subscribed=self.on_subscribed
        )
        self.battery = Characteristic(
            uuid="2a19", flags=("read", "notify"), value=b"\x55", encrypted=encrypted
        )
        self.control = Characteristic(uuid="2a9f", flags=("write",), written=self.on_written)
        super().__init__(
            "A4:C1:38:00:00:02",
            services=(
                Service(uuid="1809", characteristics=(self.measurement,)),
                Service(uuid="180f", characteristics=(self.battery, self.control)),
            ),
        )

    def on_subscribed(self) -> None:
        self.subscriptions += 1

    def on_written(self, value: bytes) -> None:
        if not value:
            raise AttError(0x0D)
        self.written.append(value)


@pytest.fixture
def thermometer(bluez: Bluez) -> Thermometer:
    device = Thermometer()
    bluez.add(device)
    return device


async def found(peripheral: Peripheral, scanner: BleakScanner) -> BLEDevice:
    peripheral.advertise()
    async for device, _ in scanner.advertisement_data():
        if device.address == peripheral.address:
            return device
    raise AssertionError


@asynccontextmanager
async def connection(peripheral: Peripheral) -> AsyncGenerator[BleakClient]:
    async with BleakScanner() as scanner:
        device = await found(peripheral, scanner)
        client = await establish_connection(BleakClientWithServiceCache, device, device.address)
        yield client
        await client.disconnect()


async def test_services_are_resolved_with_their_handles(thermometer: Thermometer) -> None:
    async with connection(thermometer) as client:
        services = {service.uuid[4:8]: service.handle for service in client.services}
        flags = {
            characteristic.uuid[4:8]: characteristic.properties
            for characteristic in client.services.characteristics.values()
        }

    assert services == {"1809": 0x10, "180f": 0x14}
    assert flags == {"2a1c": ["indicate"], "2a19": ["read", "notify"], "2a9f": ["write"]}


async def test_a_value_is_read_and_one_is_written(thermometer: Thermometer) -> None:
    async with connection(thermometer) as client:
        assert await client.read_gatt_char("2a19") == b"\x55"
        await client.write_gatt_char("2a9f", b"\x01\x02", response=True)

    assert thermometer.written == [b"\x01\x02"]


async def test_an_indication_arrives_while_subscribed_and_not_after(
    thermometer: Thermometer,
) -> None:
    told: list[bytes] = []

    async with connection(thermometer) as client:
        await client.start_notify("2a1c", lambda _, value: told.append(bytes(value)))
        await until(lambda: thermometer.subscriptions == 1)
        assert thermometer.measurement.notify(b"one")
        assert thermometer.measurement.notify(b"one")
        await settle()
        await client.stop_notify("2a1c")
        assert not thermometer.measurement.notify(b"two")

    assert told == [b"one", b"one"]


async def test_a_notification_arrives_through_a_socket(thermometer: Thermometer) -> None:
    told: list[bytes] = []

    async with connection(thermometer) as client:
        await client.start_notify(
            "2a19",
            lambda _, value: told.append(bytes(value)),
            bluez=BlueZNotifyArgs(use_start_notify=False),
        )
        assert thermometer.battery.notify(b"\x54")
        assert thermometer.battery.notify(b"\x53")
        await until(lambda: len(told) == 2)

    assert told == [b"\x54", b"\x53"]
    assert not thermometer.battery.notify(b"\x52")


async def test_reading_what_one_is_subscribed_to_tells_it_twice(thermometer: Thermometer) -> None:
    told: list[bytes] = []

    async with connection(thermometer) as client:
        await client.start_notify("2a19", lambda _, value: told.append(bytes(value)))
        read = await client.read_gatt_char("2a19")
        await settle()

    assert (read, told) == (b"\x55", [b"\x55"])


async def test_the_device_refuses_with_its_own_error_code(thermometer: Thermometer) -> None:
    async with connection(thermometer) as client:
        with pytest.raises(BleakGATTProtocolError) as refusal:
            await client.write_gatt_char("2a9f", b"", response=True)
        assert refusal.value.code == 0x0D
        with pytest.raises(BleakGATTProtocolError, match="Read Not Permitted"):
            await client.read_gatt_char("2a1c")


async def test_a_device_in_a_connection_does_not_broadcast(thermometer: Thermometer) -> None:
    heard: list[dict[int, bytes]] = []

    async with BleakScanner(lambda _, said: heard.append(said.manufacturer_data)) as scanner:
        client = BleakClient(await found(thermometer, scanner))
        await client.connect()
        thermometer.advertise(manufacturer_data={1: b"\x01"})
        await client.disconnect()
        await settle()
        assert {1: b"\x01"} not in heard

        thermometer.advertise()
        await settle()
        assert heard[-1] == {1: b"\x01"}


async def test_a_lost_link_is_told_and_a_new_connection_works(thermometer: Thermometer) -> None:
    lost = asyncio.Event()
    async with BleakScanner() as scanner:
        device = await found(thermometer, scanner)
        client = BleakClient(device, disconnected_callback=lambda _: lost.set())
        await client.connect()

        thermometer.dead = True
        await asyncio.wait_for(lost.wait(), timeout=1)
        assert not client.is_connected
        await client.disconnect()  # frees bleak's socket, which a lost link leaves open
        thermometer.dead = False

    async with connection(thermometer) as again:
        assert await again.read_gatt_char("2a19") == b"\x55"


async def test_a_dead_device_is_not_reached(thermometer: Thermometer) -> None:
    async with BleakScanner() as scanner:
        device = await found(thermometer, scanner)
        thermometer.dead = True

        with pytest.raises(TimeoutError):
            await BleakClient(device, timeout=0.2).connect()

    assert thermometer.connected_to == []


async def test_an_aborted_connection_is_tried_again(bluez: Bluez, thermometer: Thermometer) -> None:
    bluez.faults.abort_connection = 2

    async with connection(thermometer) as client:
        assert await client.read_gatt_char("2a19") == b"\x55"

    assert bluez.faults.abort_connection == 0


async def test_services_that_never_resolve_end_in_a_timeout_and_no_link(
    bluez: Bluez, thermometer: Thermometer
) -> None:
    bluez.faults.services_never_resolve = True
    async with BleakScanner() as scanner:
        device = await found(thermometer, scanner)

        with pytest.raises(TimeoutError):
            await BleakClient(device, timeout=0.3).connect()

    assert thermometer.connected_to == []


async def test_a_connection_in_progress_is_refused(bluez: Bluez, thermometer: Thermometer) -> None:
    async with BleakScanner() as scanner:
        device = await found(thermometer, scanner)
        bluez.faults.in_progress = True

        with pytest.raises(BleakDBusError, match="InProgress"):
            await BleakClient(device).connect()


async def test_a_read_in_progress_is_tried_for_ever(bluez: Bluez, thermometer: Thermometer) -> None:
    async with connection(thermometer) as client:
        bluez.faults.gatt_in_progress = True

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.read_gatt_char("2a19"), timeout=0.2)


async def test_without_power_the_link_ends_and_none_is_made(
    bluez: Bluez, thermometer: Thermometer
) -> None:
    async with BleakScanner() as scanner:
        device = await found(thermometer, scanner)
        client = BleakClient(device)
        await client.connect()

        bluez.power(on=False)
        await settle()

        assert not client.is_connected
        with pytest.raises(BleakDBusError, match="Resource Not Ready"):
            await BleakClient(device).connect()
        await client.disconnect()


async def test_an_encrypted_value_needs_an_agent_and_hangs_without(
    bluez: Bluez, radio: PrivateBus
) -> None:
    thermometer = Thermometer(encrypted=True)
    bluez.add(thermometer)

    async with connection(thermometer) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.read_gatt_char("2a19"), timeout=0.2)
        agent = await MessageBus(bus_address=radio.address).connect()
        agent.add_message_handler(let_pair)
        await agent.call(register_agent())
        assert await client.read_gatt_char("2a19") == b"\x55"
        agent.disconnect()

    async with connection(thermometer) as client:
        assert await client.read_gatt_char("2a19") == b"\x55"


async def test_a_device_that_has_forgotten_us_refuses_what_is_encrypted(
    bluez: Bluez, radio: PrivateBus
) -> None:
    thermometer = Thermometer(encrypted=True)
    bluez.add(thermometer)
    agent = await MessageBus(bus_address=radio.address).connect()
    agent.add_message_handler(let_pair)
    await agent.call(register_agent())

    async with connection(thermometer) as client:
        await client.pair()
        assert await client.read_gatt_char("2a19") == b"\x55"
    thermometer.has_keys = False
    async with connection(thermometer) as client:
        with pytest.raises(BleakDBusError, match="Not paired"):
            await client.read_gatt_char("2a19")
        await client.unpair()
    async with connection(thermometer) as client:
        await client.pair()
        assert await client.read_gatt_char("2a19") == b"\x55"
    agent.disconnect()
    assert thermometer.pairings == 2


def let_pair(call: Message) -> Message | None:
    if call.message_type is MessageType.METHOD_CALL and call.member == "RequestAuthorization":
        return Message.new_method_return(call)
    return None


def register_agent() -> Message:
    return Message(
        destination="org.bluez",
        path="/org/bluez",
        interface="org.bluez.AgentManager1",
        member="RegisterAgent",
        signature="os",
        body=["/agent", "NoInputNoOutput"],
    )

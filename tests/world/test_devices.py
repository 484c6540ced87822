"""The devices of a home, heard and read through the real bleak and the adapters."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.scanner import AdvertisementData

from adapters.frame import Frame
from adapters.observation import Kind, Observation
from adapters.registry import read
from deploy.world.bluez import Bluez
from deploy.world.devices import (
    BedSensor,
    BthomeSensor,
    CallButton,
    ClimateSensor,
    DoorSensor,
    HealthThermometer,
    MotionSensor,
    OpeningSensor,
    keep_speaking,
)
from deploy.world.peripheral import BASE_UUID, Advertisement, Peripheral
from tests.world.radio import settle, until

ADDRESS = "A4:C1:38:8D:18:B2"
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")


def as_frame(said: AdvertisementData) -> Frame:
    data = {short(uuid): value for uuid, value in said.service_data.items()}
    return Frame(
        device=ADDRESS,
        heard="advertisement",
        at=0,
        uptime=0.0,
        data=data,
        manufacturer=said.manufacturer_data,
    )


def short(uuid: str) -> str:
    return uuid[4:8] if uuid.endswith(BASE_UUID) else uuid


class Counting:
    """A second box within range, which writes down every broadcast of a call button."""

    def __init__(self, broadcasts: list[bytes]) -> None:
        self.broadcasts = broadcasts

    def hear(self, peripheral: Peripheral, said: Advertisement) -> None:
        del peripheral
        self.broadcasts.extend(said.manufacturer_data.values())

    def lose(self, peripheral: Peripheral) -> None:
        del peripheral


@asynccontextmanager
async def hearing(bluez: Bluez, device: Peripheral) -> AsyncGenerator[list[AdvertisementData]]:
    bluez.add(device)
    heard: list[AdvertisementData] = []
    async with BleakScanner(lambda _, said: heard.append(said)):
        yield heard
        await settle()


def seen(said: AdvertisementData, key: bytes | None = None) -> list[tuple[Kind, float | None]]:
    return [(one.kind, one.value) for one in read(as_frame(said), key=key)]


async def test_each_movement_is_a_new_packet_however_often_it_is_broadcast(bluez: Bluez) -> None:
    motion = MotionSensor(ADDRESS)
    motion.repeats = 1

    async with hearing(bluez, motion) as heard:
        motion.trigger()
        motion.trigger()
        motion.rest()

    values = [value for said in heard for kind, value in seen(said) if kind is Kind.MOTION]
    assert values == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("device", "action", "expected"),
    [
        (DoorSensor(ADDRESS), "open", (Kind.DOOR, 1.0)),
        (DoorSensor(ADDRESS, key=KEY), "close", (Kind.DOOR, 0.0)),
        (OpeningSensor(ADDRESS), "open", (Kind.OPENING, 1.0)),
        (BedSensor(ADDRESS), "enter", (Kind.OCCUPANCY, 1.0)),
        (BedSensor(ADDRESS), "leave", (Kind.OCCUPANCY, 0.0)),
    ],
)
async def test_what_happens_to_a_sensor_is_read_from_the_air(
    bluez: Bluez, device: BthomeSensor, action: str, expected: tuple[Kind, float]
) -> None:
    async with hearing(bluez, device) as heard:
        getattr(device, action)()
        await settle()
        device.heartbeat()

    assert expected in seen(heard[0], device.key)
    assert expected in seen(heard[1], device.key)
    assert (Kind.BATTERY, 90.0) in seen(heard[1], device.key)


async def test_a_rooms_climate_is_read_from_the_air(bluez: Bluez) -> None:
    climate = ClimateSensor(ADDRESS)

    async with hearing(bluez, climate) as heard:
        climate.measure(21.4, 45.0)

    assert {(Kind.TEMPERATURE, 21.4), (Kind.HUMIDITY, 45.0)} <= set(seen(heard[0]))


async def test_a_press_is_broadcast_five_times_with_one_counter(bluez: Bluez) -> None:
    button = CallButton(ADDRESS, battery=12)
    button.apart = 0.01
    broadcasts: list[bytes] = []

    async with hearing(bluez, button) as heard:
        button.centrals.append(Counting(broadcasts))
        button.press()
        await until(lambda: len(broadcasts) == 5)
        button.heartbeat()
        button.test()

    assert len(set(broadcasts[:5])) == 1
    assert [seen(said)[0] for said in heard] == [
        (Kind.CALL_PRESSED, 1.0),
        (Kind.BATTERY, 12.0),
        (Kind.CALL_TEST, 2.0),
    ]
    assert (Kind.BATTERY_LOW, 1.0) in seen(heard[1])


async def test_a_dead_device_says_nothing_not_even_what_it_had_begun(bluez: Bluez) -> None:
    button = CallButton(ADDRESS)
    button.apart = 0.01
    broadcasts: list[bytes] = []
    button.centrals.append(Counting(broadcasts))

    async with hearing(bluez, button) as heard:
        button.press()
        button.dead = True
        button.heartbeat()
        button.press()
        await asyncio.sleep(0.03)

    assert len(heard) == len(broadcasts) == 1


async def test_signs_of_life_come_round(bluez: Bluez) -> None:
    motion, button = MotionSensor(ADDRESS), CallButton("D4:0E:84:00:00:01")
    bluez.add(motion)

    async with hearing(bluez, button) as heard:
        speaking = asyncio.create_task(keep_speaking([motion, button], every=0.02))
        await until(lambda: len(heard) >= 3)
        speaking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await speaking

    assert any(said.service_data for said in heard)
    assert any(said.manufacturer_data for said in heard)


async def test_a_measurement_waits_for_whoever_connects_and_keeps_every_digit(
    bluez: Bluez,
) -> None:
    thermometer = HealthThermometer(ADDRESS, battery=77)
    bluez.add(thermometer)
    indicated: list[Observation] = []

    def on_indication(_: object, value: bytearray) -> None:
        indicated.extend(read(characteristic("2a1c", bytes(value))))

    thermometer.apart = 0.02
    thermometer.measure(37.007)
    thermometer.measure(Decimal("38.5"))
    finding = asyncio.create_task(BleakScanner.find_device_by_address(ADDRESS))
    while not finding.done():  # as in the air: no two broadcasts are equally strong
        thermometer.rssi = -60 if thermometer.rssi < -60 else -61
        thermometer.advertise()
        await asyncio.sleep(0.05)
    device = await finding
    assert device
    async with BleakClient(device) as client:
        await client.start_notify("2a1c", on_indication)
        await until(lambda: len(indicated) == 2)
        battery = await client.read_gatt_char("2a19")

    assert [(one.kind, one.value) for one in indicated] == [
        (Kind.BODY_TEMPERATURE, 37.007),
        (Kind.BODY_TEMPERATURE, 38.5),
    ]
    assert battery == bytes([77])
    assert thermometer.waiting == []


def characteristic(uuid: str, value: bytes) -> Frame:
    return Frame(device=ADDRESS, heard="characteristic", at=0, uptime=0.0, uuid=uuid, value=value)

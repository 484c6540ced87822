"""The real bleak scans through the emulated org.bluez."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
from bleak import BleakScanner
from bleak.args.bluez import BlueZDiscoveryFilters, BlueZScannerArgs, OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakError

from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez
from deploy.world.bluez_faults import Pace, Version
from deploy.world.bluez_objects import DEVICE
from deploy.world.peripheral import Advertisement, Peripheral
from tests.world.radio import settle, until

BTHOME = "0000fcd2-0000-1000-8000-00805f9b34fb"
MOTION = b"\x40\x00\x01\x21\x01"
OTHER = b"\x40\x00\x02\x21\x00"
FLAGS = OrPattern(0, AdvertisementDataType.FLAGS, b"\x06")
BTHOME_DATA = OrPattern(0, AdvertisementDataType.SERVICE_DATA_UUID16, b"\xd2\xfc")

Heard = list[tuple[BLEDevice, AdvertisementData]]


def sensor(number: int = 1, *, flags: int | None = 0x06, rssi: int = -60) -> Peripheral:
    said = Advertisement(flags=flags)
    return Peripheral(f"A4:C1:38:00:00:{number:02X}", rssi=rssi, advertisement=said)


@asynccontextmanager
async def daemon(
    address: str,
    *peripherals: Peripheral,
    version: Version = "5.82",
    experimental: bool = False,
    pace: Pace | None = None,
) -> AsyncGenerator[Bluez]:
    bluez = Bluez(bluez=version, experimental=experimental, pace=pace)
    bluez.add(*peripherals)
    await bluez.start(address)
    try:
        yield bluez
    finally:
        await bluez.stop()


@asynccontextmanager
async def hearing(
    patterns: Sequence[OrPattern] = (), *, duplicates: bool = False
) -> AsyncGenerator[Heard]:
    heard: Heard = []
    scanner = BleakScanner(
        lambda device, said: heard.append((device, said)),
        scanning_mode="passive" if patterns else "active",
        bluez=BlueZScannerArgs(
            or_patterns=[*patterns], filters=BlueZDiscoveryFilters(DuplicateData=duplicates)
        ),
    )
    async with scanner:
        await settle()
        yield heard
        await settle()


async def test_a_broadcast_is_heard_with_all_that_it_says(bluez: Bluez) -> None:
    button = Peripheral(
        "D4:0E:84:00:00:01",
        address_type="random",
        rssi=-71,
        advertisement=Advertisement(name="Knap", service_uuids=("1809",), tx_power=4),
    )
    bluez.add(button)

    async with hearing() as heard:
        button.advertise(service_data={"fcd2": MOTION}, manufacturer_data={0xFFFF: b"TP"})

    [(device, said)] = heard
    assert (device.address, device.name) == ("D4:0E:84:00:00:01", "Knap")
    assert device.details["props"]["AddressType"] == "random"
    assert said.service_data == {BTHOME: MOTION}
    assert said.manufacturer_data == {0xFFFF: b"TP"}
    assert said.service_uuids == ["00001809-0000-1000-8000-00805f9b34fb"]
    assert (said.local_name, said.tx_power, said.rssi) == ("Knap", 4, -71)


async def test_nothing_is_heard_before_the_scan_and_after_it(bluez: Bluez) -> None:
    motion = sensor()
    bluez.add(motion)

    motion.advertise(service_data={"fcd2": MOTION})
    async with hearing() as heard:
        pass
    motion.advertise(service_data={"fcd2": OTHER})
    await settle()

    assert heard == []


@pytest.mark.parametrize(("version", "events"), [("5.66", 6), ("5.82", 1)])
async def test_an_unchanged_advertisement_is_many_events_on_debian_12_and_one_on_13(
    radio: PrivateBus, version: Version, events: int
) -> None:
    motion = sensor()

    async with daemon(radio.address, motion, version=version), hearing() as heard:
        for _ in range(6):
            motion.advertise(service_data={"fcd2": MOTION})

    assert len(heard) == events


async def test_a_scan_that_asks_for_duplicates_hears_each_on_debian_13_too(bluez: Bluez) -> None:
    motion = sensor()
    bluez.add(motion)

    async with hearing(duplicates=True) as heard:
        for _ in range(6):
            motion.advertise(service_data={"fcd2": MOTION})

    assert len(heard) == 6


@pytest.mark.parametrize("version", ["5.66", "5.82"])
async def test_an_unchanged_advertisement_is_one_event_in_a_passive_scan(
    radio: PrivateBus, version: Version
) -> None:
    motion = sensor()

    async with (
        daemon(radio.address, motion, version=version, experimental=True) as bluez,
        hearing([FLAGS]) as heard,
    ):
        await until(lambda: bluez.listens)
        for _ in range(6):
            motion.advertise(service_data={"fcd2": MOTION})

    assert len(heard) == 1


@pytest.mark.parametrize(("version", "events"), [("5.66", 3), ("5.82", 2)])
async def test_company_ids_accumulate_and_going_back_is_no_event_on_debian_13(
    radio: PrivateBus, version: Version, events: int
) -> None:
    thermometer = sensor()

    async with daemon(radio.address, thermometer, version=version), hearing() as heard:
        for company in (0x0001, 0x0002, 0x0001):
            thermometer.advertise(manufacturer_data={company: b"\x01"})

    assert len(heard) == events
    assert heard[-1][1].manufacturer_data == {0x0001: b"\x01", 0x0002: b"\x01"}


async def test_a_stronger_signal_is_an_event_though_the_data_are_the_same(bluez: Bluez) -> None:
    motion = sensor(rssi=-80)
    bluez.add(motion)

    async with hearing() as heard:
        for rssi in (-80, -80, -60):
            motion.rssi = rssi
            motion.advertise()

    assert [said.rssi for _, said in heard] == [-80, -60]


async def test_signal_strength_vanishes_with_the_scan_so_the_next_one_hears_again(
    bluez: Bluez,
) -> None:
    motion = sensor()
    bluez.add(motion)

    async with hearing():
        motion.advertise(service_data={"fcd2": MOTION})
    async with hearing() as heard:
        motion.advertise()

    assert len(heard) == 1


async def test_a_device_long_unheard_is_forgotten_and_returns_as_new(radio: PrivateBus) -> None:
    motion = sensor()

    quickly = Pace(temporary=0.05)
    async with daemon(radio.address, motion, pace=quickly) as bluez, hearing() as heard:
        motion.advertise(manufacturer_data={1: b"\x01"})
        await until(lambda: not bluez.objects.paths(DEVICE))
        motion.advertise(manufacturer_data={2: b"\x02"})

    assert [said.manufacturer_data for _, said in heard] == [{1: b"\x01"}, {2: b"\x02"}]


async def test_a_passive_scan_needs_the_experimental_daemon(bluez: Bluez) -> None:
    assert bluez

    with pytest.raises(BleakError, match="--experimental"):
        async with hearing([FLAGS]):
            pass


async def test_a_passive_scan_hears_devices_with_flags_and_misses_those_without(
    radio: PrivateBus,
) -> None:
    motion, flagless = sensor(1), sensor(2, flags=None)

    async with (
        daemon(radio.address, motion, flagless, experimental=True) as bluez,
        hearing([FLAGS]) as heard,
    ):
        await until(lambda: bluez.listens)
        motion.advertise(service_data={"fcd2": MOTION})
        flagless.advertise(service_data={"fcd2": MOTION})

    assert [device.address for device, _ in heard] == [motion.address]


@pytest.mark.parametrize(("version", "events"), [("5.66", 1), ("5.82", 0)])
async def test_a_passive_scan_for_service_data_hears_nothing_on_debian_13(
    radio: PrivateBus, version: Version, events: int
) -> None:
    motion = sensor()

    async with (
        daemon(radio.address, motion, version=version, experimental=True) as bluez,
        hearing([BTHOME_DATA]) as heard,
    ):
        await until(lambda: bluez.listens)
        motion.advertise(service_data={"fcd2": MOTION})

    assert len(heard) == events


async def test_a_second_scanner_of_the_same_process_is_refused(bluez: Bluez) -> None:
    assert bluez

    async with hearing():
        with pytest.raises(BleakDBusError, match="InProgress"):
            async with hearing():
                pass


async def test_a_scan_is_refused_while_one_is_said_to_be_in_progress(bluez: Bluez) -> None:
    bluez.faults.in_progress = True

    with pytest.raises(BleakDBusError, match="InProgress"):
        async with hearing():
            pass


async def test_a_deaf_adapter_starts_and_hears_nothing_until_its_power_is_cycled(
    bluez: Bluez,
) -> None:
    motion = sensor()
    bluez.add(motion)
    bluez.faults.deaf = True

    async with hearing() as heard:
        motion.advertise(service_data={"fcd2": MOTION})
    assert heard == []

    bluez.power(on=False)
    bluez.power(on=True)
    async with hearing() as heard:
        motion.advertise()
    assert len(heard) == 1


async def test_bleak_recovers_from_one_refused_stop_and_not_from_a_stuck_one(
    bluez: Bluez,
) -> None:
    motion = sensor()
    bluez.add(motion)
    bluez.faults.refused_stops = 1

    async with hearing():
        pass
    async with hearing() as heard:
        motion.advertise()
    assert len(heard) == 1

    bluez.faults.refused_stops = 2
    with pytest.raises(BleakDBusError, match="InProgress"):
        async with hearing():
            pass
    async with hearing() as heard:
        motion.advertise()
    assert heard == []


async def test_no_scan_starts_without_power_or_without_an_adapter(bluez: Bluez) -> None:
    bluez.power(on=False)
    with pytest.raises(BleakBluetoothNotAvailableError, match="powered"):
        async with hearing():
            pass

    bluez.unplug()
    await settle()
    with pytest.raises(BleakBluetoothNotAvailableError, match="No Bluetooth adapters"):
        async with hearing():
            pass

    bluez.plug()
    await settle()
    async with hearing():
        pass


async def test_a_daemon_that_dies_is_silence_without_an_error(bluez: Bluez) -> None:
    motion = sensor()
    bluez.add(motion)
    heard: Heard = []
    scanner = BleakScanner(lambda device, said: heard.append((device, said)))
    await scanner.start()

    await bluez.die()
    motion.advertise()
    await bluez.revive()
    motion.advertise()
    await settle()

    assert heard == []
    with pytest.raises(BleakDBusError, match="No discovery started"):
        await scanner.stop()
    async with hearing() as heard:
        motion.advertise()
    assert len(heard) == 1

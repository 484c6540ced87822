"""The real bleak hears an emulated radio: what is ours is kept, once, and silence is noticed."""

import asyncio
import struct

import pytest

from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez
from deploy.world.peripheral import Characteristic, Peripheral, Service
from edge.keeping.spool import SpoolFailed
from edge.told.config import AfterLast, Plan, Write
from edge.visiting.records import Record
from tests.edge.frames import HandClock
from tests.edge.hearing import PRESSED, SOON, Kept, a_reader, config, device, hearing, left, sensor

MOTION = "A4:C1:38:00:00:01"
BUTTON = "D4:0E:84:00:00:01"
THERMOMETER = "A4:C1:38:00:00:02"
DISPENSER = "A4:C1:38:00:00:03"
NEIGHBOUR = "A4:C1:38:FF:FF:FF"
EVENTS, CONTROL = (f"7a1d000{n}-5a9e-4f0b-9f0c-747279677031" for n in (2, 3))


async def test_what_is_ours_is_kept_and_the_neighbours_is_not(bluez: Bluez) -> None:
    mine, neighbour, call = sensor(MOTION), sensor(NEIGHBOUR), sensor(BUTTON)
    bluez.add(mine, neighbour, call)

    async with hearing(config(device(MOTION))) as kept:
        neighbour.advertise(service_data={"fcd2": b"\x40\x21\x01"})
        mine.advertise(service_data={"fcd2": b"\x40\x21\x01"})
        call.advertise(manufacturer_data=PRESSED)
        await kept.sees(lambda: len(kept.frames) >= 2)

    heard = {frame.device: (lane, frame) for lane, frame in kept.frames}
    assert heard.keys() == {MOTION, BUTTON}
    assert heard[MOTION][0] == "bulk"
    assert heard[MOTION][1].data == {"fcd2": b"\x40\x21\x01"}
    assert heard[BUTTON][0] == "urgent"
    assert kept.states == ["hearing"]


async def test_a_press_that_is_heard_five_times_is_one_frame(bluez: Bluez) -> None:
    call = sensor(BUTTON)
    bluez.add(call)

    async with hearing(config()) as kept:
        for strength in range(5):
            call.rssi = -40 - 10 * strength  # BlueZ reports changes of 8 dB
            call.advertise(manufacturer_data=PRESSED)
            await asyncio.sleep(0.05)
        call.advertise(manufacturer_data={0xFFFF: b"TP\x01\x00\x05\x00\x5a"})
        await kept.sees(lambda: len(kept.frames) >= 2)

    pressed, heartbeat = (frame for _, frame in kept.frames)
    assert (pressed.manufacturer, pressed.repeats) == (PRESSED, 0)
    assert heartbeat.repeats >= 1


async def test_a_new_configuration_is_followed_at_once(bluez: Bluez) -> None:
    mine = sensor(MOTION)
    bluez.add(mine)
    kept = Kept()
    reader = a_reader(kept)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(0.1)

    mine.advertise(service_data={"fcd2": b"\x40\x21\x01"})
    await kept.sees(lambda: kept.states)
    reader.follow(config(device(MOTION)))
    mine.advertise(service_data={"fcd2": b"\x40\x21\x00"})
    await kept.sees(lambda: kept.frames)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [frame.data for _, frame in kept.frames] == [{"fcd2": b"\x40\x21\x00"}]


async def test_silence_is_said_and_a_new_scan_hears_again_after_the_daemon_died(
    bluez: Bluez,
) -> None:
    mine = sensor(MOTION)
    bluez.add(mine)

    async with hearing(config(device(MOTION)), silence=0.5) as kept:
        mine.advertise(service_data={"fcd2": b"\x40\x21\x01"})
        await kept.sees(lambda: kept.frames)
        await bluez.die()
        await kept.sees(lambda: "silent" in kept.states)
        await bluez.revive()
        for number in range(60):
            mine.advertise(service_data={"fcd2": bytes([0x40, 0x21, number])})
            await asyncio.sleep(0.1)
            if kept.states[-1] == "hearing":
                break

    assert kept.states == ["hearing", "silent", "hearing"]


async def test_a_scan_that_starts_and_is_deaf_is_begun_anew(bluez: Bluez) -> None:
    bluez.faults.deaf = True
    mine = sensor(MOTION)
    bluez.add(mine)

    async with hearing(config(device(MOTION)), first=0.3) as kept:
        mine.advertise(service_data={"fcd2": b"\x40\x21\x01"})
        await kept.sees(lambda: kept.states)
        bluez.faults.deaf = False
        for number in range(60):
            mine.advertise(service_data={"fcd2": bytes([0x40, 0x21, number])})
            await asyncio.sleep(0.1)
            if kept.frames:
                break

    assert kept.states == ["silent", "hearing"]


async def test_a_refused_start_is_tried_again(bluez: Bluez) -> None:
    bluez.faults.in_progress = True
    mine = sensor(MOTION)
    bluez.add(mine)

    async with hearing(config(device(MOTION))) as kept:
        await kept.sees(lambda: kept.states)
        bluez.faults.in_progress = False
        for number in range(60):
            mine.advertise(service_data={"fcd2": bytes([0x40, 0x21, number])})
            await asyncio.sleep(0.1)
            if kept.frames:
                break

    assert kept.states == ["silent", "hearing"]


async def test_no_bluetooth_at_all_is_silence_and_not_the_end(radio: PrivateBus) -> None:
    assert radio.address

    async with hearing(config()) as kept:
        await kept.sees(lambda: kept.states)

    assert kept.states == ["silent"]


async def test_a_disk_that_fails_ends_the_reader(bluez: Bluez) -> None:
    call = sensor(BUTTON)
    bluez.add(call)
    kept = Kept(broken=True)
    reader = a_reader(kept)
    reader.follow(config())
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(0.1)

    call.advertise(manufacturer_data=PRESSED)
    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.timeout(SOON):
            await task

    assert ended.group_contains(SpoolFailed)


# -- connections


def thermometer(measured: bytes) -> Peripheral:
    temperature = Characteristic(uuid="2a1c", flags=("indicate",))
    temperature.subscribed = lambda: (
        asyncio.get_running_loop().call_later(0.05, temperature.notify, measured) and None
    )
    battery = Characteristic(uuid="2a19", flags=("read",), value=b"\x5a")
    return sensor(
        THERMOMETER,
        Service(uuid="1809", characteristics=(temperature,)),
        Service(uuid="180f", characteristics=(battery,)),
    )


async def test_a_thermometer_is_visited_when_it_advertises(bluez: Bluez) -> None:
    measured = b"\x04\x6f\x01\x00\xff\x02"
    device_ = thermometer(measured)
    bluez.add(device_)
    plan = Plan(when="advertised", read=("2a19",), subscribe=("2a1c",), listen_seconds=0.5)

    async with hearing(config(device(THERMOMETER, connect=plan))) as kept:
        device_.advertise(service_data={"1809": b"\x01"})
        await kept.sees(lambda: len(kept.frames) >= 2)
        await left(device_)

    said = {frame.uuid: frame for _, frame in kept.frames}
    assert (said["2a19"].value, said["2a1c"].value) == (b"\x5a", measured)
    assert {frame.heard for frame in said.values()} == {"characteristic"}


class Store:
    """The reference dispenser as far as a visit can tell: it stores records and sends them."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)
        self.asked = list[int]()
        self.times = list[int]()
        self.events = Characteristic(uuid=EVENTS, flags=("notify", "read"))
        self.control = Characteristic(uuid=CONTROL, flags=("write",), written=self.told)
        both = (self.events, self.control)
        self.peripheral = sensor(DISPENSER, Service(uuid=CONTROL, characteristics=both))

    def told(self, value: bytes) -> None:
        number = struct.unpack("<I", value[1:5])[0]
        if value[0] == 2:
            self.times.append(number)
            return
        self.asked.append(number)
        for sent in [n for n in self.numbers if n >= number] + [0xFFFFFFFF]:
            self.events.notify(struct.pack("<I12x", sent))

    def advertise(self) -> None:
        newest = struct.pack("<I", self.numbers[-1])
        self.peripheral.advertise(service_data={"fcd2": newest})


PLAN = Plan(
    when="advertised",
    seconds=0.2,
    subscribe=(EVENTS,),
    write=(
        Write(uuid=CONTROL, value=b"\x02", clock="unix32le"),
        Write(uuid=CONTROL, value=b"\x01\0\0\0\0", after_last=AfterLast(offset=1)),
    ),
)


async def test_a_dispenser_is_asked_from_the_last_stored_record_on_and_that_one_is_dropped(
    bluez: Bluez,
) -> None:
    store = Store(1, 2, 3)
    bluez.add(store.peripheral)

    async with hearing(config(device(DISPENSER, lane="urgent", connect=PLAN))) as kept:
        store.advertise()
        await kept.sees(lambda: kept.notes)
        await left(store.peripheral)
        store.numbers += [4, 5]
        store.advertise()
        last = Record(5, struct.pack("<I12x", 5)).note()
        await kept.sees(lambda: kept.notes == {f"record {DISPENSER}": last})

    records = [int.from_bytes(frame.value[:4], "little") for _, frame in kept.frames]
    assert store.asked == [1, 3]
    assert [number for number in records if number != 0xFFFFFFFF] == [1, 2, 3, 4, 5]
    assert store.times[0] == HandClock().ms // 1000
    assert {lane for lane, _ in kept.frames} == {"urgent"}


async def test_a_device_that_does_not_answer_does_not_hold_the_radio(bluez: Bluez) -> None:
    bluez.faults.gatt_in_progress = True
    device_, mine = thermometer(b""), sensor(MOTION)
    bluez.add(device_, mine)
    plan = Plan(when="advertised", read=("2a19",))

    following = config(device(THERMOMETER, connect=plan), device(MOTION))
    async with hearing(following, step=0.3) as kept:
        device_.advertise(service_data={"1809": b"\x01"})
        await asyncio.sleep(0.2)
        mine.advertise(service_data={"fcd2": b"\x40\x21\x01"})
        await kept.sees(lambda: kept.frames)
        await left(device_)

    assert [frame.device for _, frame in kept.frames] == [MOTION]

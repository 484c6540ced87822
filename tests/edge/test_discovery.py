"""Asked what else is in the air, the box tells it and keeps nothing of it."""

import asyncio

from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez
from deploy.world.peripheral import Advertisement, Peripheral
from edge.told.discovery import MOST, Sighting, Window
from tests.edge.hearing import Kept, Said, a_reader, config, device, sensor

MOTION = "A4:C1:38:00:00:01"
NEIGHBOUR = "A4:C1:38:FF:FF:FF"


async def test_a_discovery_tells_of_all_in_the_air_and_keeps_only_what_is_ours(
    bluez: Bluez,
) -> None:
    mine, neighbour = sensor(MOTION), sensor(NEIGHBOUR)
    bluez.add(mine, neighbour)
    kept = Kept()
    reader = a_reader(kept)
    reader.follow(config(device(MOTION)))
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(0.1)

    neighbour.advertise(manufacturer_data={0x0075: b"before"})
    asked = asyncio.create_task(reader.discover(0.3))
    await asyncio.sleep(0.05)
    neighbour.rssi = -40
    neighbour.advertise(service_data={"fcd2": b"\x40\x21\x01"})
    mine.advertise(service_data={"fcd2": b"\x40\x21\x01"})
    found = await asked
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [seen.address for seen in found] == [NEIGHBOUR, MOTION]
    assert found[0] == Sighting(
        address=NEIGHBOUR,
        rssi=-40,
        name=None,
        services=("fcd2",),
        companies=(0x0075,),
        times=found[0].times,
        address_type="public",
    )
    assert {frame.device for _, frame in kept.frames} == {MOTION}


async def test_a_discovery_that_is_given_up_leaves_nothing_behind() -> None:
    reader = a_reader(Kept())

    asked = asyncio.create_task(reader.discover(60))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)

    assert not reader._windows  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def test_a_stairway_of_random_addresses_does_not_fill_the_memory() -> None:
    window = Window()

    for number in range(2 * MOST):
        window.hear({"Address": f"{number:012X}", "RSSI": -100 + number % 50})

    sightings = window.sightings()
    assert len(sightings) == MOST
    assert [seen.rssi for seen in sightings] == sorted(
        (seen.rssi for seen in sightings), key=lambda rssi: -(rssi or 0)
    )


def test_the_device_in_the_hand_is_there_however_many_were_heard_before_it() -> None:
    window = Window()
    for number in range(2 * MOST):
        window.hear({"Address": f"{number:012X}", "RSSI": -90})

    window.hear({"Address": MOTION, "RSSI": -20})
    window.hear({"Address": "F" * 12})

    sightings = window.sightings()
    assert (sightings[0].address, len(sightings)) == (MOTION, MOST)
    assert {seen.rssi for seen in sightings[1:]} == {-90}, "who says no strength takes no place"


def test_the_strongest_hearing_of_a_device_counts() -> None:
    window = Window()

    for rssi in (-70, -50, -90):
        window.hear({"Address": MOTION, "RSSI": rssi})

    [seen] = window.sightings()
    assert (seen.rssi, seen.times) == (-50, 3)


async def test_a_passive_scan_makes_room_for_a_discovery_and_is_taken_up_again(
    radio: PrivateBus,
) -> None:
    bluez, said = Bluez(experimental=True), Said()
    mine, flagless = sensor(MOTION), sensor(NEIGHBOUR)
    mine.advertisement = Advertisement(flags=0x06)
    flagless.advertisement = Advertisement(flags=None)
    bluez.add(mine, flagless)
    await bluez.start(radio.address)
    reader = a_reader(Kept(), say=said, trial=0.2)
    reader.follow(config(device(MOTION), calls=()))
    tasks = [asyncio.create_task(work) for work in (reader.run(), _speak(mine, flagless))]
    try:
        await said.times("radio.mode", 1)
        found = await reader.discover(0.5)
        await said.times("radio.mode", 3)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bluez.stop()

    modes = [(told["mode"], told["why"]) for word, told in said.events if word == "radio.mode"]
    assert modes == [
        ("passive", "passive_hears_all"),
        ("active", "discovery"),
        ("passive", "passive_hears_all"),
    ]
    assert {seen.address for seen in found} == {MOTION, NEIGHBOUR}


async def _speak(*air: Peripheral) -> None:
    for number in range(1_000):
        for peripheral in air:
            peripheral.advertise(service_data={"fcd2": bytes([number % 256])})
        await asyncio.sleep(0.03)

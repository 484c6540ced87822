"""Passive scanning has to prove itself; active is what the box falls back to."""

import asyncio

import pytest

from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez
from deploy.world.bluez_faults import Version
from deploy.world.peripheral import Advertisement, Peripheral
from edge.hearing.mode import Probe
from edge.told.config import Call, Config
from tests.edge.hearing import CALLS, Kept, Said, a_reader, config, device

ONE, OTHER = "A4:C1:38:00:00:01", "A4:C1:38:00:00:02"


@pytest.mark.parametrize(
    ("actively", "passively", "repeats", "calls", "why"),
    [
        ("", "", False, (), "nothing_placed_heard"),
        ("ab", "a", True, (), "passive_misses_devices"),
        ("a", "ab", False, CALLS, "passive_misses_repeats"),
        ("a", "ab", True, CALLS, "passive_hears_all"),
        ("ab", "ab", False, (), "passive_hears_all"),
    ],
)
def test_passive_is_chosen_only_when_it_misses_nothing(
    *, actively: str, passively: str, repeats: bool, calls: tuple[Call, ...], why: str
) -> None:
    probe = Probe(set(actively), set(passively), told_repeats=repeats)

    verdict = probe.verdict(config(device("a"), device("b"), calls=calls))

    assert verdict.why == why
    assert verdict.mode == ("passive" if why == "passive_hears_all" else "active")


def speaks(address: str, *, flags: int | None = 0x06) -> Peripheral:
    return Peripheral(address, advertisement=Advertisement(flags=flags))


async def settled(bus: PrivateBus, bluez: Bluez, following: Config, *air: Peripheral) -> Said:
    """What the box said of its mode, while the devices speak."""
    said = Said()
    bluez.add(*air)
    await bluez.start(bus.address)
    reader = a_reader(Kept(), say=said)
    reader.follow(following)
    task = asyncio.create_task(reader.run())
    try:
        for number in range(60):
            if "radio.mode" in said.words():
                break
            for peripheral in air:
                peripheral.advertise(service_data={"fcd2": bytes([number])})
            await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bluez.stop()
    assert reader.mode == said.last("radio.mode")["mode"]
    return said


@pytest.mark.parametrize("version", ["5.66", "5.82"])
async def test_without_the_experimental_daemon_the_box_scans_actively(
    radio: PrivateBus, version: Version
) -> None:
    said = await settled(radio, Bluez(bluez=version), config(device(ONE)), speaks(ONE))

    assert said.last("radio.mode") == {"mode": "active", "why": "passive_refused"}


@pytest.mark.parametrize("version", ["5.66", "5.82"])
async def test_a_passive_scan_that_hears_all_placed_devices_is_kept(
    radio: PrivateBus, version: Version
) -> None:
    bluez = Bluez(bluez=version, experimental=True)
    following = config(device(ONE), device(OTHER), calls=())

    said = await settled(radio, bluez, following, speaks(ONE), speaks(OTHER))

    assert said.last("radio.mode") == {"mode": "passive", "why": "passive_hears_all"}


async def test_a_passive_scan_that_misses_a_device_without_flags_is_left(
    radio: PrivateBus,
) -> None:
    bluez = Bluez(experimental=True)
    following = config(device(ONE), device(OTHER), calls=())

    said = await settled(radio, bluez, following, speaks(ONE), speaks(OTHER, flags=None))

    assert said.last("radio.mode") == {"mode": "active", "why": "passive_misses_devices"}


async def test_where_presses_are_listened_for_a_scan_that_tells_each_byte_once_is_left(
    radio: PrivateBus,
) -> None:
    bluez = Bluez(experimental=True)

    said = await settled(radio, bluez, config(device(ONE)), speaks(ONE))

    assert said.last("radio.mode") == {"mode": "active", "why": "passive_misses_repeats"}

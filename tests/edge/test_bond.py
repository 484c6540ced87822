"""A device is paired once, and a reconnect proves it; a lost bond is said and made anew."""

import pytest

from deploy.world.bluez import Bluez
from deploy.world.health import Cuff
from edge.bluez.bus import Refused
from edge.told.config import Plan
from edge.visiting.bond import MOST_PAIRINGS, Bonds
from edge.visiting.connection import VisitFailed
from tests.edge.hearing import Kept, Said, config, device, hearing, left, sensor

CUFF, SENSOR = "C8:2B:96:00:00:31", "C8:2B:96:00:00:32"
PAIRED = Plan(
    when="advertised",
    seconds=0.05,
    read=("2a19",),
    subscribe=("2a35",),
    listen_seconds=0.1,
    pair=True,
)
FOLLOWED = config(device(CUFF, connect=PAIRED), device(SENSOR))
STEP = 0.6


async def visited(cuff: Cuff, kept: Kept, times: int = 1) -> None:
    """Its battery, which only a bond opens, has been read so many times."""
    cuff.announce()
    await kept.sees(lambda: len([1 for _, frame in kept.frames if frame.uuid == "2a19"]) >= times)
    await left(cuff)


async def test_a_device_is_paired_once_and_the_bond_is_proved_by_a_reconnect(bluez: Bluez) -> None:
    cuff, said = Cuff(CUFF, bonded=True), Said()
    bluez.add(cuff)

    async with hearing(FOLLOWED, say=said, step=STEP) as kept:
        await visited(cuff, kept)
        await said.hears("device.bonded")
    async with hearing(FOLLOWED, say=said, step=STEP, kept=kept):  # the agent starts anew
        await visited(cuff, kept, 2)
    await bluez.die()
    await bluez.revive()
    async with hearing(FOLLOWED, say=said, step=STEP, kept=kept):
        await visited(cuff, kept, 3)

    assert cuff.pairings == 1
    assert said.words().count("device.bonded") == 1
    assert "device.bond_lost" not in said.words()
    assert kept.notes[f"bond {CUFF}"] == "proved"


async def test_a_device_that_has_forgotten_us_is_paired_anew_and_both_are_said(
    bluez: Bluez,
) -> None:
    cuff, said = Cuff(CUFF, bonded=True), Said()
    bluez.add(cuff)

    async with hearing(FOLLOWED, say=said, step=STEP) as kept:
        await visited(cuff, kept)
        cuff.has_keys = False
        cuff.advertise(manufacturer_data={0xFFFE: b"again"})
        await said.hears("device.bond_lost")
        await left(cuff)
        cuff.advertise(times=5, apart=0.2)
        await said.times("device.bonded", 2)

    words = [word for word in said.words() if "bond" in word]
    assert words == ["device.bonded", "device.bond_lost", "device.bonded"]
    assert said.last("device.bond_lost") == {"device": CUFF, "why": "keys_refused"}
    assert cuff.pairings == 2


async def test_a_device_that_will_not_pair_is_tried_few_times_and_holds_nobody_up(
    bluez: Bluez,
) -> None:
    cuff, said, other = Cuff(CUFF, bonded=True), Said(), sensor(SENSOR)
    cuff.pairable = False
    bluez.add(cuff, other)

    async with hearing(FOLLOWED, say=said, step=STEP) as kept:
        cuff.announce(times=3)
        other.advertise(service_data={"fcd2": b"\x40\x21\x01"})
        await kept.sees(lambda: kept.frames)

    assert cuff.pairings == 0
    assert "device.bonded" not in said.words()


class Unpaired:
    """A device that BlueZ has no keys of, as far as a bond can tell."""

    path = "/org/bluez/hci0/dev_C8_2B_96_00_00_31"
    bonded = False
    pairings = 0

    async def is_bonded(self) -> bool:
        return self.bonded

    async def pair(self) -> None:
        self.pairings += 1


async def test_a_bond_that_is_lost_again_and_again_is_not_made_in_a_loop() -> None:
    said, kept, client = Said(), Kept(), Unpaired()
    bonds = Bonds(kept, said, refuse)

    for now in range(MOST_PAIRINGS):
        assert await bonds.made(CUFF, client, float(now))
    with pytest.raises(VisitFailed, match="already"):
        await bonds.made(CUFF, client, 100.0)
    assert await bonds.made(CUFF, client, 3_601.0)
    assert client.pairings == MOST_PAIRINGS + 1


async def test_keys_that_bluez_has_lost_are_said_and_one_refusal_costs_none() -> None:
    said, kept, client = Said(), Kept(), Unpaired()
    bonds = Bonds(kept, said, refuse)
    bonds.proved(CUFF)

    await bonds.refused(CUFF, client)
    bonds.proved(CUFF)
    await bonds.refused(CUFF, client)
    assert said.words() == ["device.bonded"]

    await bonds.made(CUFF, client, 0.0)
    assert said.last("device.bond_lost") == {"device": CUFF, "why": "not_here"}


async def refuse(_: str) -> None:
    raise Refused("NotReady")

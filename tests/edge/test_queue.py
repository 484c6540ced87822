"""Whatever hangs in a visit, the queue for connections serves the next device."""

import asyncio

from deploy.world.bluez import Bluez
from deploy.world.peripheral import Characteristic, Peripheral, Service
from edge.told.config import Plan, Racp, SetClock, Write
from tests.edge.hearing import SOON, config, device, hearing, left, sensor

STEP = 0.1
OPERATIONS = (
    ("Connect",),
    ("Connect", "Disconnect"),
    ("Disconnect",),
    ("GetAll",),
    ("Pair",),
    ("StartNotify",),
    ("WriteValue",),
    ("ReadValue",),
)
NEXT = "C8:2B:96:00:00:FF"
PLAN = Plan(
    when="advertised",
    seconds=60,
    pair=True,
    subscribe=("2a35",),
    write=(Write(uuid="2aff", value=b"\x01"),),
    read=("2a19",),
    listen_seconds=0.02,
    set_clock=SetClock(uuid="2a2b", form="current_time"),
)


def complete(address: str) -> Peripheral:
    """A device with all that the plan asks for."""
    return sensor(
        address,
        Service(
            uuid="1810",
            characteristics=(
                Characteristic(uuid="2a35", flags=("indicate",)),
                Characteristic(uuid="2aff", flags=("write",)),
                Characteristic(uuid="2a19", flags=("read",), value=b"\x5a"),
                Characteristic(uuid="2a2b", flags=("read", "write"), value=bytes(10)),
            ),
        ),
    )


async def test_each_operation_in_turn_hangs_for_ever_and_the_next_device_has_its_turn(
    bluez: Bluez,
) -> None:
    hung = {f"C8:2B:96:00:00:{n:02X}": methods for n, methods in enumerate(OPERATIONS, 1)}
    bluez.faults.hung = frozenset((m, at) for at, methods in hung.items() for m in methods)
    devices = [complete(address) for address in (*hung, NEXT)]
    bluez.add(*devices)

    following = config(*(device(each.address, connect=PLAN) for each in devices))
    async with hearing(following, step=STEP) as kept:
        for each in devices:
            each.advertise(service_data={"1810": b"\x01"})
        async with asyncio.timeout(2 * SOON):
            await kept.sees(lambda: any(frame.device == NEXT for _, frame in kept.frames))
        heard = {frame.device for _, frame in kept.frames}
        assert devices[-1].pairings

    # a link that does not end costs the visit nothing: the next one, over the same link, goes well
    assert heard - {at for at, methods in hung.items() if methods == ("Disconnect",)} == {NEXT}


async def test_connections_are_made_while_scanning_and_when_the_radio_is_busy_again_later(
    bluez: Bluez,
) -> None:
    one, other = complete("C8:2B:96:00:00:01"), sensor("C8:2B:96:00:00:02")
    bluez.add(one, other)

    following = config(device(one.address, connect=PLAN), device(other.address))
    async with hearing(following, step=STEP) as kept:
        bluez.faults.in_progress = True
        one.advertise(service_data={"1810": b"\x01"})
        await asyncio.sleep(0.3)
        other.advertise(service_data={"fcd2": b"\x40\x21\x01"})
        await kept.sees(lambda: kept.frames)
        assert [frame.device for _, frame in kept.frames] == [other.address]
        bluez.faults.in_progress = False
        await kept.sees(lambda: len(kept.frames) > 1)
        assert bluez.listens

    assert {frame.device for _, frame in kept.frames} == {one.address, other.address}


async def test_a_device_whose_link_did_not_end_is_visited_again_and_let_go(bluez: Bluez) -> None:
    one = complete(NEXT)
    bluez.add(one)
    bluez.faults.hung = frozenset({("Disconnect", NEXT)})

    async with hearing(config(device(NEXT, connect=PLAN)), step=STEP) as kept:
        one.advertise(service_data={"1810": b"\x01"})
        await kept.sees(lambda: kept.frames)
        bluez.faults.hung = frozenset()
        await left(one)


async def test_a_download_that_never_ends_is_given_up_and_the_next_device_has_its_turn(
    bluez: Bluez,
) -> None:
    endless, told = Characteristic(uuid="2a18", flags=("notify",)), [0]

    def go_on() -> None:
        told[0] += 1
        endless.notify(b"\x00" + told[0].to_bytes(4, "little"))
        asyncio.get_running_loop().call_later(0.01, go_on)

    control = Characteristic(
        uuid="2a52", flags=("write", "indicate"), written=lambda _: None if told[0] else go_on()
    )
    meter = sensor("C8:2B:96:00:00:01", Service(uuid="1808", characteristics=(endless, control)))
    other = complete(NEXT)
    bluez.add(meter, other)
    racp = Racp(service="1808", records=("2a18",), seconds=0.5)
    asked = Plan(when="advertised", racp=racp)

    following = config(device(meter.address, connect=asked), device(NEXT, connect=PLAN))
    async with hearing(following, step=STEP) as kept:
        meter.advertise(service_data={"1808": b"\x01"})
        await kept.sees(lambda: kept.frames)
        other.advertise(service_data={"1810": b"\x01"})
        await kept.sees(lambda: any(frame.device == NEXT for _, frame in kept.frames))

"""A flood of calls from devices placed nowhere here fills no card; our own are all heard."""

import asyncio

from deploy.world.bluez import Bluez
from edge.hearing.strangers import DEVICES, FRAMES, KNOWN, MINUTE, TELLING, Strangers
from tests.edge.hearing import config, device, hearing, sensor

MINE = "D4:0E:84:00:00:01"


def stranger(number: int) -> str:
    return f"D4:0E:85:00:{number // 256:02X}:{number % 256:02X}"


def pressed(counter: int) -> dict[int, bytes]:
    return {0xFFFF: b"TP\x01\x01" + counter.to_bytes(2, "little") + b"\x5a"}


def test_a_stranger_is_heard_ten_times_a_minute() -> None:
    strangers = Strangers()

    first = [strangers.admit(MINE, second) for second in range(20)]
    later = [strangers.admit(MINE, MINUTE + second) for second in range(20)]

    assert first == [True] * FRAMES + [False] * 10
    assert later == [True] * FRAMES + [False] * 10


def test_a_thousand_strangers_are_as_many_as_there_are_places() -> None:
    strangers = Strangers()

    admitted = [strangers.admit(stranger(n), n / 100) for n in range(1_000)]

    assert sum(admitted) == len(strangers) == DEVICES
    assert admitted[:DEVICES] == [True] * DEVICES


def test_a_place_is_free_again_when_its_device_has_gone_and_one_that_still_speaks_keeps_it() -> (
    None
):
    strangers = Strangers()
    for number in range(DEVICES):
        strangers.admit(stranger(number), 0)
    strangers.admit(stranger(0), KNOWN - 1)

    admitted = [strangers.admit(stranger(DEVICES + n), KNOWN) for n in range(DEVICES)]

    assert admitted == [True] * (DEVICES - 1) + [False]
    assert strangers.admit(stranger(0), KNOWN)


def test_what_was_refused_is_told_once_an_hour_with_its_number() -> None:
    strangers, told = Strangers(), list[int | None]()
    for second in range(int(TELLING) + 120):
        strangers.admit(MINE, second)
        told.append(strangers.complaint(second))

    numbers = [number for number in told if number is not None]
    assert len(numbers) == 2
    assert numbers[0] == 1
    assert sum(numbers) <= TELLING * (1 - FRAMES / MINUTE) + 1


async def test_in_a_flood_of_strangers_every_press_of_a_listed_button_is_kept(
    bluez: Bluez,
) -> None:
    flood = [sensor(stranger(number)) for number in range(DEVICES + 8)]
    mine = sensor(MINE)
    bluez.add(mine, *flood)

    async with hearing(config(device(MINE, lane="urgent"))) as kept:
        for counter in range(FRAMES + 5):
            for each in flood:
                each.advertise(manufacturer_data=pressed(counter))
            mine.advertise(manufacturer_data=pressed(counter))
            await asyncio.sleep(0.02)
        await kept.sees(lambda: len([f for _, f in kept.frames if f.device == MINE]) == FRAMES + 5)
        await asyncio.sleep(0.3)

    theirs = [frame.device for _, frame in kept.frames if frame.device != MINE]
    assert len(set(theirs)) == DEVICES
    assert {theirs.count(each) for each in theirs} == {FRAMES}

"""What health devices stored is fetched once, by their control point or as they tell it."""

import asyncio
from datetime import datetime
from decimal import Decimal

import pytest

from deploy.world.bluez import Bluez
from deploy.world.health import Cuff
from deploy.world.health_bytes import Glucose, GlucoseContext, SpotCheck, date_time
from deploy.world.health_records import GlucoseMeter, Oximeter
from deploy.world.peripheral import Peripheral
from edge.told.config import Numbered, Plan, Racp, SetClock
from edge.visiting.racp import MOST
from tests.edge.hearing import Kept, config, device, hearing, left

METER, OXIMETER, CUFF = "C8:2B:96:00:00:21", "C8:2B:96:00:00:22", "C8:2B:96:00:00:23"
MORNING = datetime(2026, 9, 21, 7, 30)  # noqa: DTZ001 - as a device shows it
GLUCOSE = Racp(
    service="1808",
    records=("2a18", "2a34"),
    number=Numbered(record="2a18", offset=1),
    quiet_seconds=0.3,
)
SPOTS = Racp(service="1822", records=("2a5e",), quiet_seconds=0.3)
CLOCK = SetClock(uuid="2a2b", form="current_time")
ALL = "0101"


def plan(racp: Racp | None = None, *, clock: SetClock | None = None) -> Plan:
    return Plan(when="advertised", seconds=0.05, racp=racp, set_clock=clock)


def sugars(first: int, last: int) -> list[Glucose]:
    """Every second one has a context."""
    meal = GlucoseContext(meal=1)
    return [
        Glucose(number=n, at=MORNING, concentration=Decimal(5), context=None if n % 2 else meal)
        for n in range(first, last + 1)
    ]


def heard(kept: Kept, uuid: str) -> list[bytes]:
    return [frame.value for _, frame in kept.frames if frame.uuid == uuid]


def numbers(kept: Kept, uuid: str = "2a18") -> list[int]:
    return [int.from_bytes(value[1:3], "little") for value in heard(kept, uuid)]


async def visited(peripheral: Peripheral, kept: Kept, note: str) -> None:
    """It calls for a visit, and is left with another note than before."""
    before = kept.notes.get(note)
    peripheral.advertise(manufacturer_data={0xFFFE: bytes([len(kept.frames) % 256])})
    await kept.sees(lambda: kept.notes.get(note) != before)
    await left(peripheral)


async def many(peripheral: Peripheral, kept: Kept, count: int) -> None:
    """It calls for a visit, and is left when so many frames are here; they take their time."""
    peripheral.advertise(manufacturer_data={0xFFFE: bytes([len(kept.frames) % 256])})
    async with asyncio.timeout(50):
        while len(kept.frames) < count:  # noqa: ASYNC110 - each frame is an event, and it is many
            await asyncio.sleep(0.05)
    await left(peripheral)


async def test_fifty_records_and_their_contexts_come_once_and_then_only_the_new(
    bluez: Bluez,
) -> None:
    meter = GlucoseMeter(METER)
    bluez.add(meter)
    meter.measure(*sugars(1, 50))

    async with hearing(config(device(METER, connect=plan(GLUCOSE)))) as kept:
        await visited(meter, kept, f"racp {METER}")
        assert numbers(kept) == [*range(1, 51)]
        await asyncio.sleep(0.1)
        meter.measure(*sugars(51, 53))
        await visited(meter, kept, f"racp {METER}")

    assert numbers(kept) == [*range(1, 54)]
    assert numbers(kept, "2a34") == [*range(2, 53, 2)]
    assert [asked.hex() for asked in meter.asked] == [ALL, "0103013200"]
    assert {frame.uuid for _, frame in kept.frames} == {"2a18", "2a34"}


async def test_a_device_that_falls_silent_amid_its_records_is_asked_for_the_rest(
    bluez: Bluez,
) -> None:
    meter = GlucoseMeter(METER)
    bluez.add(meter)
    meter.measure(*sugars(1, 30))
    quick, meter.pause = meter.pause, 0.01
    asyncio.get_running_loop().call_later(0.5, setattr, meter, "pause", 60.0)
    following = config(device(METER, connect=plan(GLUCOSE)))

    async with hearing(following) as kept:
        await visited(meter, kept, f"racp {METER}")
    got = len(numbers(kept))
    assert 0 < got < 30
    assert meter.asked[-1].hex() == "0300"
    meter.pause = quick
    async with hearing(following, kept=kept):
        await visited(meter, kept, f"racp {METER}")

    assert numbers(kept) == [*range(1, 31)]


async def test_records_without_numbers_are_asked_for_all_and_kept_once(bluez: Bluez) -> None:
    clip = Oximeter(OXIMETER)
    bluez.add(clip)

    def spots(first: int, count: int) -> list[SpotCheck]:
        return [
            SpotCheck(saturation=Decimal(90 + n), pulse=Decimal(60), at=MORNING)
            for n in range(first, first + count)
        ]

    clip.measure(*spots(0, 3))
    async with hearing(config(device(OXIMETER, connect=plan(SPOTS)))) as kept:
        await visited(clip, kept, f"racp {OXIMETER}")
        await asyncio.sleep(0.1)
        clip.measure(*spots(3, 2))
        await visited(clip, kept, f"racp {OXIMETER}")

    expected = [one.octets() for one in spots(0, 5)]
    assert heard(kept, "2a5e") == expected
    assert [asked.hex() for asked in clip.asked] == [ALL, ALL]


async def test_more_records_than_a_visit_takes_are_stopped_and_the_rest_comes_at_the_next(
    bluez: Bluez,
) -> None:
    clip = Oximeter(OXIMETER)
    clip.pause = 0.0005
    bluez.add(clip)
    spots = [
        SpotCheck(saturation=Decimal(n % 100), pulse=Decimal(n // 100), at=MORNING)
        for n in range(MOST + 200)
    ]
    clip.measure(*spots)

    async with hearing(config(device(OXIMETER, connect=plan(SPOTS)))) as kept:
        await many(clip, kept, MOST)
        first = len(heard(kept, "2a5e"))
        await asyncio.sleep(0.1)
        await many(clip, kept, len(spots))

    assert first == MOST
    assert heard(kept, "2a5e") == [one.octets() for one in spots]
    assert [asked.hex() for asked in clip.asked] == [ALL, "0300", ALL]


async def test_a_cuff_is_left_a_while_after_its_last_value_and_then_its_clock_is_set(
    bluez: Bluez,
) -> None:
    cuff = Cuff(CUFF)
    bluez.add(cuff)
    values = [bytes([0x1E, n]) for n in range(12)]
    cuff.measure(*values)
    sending = Plan(
        when="advertised",
        subscribe=("2a35",),
        listen_seconds=30,
        quiet_seconds=0.3,
        set_clock=CLOCK,
    )

    async with hearing(config(device(CUFF, connect=sending))) as kept:
        began = asyncio.get_running_loop().time()
        cuff.announce()
        await kept.sees(lambda: len(heard(kept, "2a35")) == 12)
        assert cuff.clock_said == []
        await left(cuff)

    assert heard(kept, "2a35") == values
    assert asyncio.get_running_loop().time() - began < 5
    # 1 790 000 000 is 14:13:20 UTC on a Monday in summer
    assert [said.hex() for said in cuff.clock_said] == ["ea070915100d14010000"]


@pytest.mark.parametrize(
    ("shows", "sure", "set_"),
    [
        (datetime(2026, 9, 21, 16, 13, 0), True, False),  # noqa: DTZ001 - 20 s behind
        (datetime(2026, 9, 21, 14, 13, 20), True, True),  # noqa: DTZ001 - it shows UTC
        (None, True, True),
        (None, False, False),
    ],
)
async def test_a_clock_is_set_if_it_is_off_and_ours_is_right(
    bluez: Bluez, shows: datetime | None, *, sure: bool, set_: bool
) -> None:
    meter = GlucoseMeter(METER)
    bluez.add(meter)
    meter.services[1].characteristics[0].value = date_time(shows) + bytes(3)

    kept = Kept()
    kept.clock.sure = sure
    async with hearing(config(device(METER, connect=plan(GLUCOSE, clock=CLOCK))), kept=kept):
        meter.announce()
        while not meter.asked:  # noqa: ASYNC110 - knows no event
            await asyncio.sleep(0.02)
        await left(meter)

    assert bool(meter.clock_said) == set_

"""A device is called silent by its own rhythm, and only where that can be told honestly."""

import asyncio
from collections.abc import Iterable

import pytest

from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez
from deploy.world.bluez_faults import Pace
from edge.hearing.rhythm import ENOUGH, Rhythm
from edge.hearing.silence import Silence
from tests.edge.hearing import Kept, Said, a_reader, config, device, sensor

MOTION = "A4:C1:38:00:00:01"
OTHER = "A4:C1:38:00:00:02"


def heard(rhythm: Rhythm, times: Iterable[float], address: str = MOTION) -> Rhythm:
    for at in times:
        rhythm.hear(address, at)
    return rhythm


def steady(every: float, count: int = 40) -> list[float]:
    return [every * number for number in range(count)]


@pytest.mark.parametrize(("every", "usual"), [(0.25, 10.0), (30.0, 30.0), (600.0, 600.0)])
def test_a_steady_device_has_its_interval_for_a_rhythm(every: float, usual: float) -> None:
    assert heard(Rhythm(), steady(every, 800)).usual(MOTION) == pytest.approx(usual)


def test_a_device_that_speaks_when_it_is_pressed_has_none() -> None:
    presses = [0.0, 300, 9_000, 9_060, 20_000, 20_600, 50_000, 50_030, 51_000, 70_000]
    repeats = [press + 0.3 * repeat for press in presses for repeat in range(5)]

    rhythm = heard(Rhythm(), repeats)

    assert rhythm.usual(MOTION) is None
    assert rhythm.silence(MOTION, 1e6) is None


def test_what_is_heard_more_seldom_than_each_hour_has_none() -> None:
    assert heard(Rhythm(), steady(7_200.0)).usual(MOTION) is None


def test_nothing_is_said_of_a_device_before_enough_is_known() -> None:
    assert heard(Rhythm(), steady(30.0, ENOUGH)).usual(MOTION) is None
    assert heard(Rhythm(), steady(30.0, ENOUGH + 1)).usual(MOTION) == 30.0


def test_three_missed_gaps_are_silence_and_a_single_one_is_not() -> None:
    rhythm = heard(Rhythm(), steady(60.0))
    last = 60.0 * 39

    assert rhythm.silence(MOTION, last + 180) is None
    assert rhythm.silence(MOTION, last + 181) == 181


def test_a_connection_is_neither_a_gap_nor_a_silence() -> None:
    rhythm = heard(Rhythm(), steady(60.0))

    rhythm.excuse(MOTION, 5_000.0)

    assert rhythm.silence(MOTION, 5_100.0) is None
    assert rhythm.usual(MOTION) == 60.0


def test_random_addresses_do_not_fill_the_memory() -> None:
    rhythm = Rhythm(devices=10)

    for number in range(1_000):
        rhythm.hear(f"{number:012X}", float(number))

    assert len(rhythm) == 10


def silence(*, told_repeats: bool) -> Silence:
    return Silence(rhythm=heard(Rhythm(), steady(60.0)), told_repeats=told_repeats)


LATE = 60.0 * 39 + 500


def test_a_silence_is_said_once_and_its_end_once() -> None:
    quiet = silence(told_repeats=True)

    first = quiet.look({MOTION}, LATE, lambda _: True)
    again = quiet.look({MOTION}, LATE + 30, lambda _: True)
    quiet.rhythm.hear(MOTION, LATE + 40)
    back = quiet.look({MOTION}, LATE + 60, lambda _: True)
    after = quiet.look({MOTION}, LATE + 90, lambda _: True)

    assert [(change.speaks, change.silent) for change in first] == [(False, 500)]
    assert [(change.speaks, change.silent) for change in back] == [(True, 560)]
    assert again == after == []


@pytest.mark.parametrize(
    ("told_repeats", "remembered", "said"),
    [(True, True, True), (False, False, True), (False, True, False)],
)
def test_where_unchanged_data_are_told_once_only_bluez_forgetting_a_device_is_proof(
    *, told_repeats: bool, remembered: bool, said: bool
) -> None:
    quiet = silence(told_repeats=told_repeats)

    assert bool(quiet.look({MOTION}, LATE, lambda _: remembered)) is said


def test_a_new_scan_has_proved_nothing_and_begins_every_wait_anew() -> None:
    quiet = silence(told_repeats=True)

    quiet.begun(LATE)

    assert not quiet.told_repeats
    assert quiet.look({MOTION}, LATE + 100, lambda _: False) == []


async def test_a_silent_device_is_said_while_the_radio_hears_another(radio: PrivateBus) -> None:
    bluez, said = Bluez(pace=Pace(temporary=0.3)), Said()
    mine, other = sensor(MOTION), sensor(OTHER)
    bluez.add(mine, other)
    await bluez.start(radio.address)
    reader = a_reader(Kept(), say=said, quiet=Silence(rhythm=Rhythm(apart=0.05, least=0.3)))
    reader.follow(config(device(MOTION), device(OTHER)))
    task = asyncio.create_task(reader.run())
    try:
        for number in range(40):
            other.advertise(service_data={"fcd2": bytes([number])})
            if number < 20:
                mine.advertise(service_data={"fcd2": b"\x40"})
            await asyncio.sleep(0.06)
        await said.hears("device.silent")
        for _ in range(3):
            mine.advertise()
            await asyncio.sleep(0.06)
        await said.hears("device.heard")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bluez.stop()

    assert said.words()[1:] == ["device.silent", "device.heard"]
    assert {details["device"] for _, details in said.events[1:]} == {MOTION}

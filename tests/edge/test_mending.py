"""What the box does against silence, with the real bleak, BlueZ, systemd and logind emulated."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from deploy.runtime.services import PrivateBus
from deploy.world.bluez import Bluez
from deploy.world.bluez_faults import Version
from deploy.world.systemd import Systemd
from edge.bluez import mending
from edge.bluez.bus import Refused
from edge.hearing.ladder import LASTING, Past
from edge.hearing.watchdog import NOTE, Watchdog
from tests.edge.frames import HandClock
from tests.edge.hearing import Kept, Said, a_reader, config, device, sensor

MOTION = "A4:C1:38:00:00:01"
VERSIONS = pytest.mark.parametrize("version", ["5.66", "5.82"])


@asynccontextmanager
async def systemd_on(bus: PrivateBus, systemd: Systemd) -> AsyncGenerator[Systemd]:
    await systemd.start(bus.address)
    try:
        yield systemd
    finally:
        await systemd.stop()


@asynccontextmanager
async def a_home(bus: PrivateBus, version: Version) -> AsyncGenerator[tuple[Bluez, Kept, Said]]:
    """A reader that hears a sensor, whose silence is noticed within half a second."""
    bluez, kept, said = Bluez(bluez=version), Kept(), Said()
    mine = sensor(MOTION)
    bluez.add(mine)
    await bluez.start(bus.address)
    reader = a_reader(kept, silence=0.5, first=0.2, say=said)
    reader.follow(config(device(MOTION)))
    tasks = [asyncio.create_task(reader.run()), asyncio.create_task(_speaks(mine.advertise))]
    try:
        await kept.sees(lambda: kept.frames)
        said.events.clear()
        yield bluez, kept, said
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bluez.stop()


async def _speaks(advertise: object) -> None:
    number = 0
    while callable(advertise):
        number += 1
        advertise(service_data={"fcd2": number.to_bytes(3, "little")})
        await asyncio.sleep(0.05)


async def heard_again(kept: Kept) -> None:
    before = len(kept.frames)
    await kept.sees(lambda: kept.states[-1] == "hearing" and len(kept.frames) > before)


@VERSIONS
async def test_a_daemon_that_is_killed_is_missed_at_once_and_started_by_systemd(
    radio: PrivateBus, version: Version
) -> None:
    async with (
        a_home(radio, version) as (bluez, kept, said),
        systemd_on(radio, Systemd(restart=bluez.revive)) as systemd,
    ):
        began = asyncio.get_running_loop().time()
        await bluez.die()
        await kept.sees(lambda: "silent" in kept.states)
        noticed = asyncio.get_running_loop().time() - began
        await heard_again(kept)
        await said.hears("radio.hearing")

    assert noticed < 0.4  # sooner than the half second of silence
    assert systemd.restarted == ["bluetooth.service"]
    assert said.words()[:3] == ["radio.silent", "radio.scanner_renewed", "radio.daemon_restarted"]
    assert said.events[0][1] == {"trouble": "daemon_gone"}
    assert said.last("radio.hearing")["healed_by"] == "restart_daemon"


@VERSIONS
async def test_a_deaf_controller_is_healed_by_switching_it_off_and_on(
    radio: PrivateBus, version: Version
) -> None:
    async with a_home(radio, version) as (bluez, kept, said):
        bluez.faults.deaf = True
        await kept.sees(lambda: "silent" in kept.states)
        await heard_again(kept)
        await said.hears("radio.hearing")

    steps = ["radio.rescanned", "radio.scanner_renewed", "radio.power_cycled"]
    assert said.words() == ["radio.silent", *steps, "radio.hearing"]
    assert said.last("radio.hearing")["healed_by"] == "power_cycle"


async def test_a_step_that_is_refused_is_said_and_the_ladder_goes_on(radio: PrivateBus) -> None:
    async with (
        a_home(radio, "5.82") as (bluez, kept, said),
        systemd_on(radio, Systemd(denied=True)),
    ):
        await bluez.die()
        await kept.sees(lambda: "silent" in kept.states)
        await said.hears("radio.daemon_restarted")
        await bluez.revive()
        await heard_again(kept)

    assert said.last("radio.daemon_restarted")["refused"] == "InteractiveAuthorizationRequired"


def a_watchdog(kept: Kept, said: Said, clock: HandClock) -> Watchdog:
    return Watchdog(clock=clock, notes=kept, say=said, stopping=0.01)


async def climbed(watchdog: Watchdog, clock: HandClock, steps: int) -> None:
    for _ in range(steps):
        await watchdog.climb("no_adapter")
        clock.running += LASTING


def restarting(bluez: Bluez, bus: PrivateBus) -> Systemd:
    async def restart() -> None:
        await bluez.stop()
        await bluez.start(bus.address)

    return Systemd(restart=restart)


async def test_a_reboot_is_said_and_noted_before_it_is_asked_for_and_not_asked_for_again(
    radio: PrivateBus, bluez: Bluez
) -> None:
    kept, said, clock = Kept(), Said(), HandClock()

    async with systemd_on(radio, restarting(bluez, radio)) as systemd:
        await climbed(a_watchdog(kept, said, clock), clock, 3)
        assert systemd.reboots == 1
        clock.boot, clock.running = "another", 60.0
        await climbed(a_watchdog(kept, said, clock), clock, 4)

    assert systemd.reboots == 1
    first = said.words().index("radio.reboot")
    assert said.events[first][1] == {"trouble": "no_adapter", "refused": None}
    assert json.loads(kept.notes[NOTE])["reboot"]["heard"] is False
    assert Past.noted(kept.notes[NOTE]).reboot is not None


async def test_a_box_that_forgot_its_reboot_would_ask_again(
    radio: PrivateBus, bluez: Bluez
) -> None:
    """The saboteur of the test above: the notes are not kept."""
    said, clock = Said(), HandClock()

    async with systemd_on(radio, restarting(bluez, radio)) as systemd:
        for _ in range(2):
            await climbed(a_watchdog(Kept(), said, clock), clock, 3)

    assert systemd.reboots == 2


async def test_nobody_answers_and_every_step_says_so(radio: PrivateBus) -> None:
    assert radio.address

    for step in (mending.power_cycle, mending.restart_daemon, mending.reboot):
        with pytest.raises(Refused, match="ServiceUnknown"):
            await step()
    with pytest.raises(Refused, match="ServiceUnknown"):
        await mending.forget("/org/bluez/hci0/dev_A4_C1_38_00_00_01")


async def test_no_bus_at_all_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/at/all")

    with pytest.raises(Refused):
        await mending.reboot()


async def test_a_daemon_that_hangs_is_given_up(
    radio: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.bluez.bus.ANSWER", 0.1)
    bluez = Bluez()
    await bluez.start(radio.address)
    bluez.faults.hangs = True

    with pytest.raises(Refused, match="NoReply"):
        await mending.power_cycle()
    bluez.faults.hangs = False
    await bluez.stop()

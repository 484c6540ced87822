"""Broker, database, gateway or box killed in the middle: late, never lost, never twice."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from deploy.world.api import Api, Json
from deploy.world.fleet import Box
from deploy.world.receiver import Receiver
from deploy.world.tally import tally
from edge.sending.lanes import Sent
from edge.sending.uplink import Uplink
from tests.acceptance.home import (
    Centre,
    ScriptedHome,
    alerts_of,
    counted,
    emulated_home,
    eventually,
    raised,
    scripted_homes,
    soon,
)

pytestmark = pytest.mark.slow

HOMES = 3
EACH = 0.02
"""Seconds between two frames of a home: something is on its way at every moment."""
BACK = 60.0
"""Seconds after a restart within which everything that waited has been stored."""

Do = Callable[[], object]


async def test_a_killed_gateway_loses_nothing_and_tells_nothing_twice(
    own_centre: Centre, tmp_path: Path
) -> None:
    stack = own_centre.stack

    def restart() -> None:
        stack.start_gateway()

    await _kill_in_the_middle(own_centre, tmp_path, stack.gateways["gateway"].kill, restart)


async def test_a_killed_broker_loses_nothing_and_tells_nothing_twice(
    own_centre: Centre, tmp_path: Path
) -> None:
    broker = own_centre.stack.broker

    await _kill_in_the_middle(own_centre, tmp_path, broker.kill, broker.restart)


async def test_a_killed_database_loses_nothing_and_tells_nothing_twice(
    own_centre: Centre, tmp_path: Path
) -> None:
    database = own_centre.stack.database

    await _kill_in_the_middle(own_centre, tmp_path, database.kill, database.restart)


async def test_a_killed_box_loses_nothing_that_it_heard(centre: Centre, tmp_path: Path) -> None:
    async with centre.receiver() as receiver, emulated_home(centre, tmp_path) as (home, citizen):
        for _ in range(2):
            await soon(lambda: home.bluez.listens, "the box listens")
            home.devices.door.open()
            home.devices.button.press()
            await asyncio.sleep(0.3)  # heard and spooled; sent or not, as it happens
            assert home.box is not None
            home.box.kill()
            home.start_box()

        async with centre.nurse() as nurse:
            (alert,) = await eventually(
                lambda: alerts_of(nurse, citizen, "call_pressed"), "an alert"
            )
            await soon(lambda: len(receiver.of(alert["id"])) >= 2, "both presses are told")
            await home.hush()
            await eventually(
                lambda: _nothing_is_missing(centre, home.spool), "all that was spooled is stored"
            )
            (alert,) = await alerts_of(nurse, citizen, "call_pressed")
            assert len(alert["findings"]) == 2
            assert len(raised(receiver, alert["id"])) == 1
        assert (await tally(centre.stack.owner, [home.spool])).duplicated == 0


class _Trusting(Uplink):
    def published(self, sent: Sent) -> None:
        run, epochs = sent.run, json.loads(self.spool.recall("epochs") or "[]")
        for epoch in epochs[-1:]:
            self.spool.receipt({run.stream: [(run.first, run.last)]}, epoch=epoch)


@pytest.mark.parametrize(("uplink", "loses"), [(Uplink, False), (_Trusting, True)])
async def test_only_a_box_that_trusts_the_broker_loses_what_the_broker_forgot(
    own_centre: Centre, tmp_path: Path, uplink: type[Uplink], *, loses: bool
) -> None:
    """The saboteur lets go of a frame on the broker's PUBACK, as if that proved anything."""
    stack = own_centre.stack

    async with scripted_homes(own_centre, tmp_path, make=partial(Box, uplink=uplink)) as (home,):
        home.hear(home.moves())
        await home.sent()
        # its session for calls lives on: the broker takes what it is given
        stack.gateways["gateway"].kill()
        home.hear(*(home.call(number) for number in range(50)))
        assert await _lets_go(home) == loses
        await asyncio.to_thread(stack.broker.kill)
        await asyncio.to_thread(stack.broker.restart)
        await asyncio.to_thread(stack.start_gateway)
        home.hear(home.moves())
        await home.sent(seconds=BACK)
        await asyncio.sleep(2)

        found = await counted(own_centre, [home])
        assert (found.lost > 0) == loses
        assert (found.sent, found.duplicated) == (52, 0)


async def _lets_go(home: ScriptedHome) -> bool:
    """Whether the box holds nothing more, though no gateway is there to give a receipt."""
    with contextlib.suppress(TimeoutError):
        await home.sent(seconds=3)
    return home.box.spool.drained.is_set()


async def _kill_in_the_middle(centre: Centre, folder: Path, kill: Do, restart: Do) -> None:
    """Frames flow and buttons are pressed before a part is dead, while it is, and after."""
    async with centre.receiver() as receiver, scripted_homes(centre, folder, homes=HOMES) as homes:
        flowing = [asyncio.create_task(_moves(home)) for home in homes]
        for act in (_nothing, kill, restart):
            await asyncio.to_thread(act)
            for home in homes:
                home.press(times=2)
            await asyncio.sleep(1.5)
        for task in flowing:
            task.cancel()
        await asyncio.gather(*flowing, return_exceptions=True)
        for home in homes:
            await home.sent(seconds=BACK)

        async with centre.nurse() as nurse:
            for home in homes:
                await _three_presses_are_one_case(nurse, receiver, home)
        found = await counted(centre, homes)
        assert (found.lost, found.duplicated) == (0, 0)
        assert found.sent > HOMES * 100


async def _three_presses_are_one_case(nurse: Api, receiver: Receiver, home: ScriptedHome) -> None:
    (alert,) = await eventually(lambda: _case_with(nurse, home, presses=3), "three presses")
    await soon(lambda: len(receiver.of(alert["id"])) >= 3, "three notices")
    await asyncio.sleep(0.5)  # one too many would come now
    assert len(raised(receiver, alert["id"])) == 1
    assert len(receiver.of(alert["id"])) == 3


async def _case_with(nurse: Api, home: ScriptedHome, *, presses: int) -> list[Json]:
    alerts = await alerts_of(nurse, home.citizen, "call_pressed")
    return alerts if alerts and len(alerts[0]["findings"]) == presses else []


async def _nothing_is_missing(centre: Centre, spool: Path) -> bool:
    return (await tally(centre.stack.owner, [spool])).lost == 0


async def _moves(home: ScriptedHome) -> None:
    while True:
        home.hear(home.moves())
        await asyncio.sleep(EACH)


def _nothing() -> None:
    """First all is well."""

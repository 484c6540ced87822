"""A press reaches a person within its bound, once."""

import asyncio
import time
from pathlib import Path

import httpx2
import pytest

from deploy.world.api import Api
from deploy.world.receiver import Receiver
from deploy.world.settling import NURSE
from tests.acceptance.home import (
    Centre,
    ScriptedHome,
    alerts_of,
    counted,
    emulated_home,
    eventually,
    raised,
    running,
    scripted_homes,
    soon,
)
from tests.acceptance.wire import publish, spooled_batches

pytestmark = pytest.mark.slow  # whoever comes first starts the centre

BOUND = 5.0
"""Seconds from the press to the webhook; on a quiet machine it is a tenth of that."""

NAME = "Trine Trykkersen"
"""A citizen of this test alone: on the board of all tests others stand too."""


async def test_a_press_in_the_air_is_on_the_board_and_told_once(
    centre: Centre, tmp_path: Path
) -> None:
    emulated = emulated_home(centre, tmp_path, name=NAME)
    async with centre.receiver() as receiver, emulated as (home, citizen):
        assert NAME not in await _board(centre)
        pressed = time.monotonic()
        home.devices.button.press()  # broadcast five times over two seconds

        async with centre.nurse() as nurse:
            (alert,) = await eventually(
                lambda: alerts_of(nurse, citizen, "call_pressed"), "an alert"
            )
            await soon(lambda: bool(raised(receiver, alert["id"])), "a signed notice")
            (notice,) = raised(receiver, alert["id"])
            assert notice.at - pressed < BOUND
            assert alert["state"] == "new"
            assert "Halssmykke" in alert["reason"]

            await asyncio.sleep(3)  # the fifth broadcast has come
            assert await alerts_of(nurse, citizen, "call_pressed") == [alert]
            assert len(raised(receiver, alert["id"])) == 1
        assert NAME in await _board(centre)


async def test_a_press_heard_five_times_and_delivered_twice_is_one(
    centre: Centre, tmp_path: Path
) -> None:
    unheard = scripted_homes(centre, tmp_path, run=False)
    async with centre.receiver() as receiver, unheard as (home,):
        async with running([home]):
            home.press(times=5)
            await home.sent()

        await _deliver_again(home)

        async with centre.nurse() as nurse:
            (alert,) = await eventually(
                lambda: alerts_of(nurse, home.citizen, "call_pressed"), "an alert"
            )
            await soon(lambda: bool(raised(receiver, alert["id"])), "a signed notice")
            await asyncio.sleep(1)
            assert await _told_and_shown(nurse, receiver, home) == (1, 1)
        tally = await counted(centre, [home])
        assert (tally.sent, tally.lost, tally.duplicated) == (5, 0, 0)


async def test_a_second_press_joins_the_open_case_and_is_told_again(
    centre: Centre, tmp_path: Path
) -> None:
    homes = scripted_homes(centre, tmp_path)
    async with centre.receiver() as receiver, homes as (home,), centre.nurse() as nurse:
        home.press()
        (alert,) = await eventually(
            lambda: alerts_of(nurse, home.citizen, "call_pressed"), "an alert"
        )
        home.press()

        await soon(
            lambda: (
                [one.body["type"] for one in receiver.of(alert["id"])]
                == ["alert.raised", "alert.again"]
            ),
            "a second notice",
        )
        (joined,) = await alerts_of(nurse, home.citizen, "call_pressed")
        assert len(joined["findings"]) == 2


async def _deliver_again(home: ScriptedHome) -> None:
    """The same batches once more, byte for byte, as a broker or a box may do."""
    for lane, batch in spooled_batches(home.box):
        for _ in range(2):
            await publish(home.box, lane, batch)


async def _told_and_shown(nurse: Api, receiver: Receiver, home: ScriptedHome) -> tuple[int, int]:
    alerts = await alerts_of(nurse, home.citizen, "call_pressed")
    return sum(len(receiver.of(alert["id"])) for alert in alerts), len(alerts)


async def _board(centre: Centre) -> str:
    """GET / as the nurse's browser does, after signing in."""
    async with httpx2.AsyncClient(base_url=centre.stack.address, follow_redirects=True) as browser:
        form = {"login": NURSE, "password": centre.people.password}
        await browser.post("/login", data=form)
        board = await browser.get("/", headers={"accept": "text/html"})
    assert board.status_code == 200
    return board.text

"""A box that is cut off is on the board; one that is stopped on purpose is not."""

from functools import partial
from pathlib import Path

import pytest

from deploy.world.api import Api, Json
from deploy.world.fleet import Box
from edge.sending.line import Line, LinkLost
from edge.sending.uplink import Uplink
from tests.acceptance.home import Centre, ScriptedHome, alerts_of, eventually, scripted_homes

TOLD = 30
"""Seconds after the last will at which a home with a call button is on the board."""


class Cuttable(Uplink):
    """An uplink whose cable can be cut, and stays cut until it is mended."""

    cut = False

    async def open(self) -> Line:
        if self.cut:
            raise LinkLost("the cable is cut")
        return await super().open()


@pytest.mark.slow
async def test_a_box_that_is_cut_off_is_told_and_one_that_is_stopped_is_not(
    centre: Centre, tmp_path: Path
) -> None:
    make = partial(Box, uplink=Cuttable)
    async with (
        centre.nurse() as nurse,
        scripted_homes(centre, tmp_path / "cut", make=make) as (cut,),
    ):
        async with scripted_homes(centre, tmp_path / "stopped") as (stopped,):
            pass  # it says that it stops
        _cut(cut, off=True)

        (alert,) = await eventually(
            lambda: alerts_of(nurse, cut.citizen, "box_silent"), "told", seconds=TOLD + 20
        )
        assert "ingen kontakt" in alert["reason"]
        assert await alerts_of(nurse, stopped.citizen, "box_silent") == []

        cut.press()  # heard while it is cut off
        _cut(cut, off=False)
        await cut.sent()
        await eventually(lambda: _ended(nurse, cut), "the case knows that the box is back")
        await eventually(lambda: alerts_of(nurse, cut.citizen, "call_pressed"), "the press")


def _cut(home: ScriptedHome, *, off: bool) -> None:
    assert isinstance(home.box.uplink, Cuttable)
    home.box.uplink.cut = off
    home.box.uplink.drop()


async def _ended(nurse: Api, home: ScriptedHome) -> Json | None:
    (alert,) = await alerts_of(nurse, home.citizen, "box_silent")
    return alert if alert["ended"] else None

"""A call that both ways deliver is one alert with one press."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.frame import Frame
from deploy.world.fleet import Box
from edge.clock import Clock
from edge.event import Voice, event
from edge.joining.identity import joined
from edge.keeping.spool import Spool
from edge.sending.path import Way
from edge.sending.paths import Paths
from edge.sending.uplink import Uplink
from tests.acceptance.home import (
    Centre,
    ScriptedHome,
    alerts_of,
    counted,
    eventually,
    scripted_homes,
    soon,
)
from tests.edge.cable import Cable

AFTER = 0.5
AGO = timedelta(seconds=15)
"""The press is older than the ten seconds within which the same bytes are the same press."""


class TwoWayBox(Box):
    """A box with two cables to its broker."""

    def __init__(self, folder: Path, clock: Clock, *, first: Cable, second: Cable) -> None:
        super().__init__(folder, clock)
        self.link = joined(folder).link()
        self.second = second
        self.paths = Paths(
            self.spool,
            replace(self.link, port=first.port),
            replace(self.link, port=second.port),
            clock,
            heartbeat=self.uplink.heartbeat,
            say=Voice(self.spool.append, clock, self.edge),
            on_config=self._configured,
            after=AFTER,
        )
        self.uplink = self.paths.first

    async def run(self) -> None:
        await self.paths.run()

    async def sends_in_vain(self) -> None:
        """From now on what it sends by the second way arrives, and it is told nothing of that."""
        self.spool.append(event("line.hook", self.clock, self.edge, said="start"), "urgent")
        await soon(lambda: not self.spool.depth("urgent"), "the second way is open")
        self.second.deaf = True


class NamingAnewBox(TwoWayBox):
    """The saboteur: on the second way a call has another name, and the time of its sending."""

    async def run(self) -> None:
        with Spool(self.spool.path.with_name("second"), self.clock) as self.own:
            link = replace(self.link, port=self.second.port)
            other = Uplink(self.own, link, self.clock, way=Way(AFTER), path=2)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.uplink.run())
                group.create_task(other.run())

    async def sends_in_vain(self) -> None:
        """It sends what is its own."""

    def hear(self, frames: Iterable[Frame]) -> int:
        kept = list(frames)
        now = self.clock.now_ms(), self.clock.uptime()
        self.own.append_many([replace(one, at=now[0], uptime=now[1]) for one in kept], "urgent")
        return super().hear(kept)


_WORDS = "SELECT b.word FROM box_event b JOIN edge e ON e.id = b.edge WHERE e.name = $1"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "presses"), [(TwoWayBox, 1), pytest.param(NamingAnewBox, 2, marks=pytest.mark.long)]
)
async def test_a_call_that_came_by_the_second_way_and_again_by_the_first_is_one_alert(
    centre: Centre, tmp_path: Path, kind: type[TwoWayBox], presses: int
) -> None:
    async with Cable(centre.stack.broker.port) as first, Cable(centre.stack.broker.port) as second:

        def made(folder: Path, clock: Clock) -> TwoWayBox:
            return kind(folder, clock, first=first, second=second)

        homes = scripted_homes(centre, tmp_path, make=made, since=timedelta(minutes=1))
        async with centre.receiver() as receiver, homes as (home,):
            first.cut()
            assert isinstance(home.box, TwoWayBox)
            await home.box.sends_in_vain()
            _pressed(home)
            async with centre.nurse() as nurse:
                await eventually(lambda: alerts_of(nurse, home.citizen, "call_pressed"), "an alert")
                assert home.box.spool.depth("urgent"), "no receipt has come: it is sent again"
                first.mend()
                await home.sent()

                await asyncio.sleep(0.5)  # one too many would come now
                words = await centre.ask(_WORDS, home.box.edge)
                assert ("line.back" in words) == (kind is TwoWayBox)
                (alert,) = await alerts_of(nurse, home.citizen, "call_pressed")
                assert len(alert["findings"]) == presses
                assert len(receiver.of(alert["id"])) == presses
                assert ((await counted(centre, [home])).duplicated > 0) == (presses > 1)


def _pressed(home: ScriptedHome) -> None:
    call = home.call(1)
    earlier = call.at - AGO // timedelta(milliseconds=1)
    home.hear(replace(call, at=earlier, uptime=call.uptime - AGO.total_seconds()))

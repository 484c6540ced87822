"""Boxes that were away for thirty days drain at full speed, and every call passes them by."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from adapters.frame import Frame, Lane
from deploy.world.api import Api
from deploy.world.fleet import Box
from deploy.world.receiver import Receiver
from edge.care import terms
from edge.clock import Clock
from edge.settings import Settings
from tests.acceptance.home import (
    Centre,
    ScriptedHome,
    alerts_of,
    counted,
    eventually,
    running,
    scripted_homes,
    soon,
)

pytestmark = pytest.mark.slow

AWAY, CALLERS = 4, 3
"""Homes whose boxes come back, and homes that only call."""
FRAMES = 11_400
"""What a box hears in thirty days, at 380 a day; every tenth is a door, which is of the lane of
calls."""
BUSY = 450_000
"""The same of a busy home, at 15 000 a day."""
DAYS = timedelta(days=30)
BETWEEN = 0.1
"""Seconds between two presses somewhere."""
DRAINED = 600.0
"""Seconds for all of it, on a busy machine."""


class Furnished(Box):
    """A box as it is delivered: its spool has a largest size, and bulk is gathered."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(folder, clock, terms=terms(Settings().spool_mb))


class Tight(Box):
    """The same in a third of the room."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(folder, clock, terms=terms(Settings().spool_mb / 3))


class OneLane(Box):
    """The saboteur: one queue for everything, as most have it."""

    def _lane(self, heard: Frame) -> Lane | None:
        return "bulk" if super()._lane(heard) else None


@dataclass(frozen=True, slots=True)
class Press:
    home: ScriptedHome
    at: float


async def test_calls_pass_boxes_that_were_away_for_thirty_days_and_nothing_is_lost(
    centre: Centre, tmp_path: Path
) -> None:
    async with scripted_homes(centre, tmp_path, homes=AWAY + CALLERS, run=False) as homes:
        away = homes[:AWAY]
        await come_home(centre, homes, away, FRAMES)
        async with centre.receiver() as receiver, running(homes):
            began = time.monotonic()
            presses = await press_while_draining(homes, away, until=AWAY * FRAMES // 5)
            ended = await drained(away)
            async with centre.nurse() as nurse:
                waits, last = await noticed(receiver, nurse, presses)
        frames = AWAY * FRAMES
        tell(f"away: {frames} frames of {AWAY} boxes", frames / (ended - began), waits)

        await everything_is_stored_once(centre, homes, frames + len(presses))
        assert len(presses) >= AWAY + CALLERS, "each home called at least once meanwhile"
        assert last < ended, "every call was with somebody before the last old frame was stored"


@pytest.mark.long
async def test_thirty_days_of_a_busy_home_fit_the_spool_and_are_stored_once_with_calls_first(
    centre: Centre, tmp_path: Path
) -> None:
    busy = scripted_homes(centre, tmp_path, homes=1, make=Furnished, run=False)
    async with busy as homes:
        await come_home(centre, homes, homes, BUSY)
        spool = homes[0].box.spool
        spool.flush()
        size = spool.path.stat().st_size
        async with centre.receiver() as receiver, running(homes):
            began = time.monotonic()
            presses = await press_while_draining(homes, homes, until=BUSY // 5)
            ended = await drained(homes)
            async with centre.nurse() as nurse:
                waits, last = await noticed(receiver, nurse, presses)
        tell(f"busy: {BUSY} frames, {size / 1e6:.0f} MB", BUSY / (ended - began), waits)

        await everything_is_stored_once(centre, homes, BUSY + len(presses))
        assert size < Settings().spool_mb * 1e6
        assert spool.cost is None, "nothing was given up"
        assert last < ended, "every call was with somebody before the last old frame was stored"


@pytest.mark.long
async def test_in_a_third_of_the_room_thirty_days_of_a_busy_home_are_seen_to_be_given_up(
    centre: Centre, tmp_path: Path
) -> None:
    """The saboteur: a limit that the technician set too low costs bulk, and it is counted."""
    tight = scripted_homes(centre, tmp_path, homes=1, make=Tight, run=False)
    async with tight as homes:
        await come_home(centre, homes, homes, BUSY)
        async with running(homes):
            await drained(homes)

        found = await counted(centre, homes)
        assert found.sent < BUSY
        assert homes[0].box.spool.cost is not None


async def test_with_one_lane_a_call_waits_until_the_box_has_drained(
    centre: Centre, tmp_path: Path
) -> None:
    unheard = scripted_homes(centre, tmp_path, homes=1, make=OneLane, run=False)
    async with unheard as homes, centre.receiver() as receiver:
        await come_home(centre, homes, homes, FRAMES)
        async with running(homes), centre.nurse() as nurse:
            homes[0].press()
            press = Press(homes[0], time.monotonic())
            ended = await drained(homes)
            _, last = await noticed(receiver, nurse, [press])

        assert last > ended - 0.5


# ---------------------------------------------------------------- what happens


async def come_home(
    centre: Centre, homes: Sequence[ScriptedHome], away: Sequence[ScriptedHome], frames: int
) -> None:
    """Every box knows its devices, which were placed long ago; some have heard for thirty days."""
    async with running(homes):
        pass
    await centre.ask(
        'UPDATE placement p SET "from" = $2 FROM citizen c WHERE c.id = p.citizen'
        " AND c.public::text = ANY ($1) RETURNING p.id",
        [home.citizen for home in homes],
        homes[0].clock.now() - 2 * DAYS,
    )
    for home in away:
        heard = list(long_ago(home, frames))
        for start in range(0, frames, 2_000):
            home.hear(*heard[start : start + 2_000])


def long_ago(home: ScriptedHome, frames: int) -> Sequence[Frame]:
    """What a home says in thirty days; the uptime of those days is not told."""
    step, now = DAYS / frames, home.clock.now_ms()
    moved, opened = home.moves(), home.opens()
    return [
        replace(
            moved if number % 10 else opened,
            at=now - round((DAYS - number * step).total_seconds() * 1_000),
            uptime=0.0,
        )
        for number in range(frames)
    ]


async def press_while_draining(
    homes: Sequence[ScriptedHome], away: Sequence[ScriptedHome], *, until: int
) -> list[Press]:
    """A press here and there, the boxes that drain among them, until so few frames are left."""
    presses: list[Press] = []
    for number in count():
        home = homes[number % len(homes)]
        home.press()
        presses.append(Press(home, time.monotonic()))
        await asyncio.sleep(BETWEEN)
        if left(away) < until:
            return presses
    raise AssertionError


def left(away: Sequence[ScriptedHome]) -> int:
    return sum(home.box.spool.depth() for home in away)


async def drained(away: Sequence[ScriptedHome]) -> float:
    """When the last of them has a receipt for everything."""
    async with asyncio.timeout(DRAINED):
        await asyncio.gather(*(home.box.spool.drained.wait() for home in away))
    return time.monotonic()


async def noticed(
    receiver: Receiver, nurse: Api, presses: Sequence[Press]
) -> tuple[list[float], float]:
    """Seconds from each press to its notice, and when the last notice came."""
    waits, last = list[float](), 0.0
    for home in {id(press.home): press.home for press in presses}.values():
        (alert,) = await eventually(
            lambda home=home: alerts_of(nurse, home.citizen, "call_pressed"), "an alert"
        )
        mine = [press.at for press in presses if press.home is home]
        await soon(
            lambda alert=alert, mine=mine: len(receiver.of(alert["id"])) >= len(mine),
            "a notice for every press",
        )
        came = [notice.at for notice in receiver.of(alert["id"])]
        assert len(came) == len(mine)
        waits += [at - pressed for pressed, at in zip(mine, came, strict=True)]
        last = max(last, *came)
    return waits, last


def percentile(waits: Sequence[float], percent: int) -> float:
    """In milliseconds."""
    return sorted(waits)[min(len(waits) - 1, len(waits) * percent // 100)] * 1_000


def tell(what: str, rate: float, waits: Sequence[float]) -> None:
    """The figures, for who reads the test's output."""
    print(  # noqa: T201 - figures
        f"{what}, {rate:.0f} a second; {len(waits)} presses meanwhile, "
        f"p50 {percentile(waits, 50):.0f} ms, p99 {percentile(waits, 99):.0f} ms"
    )


async def everything_is_stored_once(
    centre: Centre, homes: Sequence[ScriptedHome], sent: int
) -> None:
    found = await counted(centre, homes)
    assert (found.lost, found.duplicated) == (0, 0)
    assert found.sent == sent

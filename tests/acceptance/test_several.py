"""Several gateways on one broker and database: one dies or hangs, nothing is lost or told twice."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from adapters.frame import LANES
from deploy.runtime.process import Guarded
from deploy.world.api import Api
from deploy.world.fleet import Box
from deploy.world.receiver import Receiver
from edge.sending.lanes import PACES, Sender
from edge.sending.uplink import Uplink
from gateway.ingest.run import SHARED, Sharing
from tests.acceptance.home import (
    Centre,
    ScriptedHome,
    alerts_of,
    counted,
    eventually,
    raised,
    scripted_homes,
    soon,
)

pytestmark = pytest.mark.slow

HOMES = 10
EVERY = 0.2
"""Seconds between two frames of a home, and between two presses anywhere."""
PRESSES_FOR = 12.0
"""Seconds that presses go on after a member was harmed: as long as it may hold what it has."""

LASTING = replace(SHARED, expiry=300, keepalive=20)
"""Shares that outlive their member: what the broker gave it waits for it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """After a member was harmed with messages in hand, in seconds: all frames stored; presses."""

    all_stored: float | None
    presses: Sequence[float]
    lost: int
    duplicated: int

    def __str__(self) -> str:
        told = {
            "all_stored_s": self.all_stored and round(self.all_stored, 1),
            "presses": len(self.presses),
            "press_p50_ms": round(1_000 * sorted(self.presses)[len(self.presses) // 2]),
            "press_max_ms": round(1_000 * max(self.presses)),
            "lost": self.lost,
            "duplicated": self.duplicated,
        }
        return json.dumps(told)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Centre]:
    """A centre whose ingest is still to be started."""
    started = Centre.start(tmp_path / "centre", stages="watch,notify,api")
    yield started
    started.stop()


class NeverAsks(Uplink):
    """A box that sends once and waits for its receipt for ever."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._senders = {
            lane: Sender(lane, replace(PACES[lane], patience=3_600, longest=3_600))
            for lane in LANES
        }


@pytest.mark.parametrize(
    "harm", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)]
)
async def test_a_member_that_dies_or_hangs_delays_telemetry_and_no_call(
    pair: Centre, tmp_path: Path, harm: signal.Signals
) -> None:
    outcome = await harmed(pair, tmp_path, harm)

    print(harm.name, outcome)  # noqa: T201 - the figures of the decision
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert outcome.all_stored is not None
    # asked again after 10 s, or once more after 20 s if the member that hangs was asked again
    assert outcome.all_stored < (25 if harm == signal.SIGKILL else 60)
    # what the member had in hand is rolled back at once when it is dead, in 2 s when it hangs
    assert max(outcome.presses) < 6


@pytest.mark.long
async def test_shares_that_last_strand_what_boxes_do_not_ask_for_again(
    pair: Centre, tmp_path: Path
) -> None:
    """The saboteur: `$share` without receipts and without asking again is no delivery."""
    outcome = await harmed(pair, tmp_path, signal.SIGKILL, LASTING, uplink=NeverAsks, patience=30)

    assert outcome.all_stored is None
    assert outcome.lost > 0


async def test_two_whole_gateways_make_one_alert_and_one_notice_of_each_press(
    own_centre: Centre, tmp_path: Path
) -> None:
    stack = own_centre.stack
    second = await asyncio.to_thread(
        partial(stack.start_gateway, "second", settings=stack.beside("second"))
    )
    async with (
        own_centre.receiver() as receiver,
        scripted_homes(own_centre, tmp_path, homes=HOMES) as homes,
        own_centre.nurse() as nurse,
    ):
        for _ in range(3):
            for home in homes:
                home.press(times=3)
            await asyncio.sleep(0.5)
        for home in homes:
            await home.sent()

        for home in homes:
            await three_presses_are_told(nurse, receiver, home)
        await asyncio.sleep(2)  # one too many would come now

        for home in homes:
            (alert,) = await alerts_of(nurse, home.citizen, "call_pressed")
            assert len(alert["findings"]) == 3
            assert len(raised(receiver, alert["id"])) == 1
            assert len(receiver.of(alert["id"])) == 3
        found = await counted(own_centre, homes)
        assert (found.lost, found.duplicated) == (0, 0)
        assert await own_centre.ask("SELECT count(*) FROM contact") == [HOMES]
    assert second.is_running


async def three_presses_are_told(nurse: Api, receiver: Receiver, home: ScriptedHome) -> None:
    alerts = await eventually(lambda: alerts_of(nurse, home.citizen, "call_pressed"), "an alert")
    await soon(lambda: len(receiver.of(alerts[0]["id"])) >= 3, "three notices")


async def harmed(
    centre: Centre,
    folder: Path,
    harm: signal.Signals,
    sharing: Sharing = SHARED,
    *,
    uplink: type[Uplink] = Uplink,
    patience: float = 90,
) -> Outcome:
    """One of two members gets the signal while both have telemetry and calls in hand."""
    one, _ = (member(centre, name, sharing) for name in ("one", "two"))
    make = partial(Box, uplink=uplink)
    async with scripted_homes(centre, folder, homes=HOMES, make=make) as homes:
        async with every(EVERY, lambda n: homes[n % HOMES].hear(homes[n % HOMES].moves())):
            await asyncio.sleep(2)
            async with nothing_can_be_stored(centre):
                for home in homes:
                    home.hear(home.moves())
                    home.press()
                await asyncio.sleep(1)
                one.send(harm)
        began = time.monotonic()
        presses = asyncio.create_task(pressing(homes))
        all_stored = await until_sent(homes, began, patience)
        delays = await presses
        if harm == signal.SIGSTOP:
            one.send(signal.SIGCONT)
            await asyncio.sleep(5)
            assert await centre.ask('SELECT count(*) FROM contact WHERE "to" IS NOT NULL') == [0]
            assert one.is_running
        found = await counted(centre, homes)
    return Outcome(
        all_stored=all_stored, presses=delays, lost=found.lost, duplicated=found.duplicated
    )


def member(centre: Centre, name: str, sharing: Sharing) -> Guarded:
    words = (str(sharing.expiry), str(sharing.keepalive), *sharing.topics)
    return centre.stack.start_program(
        f"ingest-{name}", "tests.acceptance.sharing", *words, settings={"ingest_name": name}
    )


@asynccontextmanager
async def nothing_can_be_stored(centre: Centre) -> AsyncGenerator[None]:
    """Every transaction of ingest stops in its middle until the end of the block."""
    db = await asyncpg.connect(centre.stack.owner)
    try:
        async with db.transaction():
            await db.execute("LOCK TABLE observation IN SHARE MODE")
            yield
    finally:
        await db.close()


async def pressing(homes: Sequence[ScriptedHome]) -> list[float]:
    """Press here and there; for each press the seconds from spool to receipt."""
    answers: list[asyncio.Task[float]] = []
    end = time.monotonic() + PRESSES_FOR
    while time.monotonic() < end:
        home = homes[len(answers) % len(homes)]
        home.press()
        answers.append(asyncio.create_task(until_received(home)))
        await asyncio.sleep(EVERY)
    return list(await asyncio.gather(*answers))


async def until_received(home: ScriptedHome) -> float:
    began = time.monotonic()
    async with asyncio.timeout(60):
        while home.box.spool.depth("urgent"):  # noqa: ASYNC110 - no event of ours
            await asyncio.sleep(0.005)
    return time.monotonic() - began


async def until_sent(homes: Sequence[ScriptedHome], began: float, patience: float) -> float | None:
    """Seconds until the boxes have receipts for all telemetry; None if they do not come."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while any(home.box.spool.depth("bulk") for home in homes):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
            return time.monotonic() - began
    return None


@asynccontextmanager
async def every(seconds: float, act: Callable[[int], object]) -> AsyncGenerator[None]:
    """Do it again and again, told how often it was done, until the block ends."""

    async def acting() -> None:
        count = 0
        while True:
            act(count)
            count += 1
            await asyncio.sleep(seconds / HOMES)

    task = asyncio.create_task(acting())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])

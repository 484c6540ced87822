"""Every stage of the gateway runs alone and takes up what waited: they meet in the database.

Each is a process of its own here, started when the one before it has done its part.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.runtime.database import Database
from tests.acceptance.home import (
    Centre,
    alerts_of,
    eventually,
    raised,
    running,
    scripted_homes,
    soon,
)

pytestmark = pytest.mark.slow

LONG_ENOUGH = 1.5
"""Seconds in which a stage that was not to run would have done its part."""


@pytest.fixture
def apart(database: Database, tmp_path: Path) -> Iterator[Centre]:
    """A centre whose gateway is one process with the stage `api`, so far."""
    started = Centre.start(tmp_path / "centre", database=database, stages="api")
    yield started
    started.stop()


async def test_each_stage_alone_takes_up_what_waited_for_it(apart: Centre, tmp_path: Path) -> None:
    stack = apart.stack

    async def start(stage: str) -> None:
        await asyncio.to_thread(stack.start_gateway, stage, only=stage)

    async with (
        apart.receiver() as receiver,
        apart.nurse() as nurse,
        scripted_homes(apart, tmp_path, run=False) as (home,),
    ):
        await start("ingest")
        async with running([home]):  # it is told its devices
            await asyncio.to_thread(stack.gateways["ingest"].kill)
            home.press()
            await asyncio.sleep(LONG_ENOUGH)
            assert not home.box.spool.drained.is_set(), "without ingest nothing is stored"

            await start("ingest")
            await home.sent()
            await asyncio.sleep(LONG_ENOUGH)
            assert await alerts_of(nurse, home.citizen, "call_pressed") == []
            assert await apart.ask("SELECT count(*) FROM pending WHERE lane = 'urgent'") == [1]

            await start("watch")
            (alert,) = await eventually(
                lambda: alerts_of(nurse, home.citizen, "call_pressed"), "an alert"
            )
            await asyncio.sleep(LONG_ENOUGH)
            assert receiver.notices == []

            await start("notify")
            await soon(lambda: len(raised(receiver, alert["id"])) == 1, "a notice")

            await asyncio.to_thread(stack.gateways["gateway"].kill)
            home.press()
            await soon(lambda: len(receiver.of(alert["id"])) == 2, "told though the api is dead")

"""A box of the shared broker that sends, for as long as a test wants it to."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from deploy.runtime.broker import Broker
from edge.broker import Link
from edge.keeping.spool import Spool
from edge.sending.uplink import Uplink
from tests.edge.cable import Cable
from tests.edge.frames import HandClock
from tests.edge.gateway import SOON

BOX = "box-11"


def link(broker: Broker, *, edge: str = BOX) -> Link:
    return Link.to(f"mqtt://127.0.0.1:{broker.port}", edge=edge, password=edge)


def by(cable: Cable) -> Link:
    return Link.to(f"mqtt://127.0.0.1:{cable.port}", edge=BOX, password=BOX)


@asynccontextmanager
async def sending(uplink: Uplink) -> AsyncGenerator[Uplink]:
    """The uplink at work, stopped as planned afterwards."""
    task = asyncio.create_task(uplink.run())
    try:
        async with asyncio.timeout(SOON):
            await uplink.online.wait()
        yield uplink
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Something at work beside the test, stopped as planned afterwards; its failure is raised."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        [end] = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(end, asyncio.CancelledError), f"it ended by itself: {end!r}"


@asynccontextmanager
async def box(broker: Broker, folder: Path, clock: HandClock) -> AsyncGenerator[Uplink]:
    with Spool(folder / "spool", clock) as spool:
        async with sending(Uplink(spool, link(broker), clock)) as uplink:
            yield uplink


async def drained(spool: Spool) -> None:
    async with asyncio.timeout(SOON):
        await spool.drained.wait()

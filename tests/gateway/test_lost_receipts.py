"""A receipt that never arrives costs a sending again: the real box and ingest, broker between."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from adapters.observation import Kind
from deploy.runtime.services import Broker, OneDatabase
from edge.broker import Link
from edge.keeping.spool import Spool
from edge.sending.lanes import Sent
from edge.sending.uplink import Uplink
from gateway.ingest.pipeline import Pipeline
from gateway.ingest.subscriber import Delivery
from tests.edge.frames import HandClock
from tests.frames import NOON, door, press
from tests.gateway.ingest_home import furnish, ingest, look, until
from tests.gateway.test_ingest import GATEWAY

BOX = "box-01"
FRAMES = 20
BACK = 30.0
"""Seconds: the box tries again 3 s after a call without a receipt, and reconnects within two."""


class Accident(Pipeline):
    """The broker dies right after the first commit, before anything of it is told, and forgets."""

    broker: ClassVar[Broker]
    happened: ClassVar[bool]

    async def store(self, deliveries: Sequence[Delivery]) -> Mapping[str, bytes]:
        told = await super().store(deliveries)
        if told and not Accident.happened:
            Accident.happened = True
            await asyncio.to_thread(self._forget_all)
        return told

    def _forget_all(self) -> None:
        self.broker.kill()
        shutil.rmtree(self.broker.folder / "store")
        (self.broker.folder / "store").mkdir()
        self.broker.restart()


class Cut(Uplink):
    """The cable breaks as soon as the broker has the batch: its receipt finds nobody."""

    cuts = 3

    def published(self, sent: Sent) -> None:
        del sent
        if self.cuts:
            self.cuts -= 1
            self.drop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker.start(tmp_path / "broker", passwords={**GATEWAY, BOX: BOX})
    yield started
    started.stop()


@pytest.fixture
def home(fresh_database: OneDatabase) -> OneDatabase:
    asyncio.run(furnish(fresh_database.dsn()))
    return fresh_database


@asynccontextmanager
async def box(
    broker: Broker, folder: Path, uplink: type[Uplink] = Uplink
) -> AsyncGenerator[tuple[Spool, Uplink]]:
    """A real box, its clock at noon."""
    clock = HandClock(ms=NOON)
    link = Link.to(f"mqtt://127.0.0.1:{broker.port}", edge=BOX, password=BOX)
    with Spool(folder / "spool.sqlite", clock) as spool:
        sending = uplink(spool, link, clock)
        task = asyncio.create_task(sending.run())
        try:
            yield spool, sending
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def everything_once(home: OneDatabase) -> None:
    """All frames are stored, each once, and the ledger has no hole."""
    rows = await look(home.dsn(), "SELECT kind, count(*) AS n FROM observation GROUP BY kind")
    kinds = (Kind.DOOR, Kind.CALL_PRESSED, Kind.BATTERY)
    assert {row["kind"]: row["n"] for row in rows} == dict.fromkeys(kinds, FRAMES)
    (ledger,) = await look(
        home.dsn(), "SELECT sum(upper(r) - lower(r)) AS n FROM stream, unnest(received) AS r"
    )
    assert ledger["n"] == 2 * FRAMES


def hear(spool: Spool) -> None:
    for number in range(FRAMES):
        spool.append(press(number, at=NOON - number), "urgent")
        spool.append(door(at=NOON - number), "bulk")


async def drained(spool: Spool) -> None:
    async with asyncio.timeout(BACK):
        await spool.drained.wait()


@pytest.mark.slow
async def test_a_broker_that_forgot_everything_between_commit_and_receipt_costs_a_second_sending(
    home: OneDatabase, own_broker: Broker, tmp_path: Path
) -> None:
    Accident.broker, Accident.happened = own_broker, False
    async with ingest(home, own_broker, pipeline=Accident) as health:
        await until(lambda: health.ready)
        async with box(own_broker, tmp_path) as (spool, _):
            hear(spool)
            await drained(spool)

    assert Accident.happened
    await everything_once(home)


async def test_a_receipt_that_finds_the_connection_cut_is_given_again(
    home: OneDatabase, own_broker: Broker, tmp_path: Path
) -> None:
    async with ingest(home, own_broker) as health:
        await until(lambda: health.ready)
        async with box(own_broker, tmp_path, Cut) as (spool, uplink):
            hear(spool)
            await drained(spool)

    assert isinstance(uplink, Cut)
    assert uplink.cuts == 0
    await everything_once(home)

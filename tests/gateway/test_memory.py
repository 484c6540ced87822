"""Memory stays where it is: while the database stands still, and under a storm."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from adapters.frame import encode_batch
from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.process import Guarded
from deploy.runtime.services import Broker, OneDatabase
from deploy.world.stack import clean_environment
from tests.conftest import GATEWAY_PASSWORD
from tests.frames import NOON, batch, door
from tests.gateway.ingest_home import Box, furnish, look, until

pytestmark = pytest.mark.slow

BOXES = 8
SETTLED, LONGEST, WATCHED = 4.0, 20.0, 8.0
"""Seconds without growth after which memory has its size, which it has when as many messages wait
as the session may have unacknowledged; seconds that this may take; seconds in which it stays."""
FLAT = 0.10
PAGE = os.sysconf("SC_PAGE_SIZE")
TELEMETRY = batch([door(at=NOON + n) for n in range(450)])


GATEWAY = ("gateway-urgent", "gateway-bulk", "gateway-config")
USERS = {
    **dict.fromkeys(GATEWAY, GATEWAY_PASSWORD),
    **{f"box-{n:02}": f"box-{n:02}" for n in range(1, BOXES + 1)},
}
HELD = 110_000_000
"""Bytes of the broker's memory with 64 MiB of messages in one session's queue."""


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker.start(tmp_path / "broker", passwords=USERS)
    yield started
    started.stop()


@pytest.fixture
def home(fresh_database: OneDatabase) -> OneDatabase:
    asyncio.run(furnish(fresh_database.dsn(), BOXES))
    return fresh_database


async def test_memory_is_flat_while_the_database_stands_still_and_in_the_storm_after_it(
    home: OneDatabase, own_broker: Broker, tmp_path: Path
) -> None:
    with ingesting(home, own_broker, tmp_path, "gateway.main", "run", "--only", "ingest") as pid:
        async with storm(own_broker):
            async with standing_still(home):
                warm = await settled(pid)
                still = await growth(pid, warm)
            stormed = await growth(pid, warm)

    assert abs(still) < FLAT
    assert abs(stormed) < FLAT
    (row,) = await look(home.dsn(), "SELECT count(*) FROM message")
    assert row["count"] > 200, "there was a storm"


async def test_memory_grows_where_what_came_is_acknowledged_and_queued(
    home: OneDatabase, own_broker: Broker, tmp_path: Path
) -> None:
    """The saboteur."""
    with ingesting(home, own_broker, tmp_path, "tests.gateway.greedy") as pid:
        async with standing_still(home), storm(own_broker):
            grown = await growth(pid, await settled(pid))

    assert grown > 2 * FLAT


@pytest.mark.parametrize(
    ("extra", "bounded"),
    [
        ("", True),
        pytest.param("max_queued_bytes 0", False, marks=pytest.mark.long),  # the saboteur
    ],
)
async def test_the_broker_holds_so_much_for_a_gateway_that_stands_still_and_no_more(
    home: OneDatabase, tmp_path: Path, extra: str, *, bounded: bool
) -> None:
    broker = Broker.start(tmp_path / "broker", passwords=USERS, config_extra=extra)
    with ingesting(home, broker, tmp_path, "gateway.main", "run", "--only", "ingest"):
        async with standing_still(home), storm(broker, octets=2 * HELD):
            pass

    held = peak(broker.pid)
    broker.stop()
    assert (held < HELD) == bounded


@contextlib.contextmanager
def ingesting(
    where: OneDatabase, broker: Broker, folder: Path, module: str, *words: str
) -> Generator[int]:
    """An ingest in a process of its own; its number."""
    process = Guarded.start(
        [PYTHON, "-P", "-m", module, *words],
        log=folder / "ingest.log",
        env=environment(where, broker),
    )
    try:
        process.wait_until(lambda: "gateway-bulk-1" in (folder / "ingest.log").read_text())
        yield process.pid
    finally:
        process.kill()


def environment(where: OneDatabase, broker: Broker) -> Mapping[str, str]:
    return {
        **clean_environment(),
        "PYTHONPATH": str(ROOT),
        "GATEWAY_DATABASE": where.address,
        "GATEWAY_BROKER_PORT": str(broker.gateway_port),
        "GATEWAY_BROKER_PASSWORD": GATEWAY_PASSWORD,
        "GATEWAY_PRODUCTION": "false",
    }


@asynccontextmanager
async def storm(broker: Broker, *, octets: int = 0) -> AsyncGenerator[None]:
    """Boxes that send new telemetry as fast as they can, whatever they are told.

    The block begins when so much was sent.
    """
    sent = [0]
    async with contextlib.AsyncExitStack() as connected:
        boxes = [
            await connected.enter_async_context(Box(broker, f"box-{n:02}"))
            for n in range(1, BOXES + 1)
        ]
        tasks = [asyncio.create_task(storming(box, sent)) for box in boxes]
        await until(lambda: sent[0] >= octets, seconds=150)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def storming(box: Box, octets: list[int]) -> None:
    sent = 0
    while True:
        payload = encode_batch(replace(TELEMETRY, edge=box.name, stream=str(uuid4())))
        box.say(payload, "bulk")
        sent, octets[0] = sent + 1, octets[0] + len(payload)
        await asyncio.sleep(0.005)
        await until(lambda sent=sent: len(box.answers) > sent - 10, seconds=60)


@asynccontextmanager
async def standing_still(where: OneDatabase) -> AsyncGenerator[None]:
    """No transaction of ingest ends, and none fails."""
    db = await asyncpg.connect(where.dsn())
    try:
        async with db.transaction():
            await db.execute("LOCK TABLE observation IN SHARE MODE")
            yield
    finally:
        await db.close()


async def settled(pid: int) -> int:
    """The resident memory of the process once it grows no more, or after LONGEST."""
    most, since, end = resident(pid), time.monotonic(), time.monotonic() + LONGEST
    while time.monotonic() < min(since + SETTLED, end):
        await asyncio.sleep(0.25)
        if (now := resident(pid)) > most * (1 + FLAT / 10):
            most, since = now, time.monotonic()
    return most


async def growth(pid: int, warm: int) -> float:
    """By what share the resident memory of the process changes within WATCHED."""
    most = 0
    for _ in range(round(WATCHED * 4)):
        await asyncio.sleep(0.25)
        most = max(most, resident(pid))
    print(f"warm {warm} most {most}")  # noqa: T201 - the figure
    return most / warm - 1


def resident(pid: int) -> int:
    """Bytes; the second field of /proc/PID/statm (proc(5)) counts pages."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def peak(pid: int) -> int:
    """The most bytes that were resident; VmHWM of /proc/PID/status, in kB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1_024

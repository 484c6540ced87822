"""A full disk under the real database: telemetry waits before calls do, nothing is corrupt."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.services import Broker, Database, OneDatabase
from gateway.health import Health
from gateway.store.migrate import migrate
from tests.conftest import GATEWAY_PASSWORD
from tests.frames import NOON, batch, door, press
from tests.gateway.ingest_home import Box, furnish, ingest, look, until

pytestmark = pytest.mark.slow

SIZE = 300
"""Megabytes of the file system; a fresh cluster takes about a hundred of them."""
LEAST = 60_000_000
NOBODY_TAKES_IT = 16
DISK = "ingest bulk: disk"
GATEWAY = ("gateway-urgent", "gateway-bulk", "gateway-config")
USERS = {**dict.fromkeys(GATEWAY, GATEWAY_PASSWORD), "box-01": "box-01"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of one's own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m,mode=755", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def small(disk: Path, tmp_path: Path) -> Iterator[Database]:
    """A database whose rows are on the small disk and whose log (WAL) is elsewhere.

    A log without room stops PostgreSQL altogether; the runbook says to keep it apart.
    """
    started = Database.start(disk / "database")
    asyncio.run(migrate(started.dsn()))
    asyncio.run(furnish(started.dsn()))
    started.stop()
    log = disk / "database" / "data" / "pg_wal"
    shutil.copytree(log, tmp_path / "log")
    for place in (tmp_path / "log", *(tmp_path / "log").rglob("*")):
        os.chown(place, log.stat().st_uid, log.stat().st_gid)
    shutil.rmtree(log)
    log.symlink_to(tmp_path / "log")
    started.restart()
    yield started
    started.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker.start(tmp_path / "broker", passwords=USERS)
    yield started
    started.stop()


def fill(disk: Path, *, free: int) -> Path:
    """Leave so many bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        left = shutil.disk_usage(disk).free - free
        while left > 0:
            left -= file.write(bytes(min(left, 1_000_000)))
    return filler


async def test_telemetry_is_left_with_the_boxes_before_the_disk_is_full_and_calls_are_taken(
    small: Database, disk: Path, own_broker: Broker
) -> None:
    where = small.one()
    told: dict[str, Any] = {"database_folder": disk, "least_free": LEAST}
    async with ingest(where, own_broker, **told) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        box.say(batch([door()]), "bulk")
        await until(lambda: len(box.receipts()) == 1)

        filler = fill(disk, free=LEAST // 2)
        await until(lambda: not health.ready)
        assert "MB are free" in (health.parts[DISK] or "")
        assert taken(health) == 0
        await until(lambda: refused(box), seconds=5)
        call = batch([press(7)])
        box.say(call)
        await until(lambda: call.stream in streams(box))

        filler.unlink()
        await until(lambda: health.ready, seconds=15)
        assert taken(health) == 1
        later = batch([door(at=NOON + 1)])
        box.say(later, "bulk")
        await until(lambda: later.stream in streams(box))


async def test_a_disk_that_is_full_all_the_same_corrupts_nothing_and_work_goes_on_by_itself(
    small: Database, disk: Path, own_broker: Broker
) -> None:
    where = small.one()
    many = [batch([door(at=NOON + n) for n in range(k, k + 250)]) for k in range(0, 50_000, 250)]
    async with ingest(where, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        filler = fill(disk, free=1_000_000)
        for one in many:
            box.say(one, "bulk")
        await until(lambda: health.parts[DISK] is not None, seconds=20)
        assert "No space left" in (health.parts[DISK] or "")
        await until(lambda: refused(box), seconds=5)
        call = batch([press(7)])
        box.say(call)
        await asyncio.sleep(1)

        filler.unlink()
        await until(lambda: health.ready, seconds=45)
        await until(lambda: call.stream in streams(box))
        for one in many:  # as boxes do without a receipt
            box.say(one, "bulk")
        await until(lambda: {one.stream for one in many} <= streams(box), seconds=30)

    await asyncio.to_thread(small.kill)
    await asyncio.to_thread(small.restart)
    (row,) = await look(
        where.dsn(),
        "SELECT count(*) AS n, count(DISTINCT occurred) AS d FROM observation WHERE kind = 2",
    )
    assert row == {"n": 50_000, "d": 50_000}


async def test_a_broker_whose_disk_is_full_carries_on_and_starts_again(
    fresh_database: OneDatabase, disk: Path, tmp_path: Path
) -> None:
    """It is a wire: what it could not save is sent again by who has no receipt. It says nothing."""
    await furnish(fresh_database.dsn())
    folder = tmp_path / "broker"
    folder.mkdir()
    (folder / "store").symlink_to(disk)
    broker = Broker.start(folder, passwords=USERS)
    async with ingest(fresh_database, broker) as health:
        await until(lambda: health.ready)
        fill(disk, free=0)
        os.kill(broker.pid, signal.SIGUSR1)  # save now (mosquitto(8))
        await until((disk / "mosquitto.db").exists)
        assert await answered(broker)

        await asyncio.to_thread(broker.kill)
        await until(lambda: not health.ready)
        await asyncio.to_thread(broker.restart)

        await until(lambda: health.ready)
        assert await answered(broker)
    broker.stop()


async def answered(broker: Broker) -> bool:
    """Whether a call gets its receipt."""
    call = batch([press(7)])
    async with Box(broker) as box:
        box.say(call)
        await until(lambda: call.stream in streams(box))
    return True


def refused(box: Box) -> bool:
    """Whether nobody takes telemetry now; asked with a message that is none."""
    box.say(b"probe", "bulk")
    return NOBODY_TAKES_IT in box.answers


def streams(box: Box) -> set[str]:
    return {name for one in box.receipts() for name in one["streams"]}


def taken(health: Health) -> float | None:
    return health.registry.get_sample_value("trygport_telemetry_taken")

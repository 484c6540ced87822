"""A box that is killed amid a download has every record once; a saboteur is seen to lose some."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.world.bluez import Bluez
from deploy.world.health_records import GlucoseMeter
from edge.keeping.spool import Spool
from tests.edge.frames import HandClock
from tests.edge.hearing import left
from tests.edge.test_stored import sugars

ROOT = Path(__file__).parents[2]
RECORDS, KILLED_AT = 50, 35
HONEST, SABOTEUR = "C8:2B:96:00:00:41", "C8:2B:96:00:00:42"


@asynccontextmanager
async def box(spool: Path, meter: GlucoseMeter, name: str) -> AsyncGenerator[None]:
    """An agent in a process of its own; the end is SIGKILL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.edge.fetching", str(spool), meter.address, name),
        cwd=ROOT,
        env=os.environ,
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def fetched(bluez: Bluez, spool: Path, address: str, name: str) -> Counter[tuple[str, int]]:
    """What is in the spool of a box that was killed amid the download, and again after the next."""
    meter = GlucoseMeter(address)
    meter.pause = 0.01
    meter.measure(*sugars(1, RECORDS))
    bluez.add(meter)
    sent = list[bytes]()
    meter.services[0].characteristics[0].listeners.append(sent.append)

    async with box(spool, meter, name):
        await sends(meter, sent, KILLED_AT)
    meter.drop()  # BlueZ would keep the link of a killed agent until the next one ends it
    async with box(spool, meter, name):
        await sends(meter, sent, len(sent) + 1)
        await left(meter)
    return records(spool)


async def sends(meter: GlucoseMeter, sent: list[bytes], count: int) -> None:
    """It advertises until it is connected to, and has then sent so many records."""
    while len(sent) < count:
        if not meter.connected_to:
            meter.rssi ^= 1  # else BlueZ has nothing to tell of it
            meter.advertise()
        await asyncio.sleep(0.05)


def records(path: Path) -> Counter[tuple[str, int]]:
    """Characteristic and number of each record that is on disk."""
    found = Counter[tuple[str, int]]()
    with Spool(path, HandClock()) as spool:
        place = None
        while (run := spool.cut("bulk", place, frames=500, octets=1_000_000)) is not None:
            place = run.following
            for said in map(json.loads, run.frames):
                number = int.from_bytes(bytes.fromhex(said["value"])[1:3], "little")
                found[said["uuid"], number] += 1
    return found


async def test_fifty_stored_records_survive_a_kill_amid_their_download(
    bluez: Bluez, tmp_path: Path
) -> None:
    honest, late = await asyncio.gather(
        fetched(bluez, tmp_path / "honest", HONEST, "honest"),
        fetched(bluez, tmp_path / "late", SABOTEUR, "late"),
    )

    every = [("2a18", n) for n in range(1, RECORDS + 1)]
    every += [("2a34", n) for n in range(2, RECORDS + 1, 2)]
    assert honest == Counter(every)
    lost = Counter(every) - late
    assert lost

"""An hour of phones that pass by, each under an address of its own, leaves nothing in memory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from deploy.world.bench.edge_hearing import Ears, listening
from deploy.world.bench.figures import resident_mb
from deploy.world.bench.receipting import start_broker
from deploy.world.bluez_faults import Pace
from deploy.world.capture import passers_by

OURS = "A4:C1:38:00:00:01"
A_SECOND = 300
FORGOTTEN = 0.5
"""Seconds until the emulated BlueZ forgets who is gone; thirty in life, at a tenth of the rate."""
WARM, SOME, AN_HOUR = 900, 1_500, 115_200
GROWTH_MB = 1.5
"""What may be added by all of them; one that is remembered costs some four thousandths."""


@pytest.mark.timeout(90)
async def test_who_passes_by_is_not_remembered(tmp_path: Path) -> None:
    await let_pass(SOME, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_nobody_of_an_hour_is_remembered(tmp_path: Path) -> None:
    await let_pass(AN_HOUR, tmp_path)


async def let_pass(count: int, tmp_path: Path) -> None:
    everybody = passers_by(WARM + count)
    async with ears(tmp_path) as heard:
        await heard.air.pass_by(islice(everybody, WARM), A_SECOND)
        await asyncio.sleep(2 * FORGOTTEN)
        before = sizes(heard)
        await heard.air.pass_by(everybody, A_SECOND)
        await asyncio.sleep(2 * FORGOTTEN)
        box, saboteur = (after - start for after, start in zip(sizes(heard), before, strict=True))

    print(f"{count} passers-by: the box {box:.2f} MB, the saboteur {saboteur:.2f} MB")  # noqa: T201
    assert box < GROWTH_MB
    assert saboteur > GROWTH_MB, "the same scanner with a memory is seen to grow"


@asynccontextmanager
async def ears(folder: Path) -> AsyncGenerator[Ears]:
    """The box, and the saboteur beside it on the same bus."""
    place = await asyncio.to_thread(start_broker, folder / "broker", "bench-box")
    try:
        pace = Pace(temporary=FORGOTTEN)
        async with listening(folder, place, [OURS], bare="remember", pace=pace) as heard:
            yield heard
    finally:
        await asyncio.to_thread(place.broker.stop)


def sizes(heard: Ears) -> tuple[float, float]:
    assert heard.bare is not None
    return resident_mb(heard.box.pid), resident_mb(heard.bare.pid)

"""Telemetry makes way for calls, and stands still for neither long nor without a call."""

import asyncio
from time import monotonic

import pytest

from gateway.ingest.way import Way

pytestmark = pytest.mark.alone


async def waited(way: Way, worker: int) -> float:
    begun = monotonic()
    await way.clear(worker)
    return monotonic() - begun


@pytest.mark.parametrize("worker", [0, 1])
async def test_without_a_call_nobody_waits(worker: int) -> None:
    assert await waited(Way(), worker) < 0.01


async def test_after_a_call_one_worker_rests_a_little_and_works() -> None:
    way = Way()
    way.calling()

    assert 0.02 < await waited(way, 0) < 0.09


async def test_after_a_call_the_others_wait_until_it_is_through() -> None:
    way = Way()
    way.calling()

    assert 0.09 < await waited(way, 1) < 0.5


async def test_while_calls_come_one_worker_works_and_the_others_wait() -> None:
    way, worked = Way(), [0, 0]

    async def work(worker: int) -> None:
        while True:
            await way.clear(worker)
            worked[worker] += 1
            await asyncio.sleep(0.001)

    way.calling()
    workers = [asyncio.create_task(work(worker)) for worker in (0, 1)]
    for _ in range(10):
        await asyncio.sleep(0.03)
        way.calling()
    for one in workers:
        one.cancel()

    assert worked[0] >= 3
    assert worked[1] == 0

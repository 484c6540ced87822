"""CPU time is counted to the part that spent it, and to nobody while it waits."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from gateway.health import Health
from gateway.ingest.timing import Timing

_T = TypeVar("_T")


def work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def test_only_a_coroutines_own_steps_are_counted() -> None:
    timing = Timing(Health())
    turn = asyncio.Event()

    async def ours() -> str:
        work(0.02)
        await turn.wait()
        work(0.02)
        return "done"

    async def others() -> None:
        await asyncio.sleep(0)
        work(0.1)
        turn.set()

    said, _ = await asyncio.gather(_awaited(timing, ours()), others())

    assert said == "done"
    assert 0.04 <= timing.copy.seconds < 0.1


async def test_a_fault_thrown_in_while_waiting_reaches_the_coroutine() -> None:
    timing, seen = Timing(Health()), list[str]()

    async def cleans_up() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(_awaited(timing, cleans_up()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_an_error_comes_out_as_it_was_raised() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await Timing(Health()).ledger.of(fails())


def test_the_parts_are_exported() -> None:
    health = Health()
    timing = Timing(health)

    with timing.parse:
        work(0.01)

    said = health.registry.get_sample_value("trygport_ingest_cpu_seconds_total", {"part": "parse"})
    assert said == timing.parse.seconds >= 0.01


async def _awaited(timing: Timing, coroutine: Coroutine[Any, Any, _T]) -> _T:
    return await timing.copy.of(coroutine)

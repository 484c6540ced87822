"""Watch and notify at work: from a stored press to its notice, side by side."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
import standardwebhooks

from adapters.observation import Kind
from gateway import watch
from gateway.clock import WallClock
from gateway.health import Health
from gateway.notify import outbox
from tests.gateway.hook import Answer, Got, Hook
from tests.gateway.house import House, Seen
from tests.gateway.notify.outgoing import SECRET
from tests.gateway.watching import caller

pytestmark = pytest.mark.alone


@contextlib.asynccontextmanager
async def running(home: House, receiver: Hook) -> AsyncGenerator[Health]:
    """Watch and notify as `gateway run` runs them."""
    settings = home.settings(webhook_url=receiver.url, webhook_secret=SECRET)
    clock, health = WallClock(), Health()
    stages = [
        asyncio.create_task(watch.run(settings, clock, health)),
        asyncio.create_task(outbox.run(settings, clock, health)),
    ]
    await asyncio.sleep(1)
    try:
        yield health
    finally:
        for stage in stages:
            stage.cancel()
        await asyncio.gather(*stages, return_exceptions=True)


async def got(receiver: Hook, count: int, seconds: float = 5) -> list[Got]:
    async with asyncio.timeout(seconds):
        while len(receiver.got) < count:  # noqa: ASYNC110 - the other side of a socket
            await asyncio.sleep(0.002)
    return receiver.got


async def test_from_a_stored_press_to_its_notice_takes_less_than_a_tenth_of_a_second(
    home: House, receiver: Hook
) -> None:
    citizen, button = await caller(home)
    took: list[float] = []
    async with running(home, receiver) as health:
        for number in range(20):
            press = Seen(button, Kind.CALL_PRESSED, datetime.now(UTC), value=float(number))
            await home.deliver([citizen], [press])
            stored = asyncio.get_running_loop().time()
            took.append((await got(receiver, number + 1))[-1].at - stored)

    assert health.ready
    assert sorted(took)[len(took) // 2] < 0.1
    verify = standardwebhooks.Webhook(SECRET).verify
    types = [verify(one.body, one.headers)["type"] for one in receiver.got]
    assert types == ["alert.raised"] + ["alert.again"] * 19


async def test_a_slow_answer_does_not_delay_the_next_notice(home: House, receiver: Hook) -> None:
    calling = [await caller(home) for _ in range(9)]
    receiver.answer = lambda _: Answer(wait=3 if len(receiver.got) <= 8 else 0)
    async with running(home, receiver):
        start = asyncio.get_running_loop().time()
        for citizen, button in calling:
            press = Seen(button, Kind.CALL_PRESSED, datetime.now(UTC), value=1.0)
            await home.deliver([citizen], [press])
        ninth = (await got(receiver, 9))[8]

    assert ninth.at - start < 1.5


async def test_without_a_webhook_nothing_waits_to_be_sent(home: House) -> None:
    citizen, button = await caller(home)
    stage = asyncio.create_task(watch.run(home.settings(), WallClock(), Health()))
    await home.deliver([citizen], [Seen(button, Kind.CALL_PRESSED, datetime.now(UTC), value=1.0)])

    while await home.count("pending"):  # noqa: ASYNC110 - another connection's work
        await asyncio.sleep(0.02)
    stage.cancel()
    await asyncio.gather(stage, return_exceptions=True)

    assert (await home.count("alert"), await home.count("notice")) == (1, 0)

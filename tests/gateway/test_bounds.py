"""Everything that could grow has an end: what comes, what goes, and what is remembered."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.runtime.services import Broker, OneDatabase
from gateway.ingest.batches import read_batch
from gateway.ingest.known import Known
from gateway.store.seal import NO_KEYS
from tests.conftest import GATEWAY_PASSWORD
from tests.frames import batch, door
from tests.gateway.ingest_home import Box, delivery, parts, until
from tests.gateway.test_subscriber import next_of, subscribed


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    passwords = {"gateway-urgent": GATEWAY_PASSWORD, "box-01": "box-01"}
    started = Broker.start(tmp_path / "broker", passwords=passwords)
    yield started
    started.stop()


async def test_no_more_comes_than_the_receive_maximum_and_one_for_each_that_is_let_go(
    own_broker: Broker,
) -> None:
    async with subscribed(own_broker, most=20) as (subscriber, _), Box(own_broker) as box:
        for number in range(100):
            box.say(b"%d" % number)
        await until(lambda: len(box.answers) == 100)
        await asyncio.sleep(0.3)
        first = await subscriber.take(100, octets=10_000)
        assert len(first) == 20
        assert await next_of(subscriber) is None

        for one in first[:3]:
            subscriber.acknowledge(one)

        await asyncio.sleep(0.3)
        assert [one.payload for one in await subscriber.take(100, octets=10_000)] == [
            b"20",
            b"21",
            b"22",
        ]
        assert await next_of(subscriber) is None


async def test_what_a_broker_that_hangs_does_not_take_is_refused_and_not_kept(
    own_broker: Broker,
) -> None:
    async with subscribed(own_broker) as (subscriber, _), Box(own_broker):
        assert subscriber.publish("edges/box-01/receipt", b"{}") is not None
        os.kill(own_broker.pid, signal.SIGSTOP)
        try:
            receipt = b"x" * 1_000
            taken = 0
            while subscriber.publish("edges/box-01/receipt", receipt) is not None:
                taken += 1
                assert taken < 100_000
        finally:
            os.kill(own_broker.pid, signal.SIGCONT)
    assert taken > 1_000, "a storm of receipts has room"


async def test_boxes_that_invent_devices_fill_no_memory(fresh_database: OneDatabase) -> None:
    async with parts(fresh_database) as ingest:
        known = Known(ingest.pool, NO_KEYS, most=50)
        task = asyncio.create_task(known.run())
        sizes: list[int] = []
        for start in range(0, 200, 10):
            frames = [door(device=f"AA:00:00:00:00:{n:02X}") for n in range(start, start + 10)]
            message = delivery(batch(frames))
            picture = await known.look_up([read_batch(message.topic, message.payload)], [])
            sizes.append(len(picture.devices))
        task.cancel()
        await asyncio.wait([task])

    assert max(sizes) <= 60

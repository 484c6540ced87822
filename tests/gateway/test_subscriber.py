"""The session with the broker: held back, delivered again, never acknowledged by mistake."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.runtime.services import Broker
from gateway.ingest.subscriber import Broker as Where
from gateway.ingest.subscriber import Subscriber
from tests.conftest import GATEWAY_PASSWORD
from tests.gateway.ingest_home import Box, until

TOPICS = ("edges/+/urgent",)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    passwords = {"gateway-urgent": GATEWAY_PASSWORD, "box-01": "box-01"}
    started = Broker.start(tmp_path / "broker", passwords=passwords)
    yield started
    started.stop()


@asynccontextmanager
async def subscribed(
    broker: Broker, *, most: int = 1, password: str = GATEWAY_PASSWORD
) -> AsyncGenerator[tuple[Subscriber, list[str | None]]]:
    """A session and all that it said of its connection."""
    said: list[str | None] = []
    where = Where(host="127.0.0.1", port=broker.gateway_port, password=password)
    subscriber = Subscriber(
        where, "gateway-urgent", TOPICS, receive_maximum=most, changed=said.append
    )
    task = asyncio.create_task(subscriber.run())
    await until(lambda: bool(said))
    try:
        yield subscriber, said
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def next_of(subscriber: Subscriber) -> bytes | None:
    """The next message, if one comes soon."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            (delivery,) = await subscriber.take(1, octets=1_000)
            return delivery.payload
    return None


async def test_the_broker_holds_back_what_is_beyond_the_unacknowledged(own_broker: Broker) -> None:
    async with subscribed(own_broker) as (subscriber, _), Box(own_broker) as box:
        box.say(b"a")
        box.say(b"b")
        (first,) = await subscriber.take(10, octets=1_000)
        assert await next_of(subscriber) is None

        subscriber.acknowledge(first)

        assert await next_of(subscriber) == b"b"


async def test_an_acknowledgement_of_a_lost_connection_is_dropped(own_broker: Broker) -> None:
    async with subscribed(own_broker) as (subscriber, said), Box(own_broker) as box:
        box.say(b"a")
        box.say(b"b")
        (old,) = await subscriber.take(10, octets=1_000)
        await asyncio.to_thread(own_broker.restart)
        await until(lambda: said[-1] is None and len(said) > 1)
        (again,) = await subscriber.take(10, octets=1_000)
        assert again.payload == b"a"

        subscriber.acknowledge(old)
        assert await next_of(subscriber) is None

        subscriber.acknowledge(again)
        assert await next_of(subscriber) == b"b"


async def test_messages_wait_for_a_gateway_that_restarts(own_broker: Broker) -> None:
    async with Box(own_broker) as box:
        async with subscribed(own_broker):
            pass
        box.say(b"a")

        async with subscribed(own_broker) as (subscriber, _):
            assert await next_of(subscriber) == b"a"


async def test_a_refused_password_is_said(own_broker: Broker) -> None:
    async with subscribed(own_broker, password="wrong") as (subscriber, said):  # noqa: S106 - wrong
        assert said[0] is not None
        assert "Not authorized" in said[0]
        assert subscriber.publish("edges/box-01/receipt", b"{}") is None


async def test_many_small_messages_are_taken_together_up_to_a_size(own_broker: Broker) -> None:
    async with subscribed(own_broker, most=100) as (subscriber, _), Box(own_broker) as box:
        for _ in range(20):
            box.say(b"x" * 100)
        await asyncio.sleep(0.5)

        assert len(await subscriber.take(5, octets=10_000)) == 5
        assert len(await subscriber.take(50, octets=1_000)) == 10
        assert len(await subscriber.take(50, octets=1)) == 1

"""An outbox whose receiver is a real HTTP server."""

from collections.abc import AsyncIterator

import pytest

from gateway.notify.outbox import Outbox
from gateway.notify.webhook import webhook
from gateway.store.pool import Pool, connect
from tests.gateway.hook import Hook, hook
from tests.gateway.house import House, StillClock
from tests.gateway.notify.outgoing import NOW, SECRET


@pytest.fixture
async def receiver() -> AsyncIterator[Hook]:
    async with hook() as made:
        yield made


@pytest.fixture
async def pool(home: House) -> AsyncIterator[Pool]:
    async with connect(home.settings(), "notify") as opened:
        yield opened


@pytest.fixture
def clock() -> StillClock:
    return StillClock(NOW)


@pytest.fixture
async def box(pool: Pool, receiver: Hook, clock: StillClock) -> AsyncIterator[Outbox]:
    async with webhook(receiver.url, SECRET, production=True) as channel:
        yield Outbox(pool, clock, {"webhook": channel})

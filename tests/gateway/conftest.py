"""A house in a database of the test's own, and the connections that watch has to it."""

from collections.abc import AsyncIterator

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.pool import Pool, connect
from tests.gateway.house import House, house


@pytest.fixture
async def home(fresh_database: OneDatabase) -> AsyncIterator[House]:
    async with house(fresh_database) as made:
        yield made


@pytest.fixture
async def pool(home: House) -> AsyncIterator[Pool]:
    async with connect(home.settings(), "watch") as opened:
        yield opened

"""A house in a database of the test's own, watch's connections to it, and the whole chain."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from deploy.runtime.services import Database, OneDatabase
from gateway.store.pool import Pool, connect
from tests.conftest import TEMPLATE
from tests.gateway.chain import Chain, chain
from tests.gateway.house import House, house


@pytest.fixture
async def home(fresh_database: OneDatabase) -> AsyncIterator[House]:
    async with house(fresh_database) as made:
        yield made


@pytest.fixture
async def pool(home: House) -> AsyncIterator[Pool]:
    async with connect(home.settings(), "watch") as opened:
        yield opened


@pytest.fixture
def quiet() -> Iterator[None]:
    """Refusals with their locals on the screen take seconds to draw."""
    with capture_logs():
        yield


@pytest.fixture(scope="module")
def emptied(database: Database) -> Iterator[OneDatabase]:
    """One database for all tests of a file, emptied before each: sixty copies take a minute."""
    made = database.create(f"chained_{secrets.token_hex(6)}", template=TEMPLATE)
    yield made
    database.drop(made.name)


@pytest.fixture
async def chained(emptied: OneDatabase) -> AsyncIterator[Chain]:
    """A home whose frames go through ingest, database and rules, in a file's own database."""
    async with chain(emptied) as made:
        yield made

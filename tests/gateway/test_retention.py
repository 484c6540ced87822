"""Raw messages are let go by the day, observations never are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.timescale_helpers import drop_messages, edition
from tests.frames import NOON, batch, door
from tests.gateway.ingest_home import Parts, parts

AT_NOON = datetime.fromtimestamp(NOON / 1_000, UTC)


@pytest.fixture
async def ingest(fresh_database: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(fresh_database) as made:
        yield made


async def test_only_old_messages_are_dropped(ingest: Parts) -> None:
    await ingest.store(batch([door()]))
    ingest.clock.at = AT_NOON + timedelta(days=9)
    await ingest.store(batch([door()]))

    dropped = await drop_messages(ingest.pool, ingest.clock.at - timedelta(days=7))

    assert dropped == 1
    (kept,) = await ingest.rows("SELECT received FROM message")
    assert kept["received"] == ingest.clock.at
    assert len(await ingest.rows("SELECT FROM observation")) == 2


async def test_the_server_says_which_edition_it_is(ingest: Parts) -> None:
    assert await edition(ingest.pool) == "apache"

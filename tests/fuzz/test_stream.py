"""Ingest never stops: behind whatever was sent, a good message is stored within a second."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from structlog.testing import capture_logs

from deploy.runtime.services import OneDatabase
from gateway.ingest.batches import Rejected, read_batch
from gateway.ingest.pipeline import Pipeline
from gateway.ingest.subscriber import Delivery
from tests.fuzz import hostile
from tests.fuzz.stream import Message, Stream, messages, stream


class TrustingPipeline(Pipeline):
    """The saboteur: reads without minding that it may not be readable."""

    async def store(self, deliveries: Sequence[Delivery]) -> Mapping[str, bytes]:
        for one in deliveries:
            read_batch(one.topic, one.payload)
        return await super().store(deliveries)


@pytest.fixture
async def ingest(fresh_database: OneDatabase) -> AsyncIterator[Stream]:
    async with stream(fresh_database) as made:
        yield made


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.mark.slow
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[*hostile.UNHURRIED, HealthCheck.function_scoped_fixture],
)
@given(said=messages)
async def test_a_good_message_is_stored_within_a_second_of_anything(
    ingest: Stream, said: Sequence[Message]
) -> None:
    await ingest.withstand(said)


async def test_a_reader_that_trusts_what_it_gets_is_found_out(fresh_database: OneDatabase) -> None:
    async with stream(fresh_database, TrustingPipeline) as trusting:
        with pytest.raises(Rejected):
            await trusting.withstand([("bulk", b"garbage")])

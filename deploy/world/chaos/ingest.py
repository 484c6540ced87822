"""The stage `ingest` with a pipeline that breaks the promise, as a process.

`python -m deploy.world.chaos.ingest SABOTEUR`; its settings are the gateway's, from the
environment.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from uuid import UUID

from deploy.world.chaos.saboteurs import LEDGER, RECEIPT_FIRST
from gateway import log
from gateway.clock import clock_from
from gateway.health import Health
from gateway.ingest import run as ingest
from gateway.ingest.batches import Arrival, Rejected, read_batch
from gateway.ingest.harvest import Harvest
from gateway.ingest.pipeline import Pipeline
from gateway.ingest.subscriber import Delivery
from gateway.settings import Settings
from gateway.store import streams
from gateway.store.known import Edge
from gateway.store.pool import DatabaseDown
from gateway.store.ranges import add
from gateway.store.streams import Stream

_AGAIN = 0.5
_GATHERS = 0.5


class AsksNoLedger(Harvest):
    """Stores every batch as if none of it had ever come before."""

    def take(self, arrival: Arrival, edge: Edge, stream: Stream, number: int) -> None:
        before, stream.received = stream.received, []
        super().take(arrival, edge, stream, number)
        for part in before:
            add(stream.received, part)


class WithoutLedger(Pipeline):
    """The lane whose harvest asks no ledger."""

    harvest = AsksNoLedger


class ReceiptFirst(Pipeline):
    """Says "stored" when it has the message in memory, and stores it a moment later."""

    _life: UUID | None = None

    async def store(self, deliveries: Sequence[Delivery]) -> Mapping[str, bytes]:
        if self._life is None:
            self._life = await streams.epoch(self._pool)
        self._say_stored(deliveries, self._life)
        await asyncio.sleep(_GATHERS)
        return await super().store(deliveries)

    def _say_stored(self, deliveries: Sequence[Delivery], epoch: UUID) -> None:
        for delivery in deliveries:
            try:
                arrival = read_batch(delivery.topic, delivery.payload)
            except Rejected:
                continue
            said = {str(arrival.stream): [(arrival.batch.first, arrival.last)]}
            receipt = {"format": 1, "epoch": str(epoch), "streams": said}
            self._subscriber.publish(f"edges/{arrival.edge}/receipt", json.dumps(receipt).encode())
            self._subscriber.acknowledge(delivery)


PIPELINES: Mapping[str, type[Pipeline]] = {LEDGER: WithoutLedger, RECEIPT_FIRST: ReceiptFirst}


async def _stage(pipeline: type[Pipeline]) -> None:
    """The stage for ever, started again when it fails, as the gateway would."""
    settings = Settings.read()
    log.set_up(settings.log)
    clock, health = clock_from(settings.clock), Health()
    while True:
        try:
            await ingest.run(settings, clock, health, pipeline=pipeline)
        except* DatabaseDown:
            await asyncio.sleep(_AGAIN)


if __name__ == "__main__":
    asyncio.run(_stage(PIPELINES[sys.argv[1]]))

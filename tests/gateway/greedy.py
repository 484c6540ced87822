"""The saboteur of the bound on memory, as a program: an ingest that takes whatever comes."""

import asyncio

from gateway.clock import clock_from
from gateway.health import Health
from gateway.ingest.run import Sharing, run
from gateway.ingest.subscriber import Delivery, Subscriber
from gateway.settings import Settings


class Greedy(Subscriber):
    """Acknowledges at once, as clients do that are left to themselves, and queues what it has."""

    def _arrive(self, delivery: Delivery) -> None:
        super()._arrive(delivery)
        self.acknowledge(delivery)


if __name__ == "__main__":
    settings = Settings.read()
    clock = clock_from(settings.clock)
    asyncio.run(run(settings, clock, Health(), sharing=Sharing(session=Greedy)))

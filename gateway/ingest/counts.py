"""What went through a lane, for /metrics."""

from collections.abc import Sequence

from adapters.frame import Lane
from gateway.health import Health
from gateway.ingest.harvest import Harvest
from gateway.store.events import WORDS
from gateway.store.quarantine import AsideMessage


class Counts:
    """What went through, for /metrics."""

    def __init__(self, lane: Lane, health: Health) -> None:
        labels = ("lane",)
        self._messages = health.counter("messages", "batches stored", labels).labels(lane)
        self._rows = health.counter("observations", "observations stored", labels).labels(lane)
        self._aside = health.counter("set_aside", "what was not understood", ("lane", "reason"))
        self._waiting = health.counter("waiting", "batches refused for holes", labels).labels(lane)
        self._events = health.counter("box_events", "what boxes said of themselves", ("word",))
        self._lane = lane

    def stored(self, harvest: Harvest, rejected: Sequence[AsideMessage]) -> None:
        self._messages.inc(len(harvest.messages))
        self._rows.inc(len(harvest.rows))
        self._waiting.inc(len(harvest.waiting))
        for event in harvest.events:
            self._events.labels(event.word if event.word in WORDS else "other").inc()
        for one in (*harvest.aside, *rejected):
            self._aside.labels(self._lane, one.reason).inc()
        for counted, times in harvest.counted.items():
            self._aside.labels(self._lane, counted.reason).inc(times)

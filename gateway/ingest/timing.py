"""What each part of the way from message to row costs: CPU time of this thread, for /metrics."""

import time
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

from prometheus_client import Counter

from gateway.health import Health

_T = TypeVar("_T")


class Part:
    """One part of the way. Waiting costs nothing, and what others do meanwhile is not counted."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._since = 0.0
        self.seconds = 0.0

    def __enter__(self) -> None:
        """Count a block that does not await."""
        self._since = time.thread_time()

    def __exit__(self, *_: object) -> None:
        spent = time.thread_time() - self._since
        self.seconds += spent
        self._counter.inc(spent)

    def of(self, coroutine: Coroutine[Any, Any, _T]) -> "_Counted[_T]":
        """Count a coroutine's own steps; to be awaited."""
        return _Counted(self, coroutine)


class _Counted(Generic[_T]):
    """Drives a coroutine as `await` does, and counts from each resuming to the next waiting."""

    def __init__(self, part: Part, coroutine: Coroutine[Any, Any, _T]) -> None:
        self._part = part
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, _T]:
        answer: Any = None
        step = self._coroutine.send
        while True:
            try:
                with self._part:
                    waiting = step(answer)
            except StopIteration as done:
                return done.value
            try:
                answer, step = (yield waiting), self._coroutine.send
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as fault:  # noqa: BLE001 - it is the coroutine's to deal with
                answer, step = fault, self._coroutine.throw


class Timing:
    """The parts: bytes to batch, frames to rows, the ledger's statements, and COPY.

    What is left of the process's time is the line to the broker, the loop, and asyncpg's reading
    of answers. Seconds also stand in `trygport_ingest_cpu_seconds_total{part}`.
    """

    def __init__(self, health: Health) -> None:
        counter = health.counter("ingest_cpu_seconds", "CPU time of ingest's own work", ("part",))
        self.parse = Part(counter.labels("parse"))
        self.decode = Part(counter.labels("decode"))
        self.ledger = Part(counter.labels("ledger"))
        self.copy = Part(counter.labels("copy"))

"""Connects to one device after another, by their hearing plans: the queue for connections."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol

from adapters.frame import Frame, Lane
from edge.clock import Clock
from edge.config import Config
from edge.connection import STEP, Client, Records, Visit, VisitFailed
from edge.visits import Visits

VISITING = 120.0
"""Seconds for a whole visit beyond the plan's listening; then the next device has its turn."""

_log = logging.getLogger(__name__)


class Connect(Protocol):
    """Makes a link to a device that is heard, and ends it whatever happens within.

    `left` is called when the device itself ends the link. Raises VisitFailed for all that
    goes wrong with the radio, also within.
    """

    def __call__(
        self, address: str, left: Callable[[], None], /
    ) -> AbstractAsyncContextManager[Client]: ...


class Visitor:
    """One connection at a time: connections are few, and a device in one says nothing else.

    `keep` must have the frames on disk when it returns.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        keep: Callable[[Sequence[Frame], Lane], None],
        records: Records,
        connect: Connect,
        step: float = STEP,
    ) -> None:
        self._clock = clock
        self._keep = keep
        self._records = records
        self._connect = connect
        self._step = step
        self._config = Config()
        self._visits = Visits()
        self._due = asyncio.Event()

    def follow(self, config: Config) -> None:
        """Visit what this configuration names, from now on."""
        self._config = config
        self._visits.follow(config, _now())
        self._due.set()

    def heard(self, address: str) -> None:
        """A device has advertised news."""
        if self._visits.heard(address, _now()):
            self._due.set()

    async def run(self) -> None:
        """Visit until cancelled. Raises what `keep` raises."""
        while True:
            address = self._visits.next(_now())
            if address is None:
                await self._until_due()
                continue
            self._visits.begun(address)
            well = await self._visit(address)
            self._visits.ended(address, _now(), well=well)

    async def _until_due(self) -> None:
        due = self._visits.wakes()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._due.wait()
        self._due.clear()

    async def _visit(self, address: str) -> bool:
        listed = self._config.devices.get(address)
        if listed is None or listed.connect is None:
            return False
        visit = Visit(
            device=address,
            plan=listed.connect,
            clock=self._clock,
            records=self._records,
            step=self._step,
            keep=lambda frames: self._keep(frames, listed.lane),
        )
        try:
            async with asyncio.timeout(VISITING + listed.connect.listen_seconds):
                async with self._connect(address, visit.left.set) as client:
                    await visit.run(client)
        except (TimeoutError, VisitFailed) as fault:
            _log.info("%s: the visit failed: %s", address, fault or type(fault).__name__)
            return False
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()

"""Whether the database's disk has room for telemetry; while it has not, the boxes keep theirs."""

import asyncio
import shutil
from pathlib import Path

from gateway import log
from gateway.health import Health
from gateway.ingest.subscriber import Subscriber
from gateway.settings import Settings

EVERY = 5.0
"""Seconds between two looks: at 60 MB/s of rows a sixth of the usual least passes meanwhile."""
FULL = 30.0
"""Seconds in which telemetry is not tried after the database itself said that its disk is full."""

_PART = "ingest bulk: disk"
_MORE = 1.1  # times the least, to take telemetry again: not one message at a time
_log = log.get(__name__)


class Room:
    """Telemetry is refused before calls are: what is left of the disk is theirs.

    Refused means that the session for telemetry is closed. As it ends with its connection, the
    broker tells each box that nobody takes its message, and holds nothing itself.
    """

    def __init__(
        self, settings: Settings, health: Health, *, every: float = EVERY, full: float = FULL
    ) -> None:
        self._folder: Path | None = settings.database_folder
        self._least = settings.least_free
        self._health = health
        self._every = every
        self._full = full
        self._full_until = 0.0
        self._why: str | None = None
        self._free = health.gauge("database_free_bytes", "room on the database's disk")
        self._taken = health.gauge("telemetry_taken", "1, or 0 while the disk is too full for it")
        self._there, self._gone = asyncio.Event(), asyncio.Event()
        self._say(None)

    def full(self, why: str) -> None:
        """The database could not write: it says that its disk is full."""
        self._full_until = asyncio.get_running_loop().time() + self._full
        self._say(why)

    async def wait(self) -> None:
        """Until there is room."""
        await self._there.wait()

    async def run(self) -> None:
        """Look at the disk until cancelled."""
        while True:
            try:
                why = await self._look()
            except OSError as fault:
                # not to be seen is not full: the database itself will say so
                _log.warning("the database's disk cannot be looked at", why=str(fault))
                why = None
            if asyncio.get_running_loop().time() >= self._full_until:
                self._say(why)
            await asyncio.sleep(self._every)

    async def while_there(self, telemetry: Subscriber) -> None:
        """Keep the session connected while there is room, and closed while there is none."""
        while True:
            await self._there.wait()
            async with asyncio.TaskGroup() as group:
                session = group.create_task(telemetry.run())
                await self._gone.wait()
                session.cancel()

    async def _look(self) -> str | None:
        if self._folder is None:
            return None
        free = (await asyncio.to_thread(shutil.disk_usage, self._folder)).free
        self._free.set(free)
        least = self._least * (1 if self._why is None else _MORE)
        return f"only {free // 1_000_000} MB are free for the database" if free < least else None

    def _say(self, why: str | None) -> None:
        if why is None:
            self._health.ok(_PART)
            self._there.set()
            self._gone.clear()
        else:
            self._health.bad(_PART, f"telemetry is left with the boxes: {why}")
            self._there.clear()
            self._gone.set()
        if why is None and self._why is not None:
            _log.info("telemetry is taken again")
        elif why is not None and self._why is None:
            _log.error("telemetry is left with the boxes", why=why)
        self._taken.set(why is None)
        self._why = why

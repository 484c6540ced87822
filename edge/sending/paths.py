"""Both ways to the gateway as one: the first for everything, the second for calls that wait."""

import asyncio
import logging
from collections.abc import Callable

from edge.broker import Link
from edge.clock import Clock
from edge.event import Say
from edge.keeping.spool import Spool, SpoolFailed
from edge.sending.heartbeat import Heartbeat
from edge.sending.path import Path, Way
from edge.sending.uplink import Uplink

AFTER = 20.0
"""Seconds without a receipt after which a call is tried on the second way.

A first way that is dead without a word is noticed after ten, and opened again in two or three.
"""

_AGAIN = 60.0  # seconds after which a second way that failed by a fault of ours is begun anew
_log = logging.getLogger(__name__)


class Paths:
    """The uplinks of one box; `second` is None where there is but one way."""

    def __init__(
        self,
        spool: Spool,
        first: Link,
        second: Link | None,
        clock: Clock,
        *,
        heartbeat: Heartbeat,
        say: Say,
        on_config: Callable[[bytes], None],
        on_command: Callable[[bytes], None] = lambda _: None,
        after: float = AFTER,
    ) -> None:
        self._spool = spool
        self._beat = heartbeat
        self._say = say
        way = Way(None if second is None else after, self._changed)
        ways: list[tuple[Path, Link | None]] = [(1, first), (2, second)]
        self._ways = [
            Uplink(
                spool,
                link,
                clock,
                heartbeat=heartbeat,
                on_config=on_config,
                on_command=on_command,
                way=way,
                path=path,
            )
            for path, link in ways
            if link is not None
        ]
        self.first = self._ways[0]
        spool.woken = self._wake

    @property
    def connected(self) -> bool:
        """Whether a broker is there, by whichever way."""
        return any(way.online.is_set() for way in self._ways)

    async def run(self) -> None:
        """Send, until cancelled. Raises SpoolFailed."""
        first, *others = self._ways
        async with asyncio.TaskGroup() as group:
            group.create_task(first.run())
            for other in others:
                group.create_task(_unharmed(other))

    def tell(self) -> None:
        """Send a state message now by each way that is open."""
        for way in self._ways:
            way.tell()

    def reply(self, payload: bytes) -> None:
        """Answer a command by a way that is open, or by the first when it opens."""
        next((way for way in self._ways if way.online.is_set()), self.first).reply(payload)

    def follow(self, first: Link, second: Link | None) -> None:
        """Connect anew by each way; whether there are two is settled at the start."""
        for way, link in zip(self._ways, (first, second), strict=False):
            if link is not None:
                way.follow(link)

    def drop(self) -> None:
        """Cut the connections without a word; the last will speaks."""
        for way in self._ways:
            way.drop()

    def _wake(self) -> None:
        for way in self._ways:
            way.wake()

    def _changed(self, path: Path, seconds: float) -> None:
        self._beat.path = path
        waiting = self._spool.depth("urgent")
        if path == 1:
            self._say("line.back", seconds=round(seconds), waiting=waiting)
        else:
            self._say("line.second_path", waited=round(seconds), waiting=waiting)
        self.tell()


async def _unharmed(second: Uplink) -> None:
    """Run the second way; whatever is wrong with it, the first one goes on."""
    while True:
        try:
            await second.run()
        except SpoolFailed:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, calls go by the first way
            _log.exception("the second way failed")
        await asyncio.sleep(_AGAIN)

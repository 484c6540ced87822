"""Links the access log just after its rows are committed, and publishes the heads once a minute."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from gateway import log
from gateway.clock import Clock
from gateway.health import Health
from gateway.store import chain
from gateway.store.heads import publish
from gateway.store.pool import DatabaseDown, Pool

EVERY = 1.0
"""Seconds between two looks for rows that wait: a row is linked within twice that."""
PUBLISHED_EVERY = 60.0

_PART = "access log heads"
_log = log.get(__name__)


async def keep_linked(pool: Pool, heads: Path | None, clock: Clock, health: Health) -> None:
    """Runs until cancelled. Of several gateways the one that has the advisory lock links."""
    time = asyncio.get_running_loop().time
    linked = health.counter("access_log_linked", "rows of the access log that were linked here")
    publisher, due = heads and _Publisher(path=heads, clock=clock, health=health), time()
    while True:
        try:
            linked.inc(await link_all(pool))
            if publisher and time() >= due:
                due = time() + PUBLISHED_EVERY
                await publisher.publish(await chain.heads(pool))
        except DatabaseDown as down:  # said by others as well; the rows wait where they are
            _log.warning("the access log is not linked", why=str(down))
        await asyncio.sleep(EVERY)


async def link_all(pool: Pool) -> int:
    """Batches until nothing waits, or another gateway is at it; how many rows."""
    done = 0
    while True:
        rows = await chain.link(pool)
        done += max(rows, 0)
        if rows < chain.BATCH:
            return done


@dataclass(kw_only=True)
class _Publisher:
    """Adds what has changed to the file; says so in /readyz when it cannot."""

    path: Path
    clock: Clock
    health: Health
    last: dict[UUID, int] = field(default_factory=dict[UUID, int])

    async def publish(self, heads: Sequence[chain.Head]) -> None:
        fresh = [head for head in heads if self.last.get(head.municipality) != head.position]
        try:
            if fresh:
                await asyncio.to_thread(publish, self.path, fresh, self.clock.now())
        except OSError as why:
            _log.error("the heads of the access log are not published", why=str(why))
            return self.health.bad(_PART, str(why))
        self.last.update({head.municipality: head.position for head in fresh})
        return self.health.ok(_PART)

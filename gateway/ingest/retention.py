"""Lets go of what is old: raw messages after a week, what boxes said of themselves after a quarter.

A week is long enough to read again what an adapter got wrong.
"""

import asyncio
from datetime import timedelta

from gateway import log
from gateway.clock import Clock
from gateway.ingest.duty import Duty
from gateway.store import events
from gateway.store.pool import DatabaseDown, Pool
from gateway.store.timescale_helpers import drop_messages

KEPT = timedelta(days=7)
EVERY = 3_600.0
"""Seconds between two looks."""
_log = log.get(__name__)


async def keep_a_week(duty: Duty, pool: Pool, clock: Clock) -> None:
    """Until cancelled, when it is our duty. A replay on a driven clock keeps all.

    (Its years pass in an hour.)
    """
    while True:
        await asyncio.sleep(EVERY)
        if clock.driven or not duty.is_held:
            continue
        try:
            dropped = await drop_messages(pool, clock.now() - KEPT)
            await events.sweep(pool, clock.now() - events.KEPT)
        except DatabaseDown as down:
            _log.warning("old messages stay", why=str(down))
        else:
            _log.info("old messages dropped", chunks=dropped)

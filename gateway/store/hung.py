"""Ends transactions whose process hangs: their locks would hold up the calls of all the others."""

import asyncio

from gateway import log
from gateway.store.pool import DatabaseDown, Pool

EVERY = 1.0
"""Seconds between two looks: who has not moved from one to the next hangs."""

# Of the same stage, for nobody else's may be ended by it. A COPY whose rows do not come counts as
# active, and no timeout of the server ends it.
_WAITING = """
    SELECT pid, state_change FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
      AND xact_start IS NOT NULL AND wait_event = 'ClientRead'
"""
_log = log.get(__name__)


async def end_hung(pool: Pool) -> None:
    """Until cancelled. Nothing is lost: what is rolled back was not acknowledged.

    No clock is asked: between two looks this process ran, so one that did not move in that time
    is not merely one that shares a busy machine with us.
    """
    before = set[tuple[int, object]]()
    while True:
        try:
            waiting = {(row["pid"], row["state_change"]) for row in await pool.fetch(_WAITING)}
            for pid, since in before & waiting:
                await pool.execute("SELECT pg_terminate_backend($1)", pid)
                _log.warning("a transaction that hung was ended", pid=pid, since=str(since))
        except DatabaseDown:
            waiting = set[tuple[int, object]]()
        before = waiting
        await asyncio.sleep(EVERY)

"""Who looked at or changed what about which citizen: the access log, append-only."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway.store.caller import Caller
from gateway.store.pool import Connection, Pool

LOOK_AGAIN = timedelta(minutes=15)
"""An open board asks again by itself; the same look by the same person is one row this long."""


async def looked(
    db: Pool, caller: Caller, what: str, citizens: Iterable[int], now: datetime
) -> None:
    """The caller was shown something about these citizens (inside numbers)."""
    await db.execute(
        """
        INSERT INTO access_log (municipality, at, person, role, citizen, what)
        SELECT $1, $2, $3, $4, shown.citizen, $5 FROM unnest($6::integer[]) AS shown (citizen)
        WHERE NOT EXISTS (
            SELECT FROM access_log l
            WHERE l.municipality = $1 AND l.citizen = shown.citizen AND l.person = $3
              AND l.what = $5 AND l.at > $7)
        """,
        caller.municipality,
        now,
        caller.person,
        caller.role,
        what,
        sorted(set(citizens)),
        now - LOOK_AGAIN,
    )


async def changed(
    db: Connection, caller: Caller, what: str, citizen: int | None, now: datetime
) -> None:
    """The caller changed something; every time is a row. Belongs in the change's transaction."""
    await db.execute(
        """
        INSERT INTO access_log (municipality, at, person, role, citizen, what)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        caller.municipality,
        now,
        caller.person,
        caller.role,
        citizen,
        what,
    )

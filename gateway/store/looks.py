"""Who looked at or changed what about which citizen: the access log, append-only."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway.store.caller import Caller
from gateway.store.pool import Connection

LOOK_AGAIN = timedelta(minutes=15)
"""An open board asks again by itself: the same look by the same person, in the same role and for
the same purpose, is one row this long."""


async def looked(
    db: Connection, caller: Caller, what: str, citizens: Iterable[int], now: datetime
) -> None:
    """The caller was shown something about these citizens (inside numbers)."""
    await db.execute(
        "SELECT note_looks($1, $2, $3, $4, $5, $6, $7, $8)",
        caller.municipality,
        now,
        caller.person,
        caller.role,
        what,
        sorted(set(citizens)),
        now - LOOK_AGAIN,
        caller.purpose,
    )


async def changed(
    db: Connection, caller: Caller, what: str, citizen: int | None, now: datetime
) -> None:
    """The caller changed something; every time is a row. Belongs in the change's transaction."""
    await db.execute(
        """
        INSERT INTO access_log (municipality, at, person, role, citizen, what, purpose)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        caller.municipality,
        now,
        caller.person,
        caller.role,
        citizen,
        what,
        caller.purpose,
    )

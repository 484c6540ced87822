"""Which life of the store this is: a new one begins with every restore from a backup."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gateway.store.pool import Connection, Pool

AGAIN = timedelta(minutes=1)
"""So soon after a restore a second new epoch is most likely a mistake."""

_AHEAD = 1_000
"""By how much configurations are raised: no box has followed so many since the backup."""


class RestoredAlready(Exception):
    """A new epoch began a moment ago; the text says when."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One life of the store; `restored` is when it began by a restore, None for the first."""

    id: UUID
    restored: datetime | None


async def current(db: Connection | Pool) -> Epoch:
    """The epoch now."""
    row = await db.fetchrow("SELECT epoch, restored FROM store")
    if row is None:
        raise LookupError("the table store has no row: the schema was not made by our migrations")
    return Epoch(row["epoch"], row["restored"])


async def restored(db: Connection | Pool) -> datetime | None:
    """When the running epoch began by a restore; None when there never was one."""
    return (await current(db)).restored


async def begin(db: Connection, now: datetime, *, again: bool = False) -> tuple[Epoch, int]:
    """Begin a new epoch: receipts of the lost time count no more. The epoch, and boxes to tell.

    Every box is told its configuration anew under a higher version than it can have followed.
    Raises RestoredAlready within a minute of the last one, unless `again`.
    """
    async with db.transaction():
        last = await db.fetchval("SELECT restored FROM store FOR UPDATE")
        if last is not None and abs(now - last) < AGAIN and not again:
            raise RestoredAlready(f"a new epoch began at {last:%Y-%m-%d %H:%M:%S} UTC")
        await db.execute("UPDATE store SET epoch = gen_random_uuid(), restored = $1", now)
        boxes = await db.fetch(
            "UPDATE edge SET config_version = config_version + $1 RETURNING id", _AHEAD
        )
        for channel in ("epoch", "home", "config", "pending"):
            await db.execute(f"NOTIFY {channel}")
        return await current(db), len(boxes)

"""What depends on TimescaleDB's edition: asks the server which it is, does the best it allows."""

from datetime import datetime
from typing import Literal, cast

from gateway.store.pool import Connection, Pool

Edition = Literal["apache", "community"]


async def edition(db: Connection | Pool) -> Edition:
    """`apache` (Debian's) has hypertables and drop_chunks; `timescale` has compression besides."""
    licence = cast("str", await db.fetchval("SHOW timescaledb.license"))
    return "community" if licence == "timescale" else "apache"


async def drop_messages(db: Connection | Pool, before: datetime) -> int:
    """Drop the raw messages of whole days received before a time; how many chunks went.

    Works in both editions and needs no policy: whoever keeps messages calls it now and then.
    """
    dropped: int = await db.fetchval("SELECT drop_messages($1)", before)
    return dropped

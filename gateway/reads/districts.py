"""The districts that a caller may see, by name: what a form offers to choose from."""

from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.pool import Pool


async def district_names(pool: Pool, caller: Caller) -> list[str]:
    """In the order of the alphabet; what is not the caller's is not there."""
    async with asking(pool, caller) as db:
        rows = await db.fetch(
            "SELECT name FROM district WHERE municipality = $1 ORDER BY name", caller.municipality
        )
    return [row["name"] for row in rows]

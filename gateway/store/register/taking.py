"""Takes away what somebody made by mistake; what has been used stays, and says by what."""

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from asyncpg.exceptions import ForeignKeyViolationError

from gateway.store.caller import Caller
from gateway.store.homes import InTheWay
from gateway.store.pool import Connection
from gateway.store.register.things import KINDS, Name
from gateway.store.versions import Versions, agree

Taken = Name | Literal["device"]
"""What may be taken away one at a time."""

_BY: Mapping[str, str] = {
    "home": "it has homes",
    "citizen": "it has citizens",
    "edge": "it has a box",
    "team": "it has teams",
    "team_member": "it belongs to a team, or has members",
    "shift": "it stands in a duty roster",
    "placement": "it has, or had, devices",
    "alert": "it has, or had, alerts",
    "emergency": "it was opened in an emergency",
    "access": "it has, or had, a role",
}
"""What uses a thing, by the table that refers to it."""


async def take_away(
    db: Connection, caller: Caller, name: Taken, public: UUID, versions: Versions
) -> int:
    """Delete it, with its name; the inside number that it had. The policies allow no more (0018).

    Raises LookupError, Stale, and InTheWay for what has been used, or was made by an import.
    """
    row = await db.fetchrow(
        f"SELECT id, version FROM {name} WHERE municipality = $1 AND public = $2 FOR UPDATE",  # noqa: S608 - our own words
        caller.municipality,
        public,
    )
    if row is None:
        raise LookupError(str(public))
    agree(row["version"], versions)
    try:
        async with db.transaction():
            gone = await _delete(db, caller, name, row["id"])
    except ForeignKeyViolationError as used:
        by = _BY.get(used.table_name or "", "something refers to it")
        raise InTheWay(f"it is in use: {by}") from used
    if not gone:
        raise InTheWay("it has been used, or an import made it: then undo the import")
    return row["id"]


async def _delete(db: Connection, caller: Caller, name: Taken, number: int) -> bool:
    if name == "citizen":  # judged no more
        await db.execute(
            "DELETE FROM deadline WHERE municipality = $1 AND citizen = $2",
            caller.municipality,
            number,
        )
    if name == "device":  # its key goes with it
        await db.execute(
            "DELETE FROM device_secret WHERE municipality = $1 AND device = $2",
            caller.municipality,
            number,
        )
    elif KINDS[name].sealed:
        await db.execute(
            f"DELETE FROM identity.{name} WHERE municipality = $1 AND {name} = $2",  # noqa: S608 - our own words
            caller.municipality,
            number,
        )
    gone = await db.fetchval(
        f"DELETE FROM {name} WHERE municipality = $1 AND id = $2 RETURNING 1",  # noqa: S608
        caller.municipality,
        number,
    )
    return gone is not None

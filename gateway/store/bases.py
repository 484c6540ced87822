"""Placements without a legal basis, from before it was asked for, and giving them one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import changed
from gateway.store.pool import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseless:
    """A placement that lasts and says not why it may; `citizen` is the inside number."""

    public: UUID
    citizen: int
    role: str
    room: str
    address: str


async def baseless(
    db: Connection, municipality: int, *, most: int
) -> tuple[int, Sequence[Baseless]]:
    """How many the caller sees, and the first ones. Belongs in a transaction as the caller."""
    rows = await db.fetch(
        """
        SELECT count(*) OVER () AS counted, p.public, p.citizen, p.role, p.room, d.address
        FROM placement p JOIN device d ON d.municipality = p.municipality AND d.id = p.device
        WHERE p.municipality = $1 AND p."to" IS NULL AND p.legal_basis IS NULL
        ORDER BY p."from", p.id LIMIT $2
        """,
        municipality,
        most,
    )
    found = [
        Baseless(
            public=row["public"],
            citizen=row["citizen"],
            role=row["role"],
            room=row["room"],
            address=row["address"],
        )
        for row in rows
    ]
    return (rows[0]["counted"] if rows else 0), found


async def give_basis(pool: Pool, caller: Caller, public: UUID, basis: str, now: datetime) -> None:
    """The placement's legal basis where it has none: it writes over nothing.

    Raises LookupError for one that is not there for the caller, or has a basis by now.
    """
    async with asking(pool, caller) as db:
        citizen: int | None = await db.fetchval(
            "UPDATE placement SET legal_basis = $3 "
            'WHERE municipality = $1 AND public = $2 AND legal_basis IS NULL AND "to" IS NULL '
            "RETURNING citizen",
            caller.municipality,
            public,
            basis,
        )
        if citizen is None:
            raise LookupError(str(public))
        await changed(db, caller, "placement.changed", citizen, now)

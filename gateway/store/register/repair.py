"""Moves a placement to its right citizen, with all that its device has said since it began."""

from datetime import datetime
from uuid import UUID

from gateway.store import looks
from gateway.store.caller import Caller
from gateway.store.homes import InTheWay
from gateway.store.pool import Connection, Row
from gateway.store.register.cpr import is_like_cpr
from gateway.store.register.things import LikeCpr
from gateway.store.versions import Versions, agree

_DEVICE = """
    SELECT d.id FROM device d
    JOIN placement p ON p.municipality = d.municipality AND p.device = d.id
    WHERE p.municipality = $1 AND p.public = $2
    FOR UPDATE OF d
"""
_PLACEMENT = """
    SELECT p.id, p.citizen, p."from", p.version, c.home FROM placement p
    JOIN citizen c ON c.municipality = p.municipality AND c.id = p.citizen
    WHERE p.municipality = $1 AND p.public = $2
    FOR UPDATE OF p
"""
_PLANNED = "SELECT max(version) FROM dose_plan WHERE municipality = $1 AND placement = $2"
_CITIZEN = "SELECT id, home FROM citizen WHERE municipality = $1 AND public = $2"
_TRACE = """
    INSERT INTO placement_repair (municipality, placement, was, became, reason, person, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_DUE = """
    INSERT INTO deadline (municipality, citizen, due)
    SELECT $1, w.citizen, $3 FROM unnest($2::integer[]) AS w (citizen)
    ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(deadline.due, excluded.due)
"""


async def repair(
    db: Connection,
    caller: Caller,
    public: UUID,
    *,
    citizen: UUID,
    reason: str,
    versions: Versions,
    now: datetime,
) -> None:
    """The placement was the other citizen's from its beginning, and so is what was observed.

    Both are judged anew from then on: findings that are not the first one's are withdrawn, and
    what the second one's device said becomes theirs. Who was told what stays as it was.
    Raises LookupError when placement or citizen is not there for the caller, Stale when it has
    none of these versions, InTheWay when it is that citizen's already, LikeCpr for the reason.
    """
    if is_like_cpr(reason):
        raise LikeCpr("reason")
    await db.fetchval(_DEVICE, caller.municipality, public)  # before what it says is stored
    was = await db.fetchrow(_PLACEMENT, caller.municipality, public)
    became = await db.fetchrow(_CITIZEN, caller.municipality, citizen)
    if was is None or became is None:
        raise LookupError(str(public if was is None else citizen))
    planned: int | None = await db.fetchval(_PLANNED, caller.municipality, was["id"])
    agree(was["version"] + (planned or 0), versions)
    if was["citizen"] == became["id"]:
        raise InTheWay("the placement is that citizen's already")
    await db.execute(
        "UPDATE placement SET citizen = $3 WHERE municipality = $1 AND id = $2",
        caller.municipality,
        was["id"],
        became["id"],
    )
    await db.execute(
        _TRACE,
        caller.municipality,
        was["id"],
        was["citizen"],
        became["id"],
        reason,
        caller.person,
        now,
    )
    await _tell(db, caller, public, was, became, now=now)


async def _tell(
    db: Connection, caller: Caller, public: UUID, was: Row, became: Row, *, now: datetime
) -> None:
    """Both are judged as if nothing since the placement's beginning had been looked at."""
    both = [was["citizen"], became["id"]]
    await db.execute(_DUE, caller.municipality, both, was["from"])
    await db.execute(
        "UPDATE edge SET config_version = config_version + 1 "
        "WHERE municipality = $1 AND home = ANY ($2::integer[])",
        caller.municipality,
        [was["home"], became["home"]],
    )
    for one in both:
        await looks.changed(db, caller, f"placement.repaired {public}", one, now)
    for channel in ("home", "config", "pending"):
        await db.execute(f"NOTIFY {channel}")

"""Where each device is placed, from when to when, and which doses a dispenser gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID

from adapters.observation import Kind
from gateway.store import looks
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.homes import InTheWay
from gateway.store.pool import Connection, Pool, Row
from gateway.store.versions import Versions, agree


class NotYet(Exception):
    """A device may not begin or stop to speak for somebody at a time that has not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A dose due at the local time `at` every day, missed at `at` + window + grace (minutes)."""

    slot: int
    at: time
    window_minutes: int
    grace_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DosePlan:
    """From when which doses are due. Without a zone, the home's own; without a time, now."""

    slots: Sequence[Slot]
    zone: str | None = None
    valid_from: datetime | None = None


_PLACEMENT = """
    SELECT p.id, p.device, p.citizen, p.role, p."from", p."to", c.home, h.zone, p.version
    FROM placement p
    JOIN citizen c ON c.municipality = p.municipality AND c.id = p.citizen
    JOIN home h ON h.municipality = c.municipality AND h.id = c.home
    WHERE p.municipality = $1 AND p.public = $2
    FOR UPDATE OF p
"""
_PLANNED = "SELECT max(version) FROM dose_plan WHERE municipality = $1 AND placement = $2"
_LOCK_DEVICE = """
    SELECT d.id FROM device d
    JOIN placement p ON p.municipality = d.municipality AND p.device = d.id
    WHERE p.municipality = $1 AND p.public = $2
    FOR UPDATE OF d
"""
_CALLS = (Kind.CALL_PRESSED, Kind.BUTTON)
"""What asks for help, when a device in the role call says it."""
_CITIZEN = "SELECT id, home FROM citizen WHERE municipality = $1 AND public = $2"
_DEVICE = "SELECT id FROM device WHERE municipality = $1 AND public = $2 FOR UPDATE"
_PLACE = """
    INSERT INTO placement (municipality, device, citizen, role, room, legal_basis, "from", "to")
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    RETURNING public
"""


async def place(
    pool: Pool,
    caller: Caller,
    device: UUID,
    *,
    citizen: UUID,
    role: str,
    room: str,
    basis: str | None = None,
    since: datetime | None,
    until: datetime | None = None,
    plan: DosePlan | None,
    now: datetime,
) -> UUID:
    """The device speaks for the citizen in this role and room, from `since` (now if not said).

    `basis` is its legal basis, a word of gateway/store/register/lines.py; `until` is for what has
    ended already. Raises LookupError when device or citizen is not there for the caller, and
    InTheWay when the device is placed, or was placed later than `since`, or `until` is not later.
    Raises NotYet for a `since` or `until` to come.
    """
    since = since or now
    _refuse_to_come(since, until, now)
    async with asking(pool, caller) as db:
        number = await db.fetchval(_DEVICE, caller.municipality, device)
        who = await db.fetchrow(_CITIZEN, caller.municipality, citizen)
        if number is None or who is None:
            raise LookupError(str(device if number is None else citizen))
        await _refuse_overlap(db, number, since)
        public = await db.fetchval(
            _PLACE, caller.municipality, number, who["id"], role, room, basis, since, until
        )
        if plan is not None:
            placed = await db.fetchrow(_PLACEMENT, caller.municipality, public)
            assert placed is not None  # noqa: S101 - made three lines above
            await _new_plan(db, caller, placed, plan, since)
            if until is not None:
                await _end_plans(db, caller, placed["id"], until)
        await looks.changed(db, caller, "device.placed", who["id"], now)
        await _tell(db, caller, who["home"], now)
    return public


def _refuse_to_come(since: datetime, until: datetime | None, now: datetime) -> None:
    if since > now:
        raise NotYet(f"a placement cannot begin later than now, {now.isoformat()}")
    if until is not None and until > now:
        raise NotYet(f"a placement cannot end later than now, {now.isoformat()}")
    if until is not None and until <= since:
        raise InTheWay(f"the placement began later, at {since.isoformat()}")


async def change_placement(
    pool: Pool,
    caller: Caller,
    public: UUID,
    *,
    room: str,
    basis: str,
    versions: Versions,
    now: datetime,
) -> None:
    """Another room or legal basis. Raises LookupError, and Stale for another version.

    Another role is another placement: what was judged of this one was judged by its role.
    """
    async with asking(pool, caller) as db:
        row = await _placement(db, caller, public, versions)
        await db.execute(
            "UPDATE placement SET room = $3, legal_basis = $4 WHERE municipality = $1 AND id = $2",
            caller.municipality,
            row["id"],
            room,
            basis,
        )
        await looks.changed(db, caller, "placement.changed", row["citizen"], now)
        await _tell(db, caller, row["home"], now)


async def _refuse_overlap(db: Connection, device: int, since: datetime) -> None:
    """Also for a placement in a district that the caller does not see."""
    for (until,) in await db.fetch("SELECT placed_until($1, $2)", device, since):
        if until is None:
            raise InTheWay("the device is placed already; end that placement first")
        raise InTheWay(f"the device's last placement ended later, at {until.isoformat()}")


async def end_placement(
    pool: Pool,
    caller: Caller,
    public: UUID,
    *,
    at: datetime | None,
    now: datetime,
    versions: Versions = None,
) -> None:
    """The device stops speaking for the citizen at `at` (now if not said).

    Raises LookupError when the placement is not there for the caller, InTheWay when it has ended
    already, began later than `at`, or called for help later; NotYet for an `at` to come: until
    then a person could still call with it, and nobody would look at the end again. Stale when it
    has none of these versions.
    """
    at = at or now
    if at > now:
        raise NotYet(f"a placement cannot end later than now, {now.isoformat()}")
    async with asking(pool, caller) as db:
        await db.fetchval(_LOCK_DEVICE, caller.municipality, public)
        row = await _placement(db, caller, public, versions)
        await _refuse_end(db, row, at)
        await db.execute(
            'UPDATE placement SET "to" = $3 WHERE municipality = $1 AND id = $2',
            caller.municipality,
            row["id"],
            at,
        )
        await _end_plans(db, caller, row["id"], at)
        await looks.changed(db, caller, "device.removed", row["citizen"], now)
        await _tell(db, caller, row["home"], now)


async def _refuse_end(db: Connection, placement: Row, at: datetime) -> None:
    """A call that was heard stays the citizen's: no end may be put before it afterwards."""
    if placement["to"] is not None:
        raise InTheWay(f"the placement ended already, at {placement['to'].isoformat()}")
    if at <= placement["from"]:
        raise InTheWay(f"the placement began later, at {placement['from'].isoformat()}")
    called: datetime | None = await db.fetchval("SELECT last_call($1, $2)", placement["id"], _CALLS)
    if called is not None and at <= called:
        raise InTheWay(f"the device called for help later, at {called.isoformat()}")


async def plan_doses(
    pool: Pool, caller: Caller, public: UUID, plan: DosePlan, *, now: datetime, versions: Versions
) -> int:
    """A new version of the placement's dose plan; the former one ends where it begins.

    Returns the version. Raises LookupError when the placement is not there for the caller,
    InTheWay when it is not a dispenser's or has ended, and Stale for another version.
    """
    async with asking(pool, caller) as db:
        row = await _placement(db, caller, public, versions)
        if row["to"] is not None:
            raise InTheWay(f"the placement ended already, at {row['to'].isoformat()}")
        version = await _new_plan(db, caller, row, plan, now)
        await looks.changed(db, caller, "doses.planned", row["citizen"], now)
        await _tell(db, caller, row["home"], now)
    return version


async def _placement(db: Connection, caller: Caller, public: UUID, versions: Versions) -> Row:
    row = await db.fetchrow(_PLACEMENT, caller.municipality, public)
    if row is None:
        raise LookupError(str(public))
    # under the placement's lock, which every writer of its plan takes as well
    planned: int | None = await db.fetchval(_PLANNED, caller.municipality, row["id"])
    agree(row["version"] + (planned or 0), versions)
    return row


async def _new_plan(
    db: Connection, caller: Caller, placement: Row, plan: DosePlan, default: datetime
) -> int:
    if placement["role"] != "dispenser":
        raise InTheWay("only a placement in the role dispenser has a dose plan")
    begins = max(plan.valid_from or default, placement["from"])
    await _end_plans(db, caller, placement["id"], begins)
    row = await db.fetchrow(
        """
        INSERT INTO dose_plan (municipality, placement, version, valid_from, zone)
        SELECT $1, $2, COALESCE(max(version), 0) + 1, $3, $4 FROM dose_plan
        WHERE municipality = $1 AND placement = $2
        RETURNING id, version
        """,
        caller.municipality,
        placement["id"],
        begins,
        plan.zone or placement["zone"],
    )
    assert row is not None  # noqa: S101 - INSERT … RETURNING gives its row
    await db.executemany(
        "INSERT INTO dose_plan_slot "
        "(municipality, plan, slot, at, window_minutes, grace_minutes) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (caller.municipality, row["id"], s.slot, s.at, s.window_minutes, s.grace_minutes)
            for s in plan.slots
        ],
    )
    return row["version"]


async def _end_plans(db: Connection, caller: Caller, placement: int, at: datetime) -> None:
    """A plan that would have begun later than `at` never holds: it ends where it begins."""
    await db.execute(
        """
        UPDATE dose_plan SET valid_to = GREATEST(valid_from, $3)
        WHERE municipality = $1 AND placement = $2 AND (valid_to IS NULL OR valid_to > $3)
        """,
        caller.municipality,
        placement,
        at,
    )


async def _tell(db: Connection, caller: Caller, home: int, now: datetime) -> None:
    """The home's boxes get a new configuration, and its citizens are judged anew."""
    await db.execute(
        "UPDATE edge SET config_version = config_version + 1 WHERE municipality = $1 AND home = $2",
        caller.municipality,
        home,
    )
    await db.execute(
        """
        INSERT INTO deadline (municipality, citizen, due)
        SELECT $1, id, $3 FROM citizen WHERE municipality = $1 AND home = $2 ORDER BY id
        ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(deadline.due, excluded.due)
        """,
        caller.municipality,
        home,
        now,
    )
    await db.execute("NOTIFY home")
    await db.execute("NOTIFY config")
    await db.execute("NOTIFY pending")

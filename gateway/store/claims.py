"""What is left to judge, and the right to judge it: pending batches, deadlines, citizens."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.frame import Lane
from gateway.home import Citizen
from gateway.store.pool import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Stored batches that are not judged yet and speak of the same citizens."""

    municipality: int
    batches: tuple[int, ...]
    earliest: datetime
    citizens: tuple[Citizen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A citizen whom nobody else judges until this transaction ends.

    `speaks`: what concerns the whole home is told once, in the case of this one of its citizens.
    `restored`: since when the store is one that was restored from a backup, None when it never was.
    """

    citizen: Citizen
    district: int
    home: int
    zone: str
    speaks: bool = True
    restored: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When the citizen must be judged; `mark` changes whenever somebody sets it anew."""

    due: datetime
    mark: str


_OLDEST = """
    SELECT municipality, citizens, min(earliest) AS earliest, array_agg(id) AS batches
    FROM (
        SELECT municipality, id, earliest, latest, citizens FROM pending
        WHERE lane = $1
          AND NOT EXISTS (
              SELECT FROM unnest($3::integer[], $4::bigint[]) AS w (municipality, id)
              WHERE w.municipality = pending.municipality AND w.id = pending.id
          )
        ORDER BY {order} LIMIT $2
    ) p
    GROUP BY municipality, citizens ORDER BY min(id)
"""
_BULK = _OLDEST.format(order="id")
# A call of now is not to wait behind what a box brings that was away for a month.
_URGENT = _OLDEST.format(order="latest < $5, id").replace(
    "ORDER BY min(id)", "ORDER BY max(latest) < $5, min(id)"
)
# Nobody else judges those whose citizens are all claimed, so these rows need no lock.
_LEFT = """
    SELECT DISTINCT w.place
    FROM unnest($1::integer[], $2::integer[], $3::bigint[]) AS w (place, municipality, id)
    JOIN pending p ON p.municipality = w.municipality AND p.id = w.id
"""
_CITIZENS = """
    SELECT c.municipality, c.id, c.district, c.home, h.zone,
           NOT EXISTS (
               SELECT FROM citizen o
               WHERE o.municipality = c.municipality AND o.home = c.home
                 AND o.district = c.district AND o.id < c.id
           ) AS speaks,
           (SELECT restored FROM store) AS restored
    FROM unnest($1::integer[], $2::integer[]) AS w (municipality, id)
    JOIN citizen c ON c.municipality = w.municipality AND c.id = w.id
    JOIN home h ON h.municipality = c.municipality AND h.id = c.home
    ORDER BY c.municipality, c.id
"""
CITIZENS_LOCK = "FOR NO KEY UPDATE OF c SKIP LOCKED"
"""What makes a claim one: without it two workers judge the same citizen (a test shows it)."""

_NOT_ASIDE = """
    NOT EXISTS (
        SELECT FROM unnest($1::integer[], $2::integer[]) AS w (municipality, citizen)
        WHERE w.municipality = deadline.municipality AND w.citizen = deadline.citizen
    )
"""
_DUE = f"""
    SELECT municipality, citizen FROM deadline
    WHERE due <= $3 AND {_NOT_ASIDE} ORDER BY due LIMIT $4
"""  # noqa: S608 - our own text
_DEADLINES = """
    SELECT d.municipality, d.citizen, d.due, d.xmin::text AS mark
    FROM unnest($1::integer[], $2::integer[]) AS w (municipality, citizen)
    JOIN deadline d ON d.municipality = w.municipality AND d.citizen = w.citizen
"""
_NEXT_DUE = f"SELECT min(due) FROM deadline WHERE {_NOT_ASIDE}"  # noqa: S608 - our own text
# In ascending streams, like every other writer of `watched`.
_JUDGED = """
    WITH judged AS (
        DELETE FROM pending p
        USING unnest($1::integer[], $2::bigint[]) AS w (municipality, id)
        WHERE p.municipality = w.municipality AND p.id = w.id
        RETURNING p.municipality, p.stream, p.range
    )
    INSERT INTO watched AS w (municipality, stream, watched)
    SELECT municipality, stream, range_agg(range) FROM judged
    GROUP BY municipality, stream ORDER BY municipality, stream
    ON CONFLICT (municipality, stream) DO UPDATE SET watched = w.watched + EXCLUDED.watched
"""
# A deadline that somebody set while we judged (contact changed, a plan was made) stays theirs.
_MOVED = """
    UPDATE deadline d SET due = w.due
    FROM unnest($1::integer[], $2::integer[], $3::text[], $4::timestamptz[])
        AS w (municipality, citizen, mark, due)
    WHERE d.municipality = w.municipality AND d.citizen = w.citizen AND d.xmin::text = w.mark
"""
_DROPPED = """
    DELETE FROM deadline d
    USING unnest($1::integer[], $2::integer[], $3::text[]) AS w (municipality, citizen, mark)
    WHERE d.municipality = w.municipality AND d.citizen = w.citizen AND d.xmin::text = w.mark
"""
_SET = """
    INSERT INTO deadline AS d (municipality, citizen, due)
    SELECT * FROM unnest($1::integer[], $2::integer[], $3::timestamptz[])
    ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(d.due, EXCLUDED.due)
"""


async def waiting(
    db: Connection | Pool,
    lane: Lane,
    limit: int,
    *,
    live_since: datetime,
    without: Collection[tuple[int, int]] = (),
) -> list[Waiting]:
    """Return what is left to judge of a lane, the oldest batches first, at most so many.

    Of the urgent lane first what happened since `live_since`. Those of `without`, by municipality
    and number, are left where they are.
    """
    left = [one[0] for one in without], [one[1] for one in without]
    if lane == "urgent":
        rows = await db.fetch(_URGENT, lane, limit, *left, live_since)
    else:
        rows = await db.fetch(_BULK, lane, limit, *left)
    return [
        Waiting(
            municipality=municipality,
            batches=tuple(batches),
            earliest=earliest,
            citizens=tuple(Citizen(municipality, number) for number in citizens),
        )
        for municipality, citizens, earliest, batches in rows
    ]


async def still_waiting(db: Connection, ready: Sequence[Waiting]) -> list[Waiting]:
    """Of those whose citizens we have claimed, what nobody judged before we had them."""
    rows = [
        (place, one.municipality, batch) for place, one in enumerate(ready) for batch in one.batches
    ]
    left = await db.fetch(
        _LEFT, [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    )
    return [ready[row["place"]] for row in left]


async def due_citizens(
    db: Connection | Pool, now: datetime, limit: int, *, without: Collection[Citizen] = ()
) -> list[Citizen]:
    """Return citizens whose deadline has come, the longest due first."""
    rows = await db.fetch(_DUE, *_columns(without), now, limit)
    return [Citizen(row["municipality"], row["citizen"]) for row in rows]


async def claim(db: Connection, citizens: Collection[Citizen]) -> dict[Citizen, Claimed]:
    """Lock those of the citizens that nobody else has; no waiting, so no deadlock."""
    if not citizens:
        return {}
    rows = await db.fetch(_CITIZENS + CITIZENS_LOCK, *_columns(sorted(citizens)))
    found = (
        Claimed(
            citizen=Citizen(row["municipality"], row["id"]),
            district=row["district"],
            home=row["home"],
            zone=row["zone"],
            speaks=row["speaks"],
            restored=row["restored"],
        )
        for row in rows
    )
    return {claimed.citizen: claimed for claimed in found}


async def deadlines(db: Connection, citizens: Collection[Citizen]) -> dict[Citizen, Deadline]:
    """Return the deadlines as they are now: read them before the facts."""
    rows = await db.fetch(_DEADLINES, *_columns(citizens))
    return {
        Citizen(row["municipality"], row["citizen"]): Deadline(due=row["due"], mark=row["mark"])
        for row in rows
    }


async def next_due(pool: Pool, *, without: Collection[Citizen] = ()) -> datetime | None:
    """Return the first deadline of all, None when there is none."""
    return await pool.fetchval(_NEXT_DUE, *_columns(without))


async def finish(db: Connection, judged: Iterable[Waiting]) -> None:
    """Take the batches from what is left to do, and say that they are watched."""
    rows = [(one.municipality, batch) for one in judged for batch in one.batches]
    if rows:
        await db.execute(_JUDGED, [row[0] for row in rows], [row[1] for row in rows])


async def set_deadlines(
    db: Connection,
    before: Mapping[Citizen, Deadline],
    after: Mapping[Citizen, datetime | None],
) -> None:
    """Set when each citizen must be judged again; None: not before something is heard.

    Raises Deadlock should somebody else set several of them in another order.
    """
    after = dict(sorted(after.items()))
    moved = [
        (citizen, before[citizen].mark, due)
        for citizen, due in after.items()
        if citizen in before and due is not None and due != before[citizen].due
    ]
    dropped = [
        (citizen, before[citizen].mark)
        for citizen, due in after.items()
        if citizen in before and due is None
    ]
    new = [
        (citizen, due)
        for citizen, due in after.items()
        if citizen not in before and due is not None
    ]
    if moved:
        marks, dues = [one[1] for one in moved], [one[2] for one in moved]
        await db.execute(_MOVED, *_columns([one[0] for one in moved]), marks, dues)
    if dropped:
        marks = [one[1] for one in dropped]
        await db.execute(_DROPPED, *_columns([one[0] for one in dropped]), marks)
    if new:
        await db.execute(_SET, *_columns([one[0] for one in new]), [one[1] for one in new])


def _columns(citizens: Iterable[Citizen]) -> tuple[list[int], list[int]]:
    pairs = [(one.municipality, one.number) for one in citizens]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

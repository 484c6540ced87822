"""When each box was in contact: intervals, of which only changes are written."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.store.known import Edge
from gateway.store.pool import Connection

EndedBy = Literal["lost", "stopped", "stale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The box is in contact since `at`."""

    edge: Edge
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The box is not in contact since `at`; no finding before `sure_from`."""

    edge: Edge
    at: datetime
    by: EndedBy
    sure_from: datetime


_OPEN = """
    INSERT INTO contact (municipality, edge, "from")
    SELECT w.* FROM unnest($1::integer[], $2::integer[], $3::timestamptz[])
        AS w (municipality, edge, at)
    ON CONFLICT (municipality, edge) WHERE "to" IS NULL DO NOTHING
    RETURNING municipality, edge
"""
_CLOSE = """
    UPDATE contact c
    SET "to" = GREATEST("from", w.at), ended_by = w.ended_by, sure_from = w.sure_from
    FROM unnest($1::integer[], $2::integer[], $3::timestamptz[], $4::text[], $5::timestamptz[])
        AS w (municipality, edge, at, ended_by, sure_from)
    WHERE c.municipality = w.municipality AND c.edge = w.edge AND c."to" IS NULL
    RETURNING c.municipality, c.edge
"""
_JUDGE = """
    INSERT INTO deadline (municipality, citizen, due)
    SELECT w.* FROM unnest($1::integer[], $2::integer[], $3::timestamptz[])
        AS w (municipality, citizen, due)
    ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(deadline.due, EXCLUDED.due)
"""
_IN_CONTACT = """
    SELECT e.name FROM contact c
    JOIN edge e ON e.municipality = c.municipality AND e.id = c.edge
    WHERE c."to" IS NULL
"""


async def begin(db: Connection, boxes: Sequence[Begun]) -> None:
    """These boxes are in contact; those that were already stay so. Wakes watch for their citizens.

    Every box once. The same again changes nothing.
    """
    async with db.transaction():
        rows = await db.fetch(
            _OPEN,
            [box.edge.municipality for box in boxes],
            [box.edge.id for box in boxes],
            [box.at for box in boxes],
        )
        await _judge(db, boxes, {(row["municipality"], row["edge"]) for row in rows})


async def end(db: Connection, boxes: Sequence[Ended]) -> None:
    """These boxes are not in contact any more; nothing for those that were not. Wakes watch."""
    async with db.transaction():
        rows = await db.fetch(
            _CLOSE,
            [box.edge.municipality for box in boxes],
            [box.edge.id for box in boxes],
            [box.at for box in boxes],
            [box.by for box in boxes],
            [box.sure_from for box in boxes],
        )
        await _judge(db, boxes, {(row["municipality"], row["edge"]) for row in rows})


async def in_contact(db: Connection) -> set[str]:
    """The names of the boxes whose contact has not ended."""
    return {row["name"] for row in await db.fetch(_IN_CONTACT)}


async def _judge(
    db: Connection, boxes: Iterable[Begun | Ended], changed: Collection[tuple[int, int]]
) -> None:
    """Every citizen of the boxes that did change, in ascending order as all who write deadlines."""
    earliest: dict[tuple[int, int], datetime] = {}
    for box in boxes:
        if (box.edge.municipality, box.edge.id) in changed:
            for citizen in box.edge.citizens:
                whose = (box.edge.municipality, citizen)
                earliest[whose] = min(box.at, earliest.get(whose, box.at))
    if earliest:
        due = sorted(earliest.items())
        await db.execute(
            _JUDGE,
            [municipality for (municipality, _), _ in due],
            [citizen for (_, citizen), _ in due],
            [at for _, at in due],
        )
        await db.execute("NOTIFY pending")

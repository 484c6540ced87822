"""What is stored of each box's streams, and what is missing in them: to be told to the boxes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.store.pool import Connection, Pool, ranges
from gateway.store.ranges import Range

Place = tuple[int, int]
"""A stream by its municipality and number: how far a sweep over all of them has come."""

START: Place = (0, 0)
MOST_MISSING = 200
"""Ranges of one stream that are asked for at a time, the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A stream that a box may keep: what of it is stored, and what it lacks besides the end."""

    edge: str
    stream: UUID
    received: Sequence[Range]
    missing: Sequence[Range] = ()


# A box that has joined anew, or another of the home, goes on with the streams that its card kept.
_HELD = """
    SELECT e.name, s.uuid, s.received
    FROM edge e
    JOIN edge b ON b.municipality = e.municipality AND (b.id = e.id OR b.home = e.home)
    JOIN stream s ON s.municipality = b.municipality AND s.edge = b.id
    WHERE e.name = ANY ($1)
    ORDER BY e.name, s.id DESC
"""
_BOUND = """
    SELECT municipality, id FROM stream WHERE (municipality, id) > ($1, $2)
    ORDER BY municipality, id OFFSET $3 LIMIT 1
"""
_HOLES = """
    SELECT e.name, s.uuid, s.received,
           int8multirange(int8range(1, upper(s.received))) - s.received AS missing
    FROM stream s
    JOIN edge b ON b.municipality = s.municipality AND b.id = s.edge
    JOIN edge e ON e.municipality = b.municipality AND (e.id = b.id OR e.home = b.home)
    JOIN contact c ON c.municipality = e.municipality AND c.edge = e.id AND c."to" IS NULL
    WHERE (s.municipality, s.id) > ($1, $2)
      AND ($3::integer IS NULL OR (s.municipality, s.id) <= ($3, $4))
      AND s.received <> '{}' AND s.received <> int8multirange(int8range(1, upper(s.received)))
    ORDER BY s.municipality, s.id
    LIMIT $5
"""


async def held(db: Connection | Pool, boxes: Collection[str]) -> list[Held]:
    """All that is stored of all streams that these boxes may keep, the newest streams first."""
    return [
        Held(edge=row["name"], stream=row["uuid"], received=ranges(row["received"]))
        for row in await db.fetch(_HELD, list(boxes))
    ]


async def with_holes(
    db: Connection | Pool, after: Place, *, look: int, most: int
) -> tuple[list[Held], Place]:
    """Streams with holes, of boxes in contact, among the `look` streams after a place.

    At most so many; and the place to go on from, START when all were looked at.
    """
    bound = await db.fetchrow(_BOUND, *after, look - 1)
    end: Place | tuple[None, None] = (None, None) if bound is None else (bound[0], bound[1])
    rows = await db.fetch(_HOLES, *after, *end, most)
    found = [
        Held(
            edge=row["name"],
            stream=row["uuid"],
            received=ranges(row["received"]),
            missing=ranges(row["missing"])[:MOST_MISSING],
        )
        for row in rows
    ]
    return found, START if bound is None else (bound[0], bound[1])

"""What boxes say of their memory cards, radios and lines: the newest of each box."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime

from gateway.store.pool import Connection, Pool

MOST_ROOM = 60
"""Days of room that are told at most: beyond that it is guessing."""
MOST_WHY = 200
"""Letters of why a configuration was refused."""
TROUBLES = frozenset({"storage_failed", "card_full"})
"""The words for `trouble` that we know; a box may say others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """`early`: receipted frames let go of before their days were over; `given_up`: unsent ones.

    `full_at` is when the card was last found full, `keep_days` how long receipted frames stay.
    `room_days` (whole) the spool has room for more; `reader` and `mode` are of the radio, `path`
    is 2 on the second way to us, `trouble` a word of what is wrong, `refused` why the box does not
    follow its newest configuration. Boxes of before say less.
    """

    keep_days: float | None = None
    early: int = 0
    given_up: int = 0
    full_at: datetime | None = None
    reader: str | None = None
    mode: str | None = None
    room_days: int | None = None
    path: int | None = None
    trouble: str | None = None
    refused: str | None = None


_KNOWN = """
    SELECT e.name, k.keep_days, k.early, k.given_up, k.full_at, k.reader, k.mode, k.room_days,
           k.path, k.trouble, k.refused
    FROM edge_card k JOIN edge e ON e.municipality = k.municipality AND e.id = k.edge
"""
_KEEP = """
    INSERT INTO edge_card AS k (municipality, edge, at, keep_days, early, given_up, full_at,
                                reader, mode, room_days, path, trouble, refused)
    SELECT e.municipality, e.id, $1, w.keep_days, w.early, w.given_up, w.full_at,
           w.reader, w.mode, w.room_days, w.path, w.trouble, w.refused
    FROM unnest($2::text[], $3::float8[], $4::bigint[], $5::bigint[], $6::timestamptz[],
                $7::text[], $8::text[], $9::smallint[], $10::smallint[], $11::text[],
                $12::text[])
        AS w (name, keep_days, early, given_up, full_at, reader, mode, room_days, path, trouble,
              refused)
    JOIN edge e ON e.name = w.name
    ORDER BY e.municipality, e.id
    ON CONFLICT (municipality, edge) DO UPDATE
    SET at = excluded.at, keep_days = excluded.keep_days, early = excluded.early,
        given_up = excluded.given_up, full_at = excluded.full_at, reader = excluded.reader,
        mode = excluded.mode, room_days = excluded.room_days, path = excluded.path,
        trouble = excluded.trouble, refused = excluded.refused
"""


async def cards(db: Connection | Pool) -> dict[str, Card]:
    """All that is kept, by the box's name."""
    return {row["name"]: Card(**dict(list(row.items())[1:])) for row in await db.fetch(_KNOWN)}


async def keep(db: Connection | Pool, said: Mapping[str, Card], now: datetime) -> None:
    """What these boxes say now, in place of what they said before."""
    await db.execute(
        _KEEP,
        now,
        list(said),
        *([getattr(card, one.name) for card in said.values()] for one in fields(Card)),
    )

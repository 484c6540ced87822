"""What boxes say of their memory cards: kept only of those that have something to say."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.store.pool import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """`early`: receipted frames let go of before their days were over; `given_up`: unsent ones.

    `full_at` is when the card was last found full, `keep_days` how long receipted frames stay.
    """

    keep_days: float | None = None
    early: int = 0
    given_up: int = 0
    full_at: datetime | None = None


_KNOWN = """
    SELECT e.name, k.keep_days, k.early, k.given_up, k.full_at
    FROM edge_card k JOIN edge e ON e.municipality = k.municipality AND e.id = k.edge
"""
_KEEP = """
    INSERT INTO edge_card AS k (municipality, edge, at, keep_days, early, given_up, full_at)
    SELECT e.municipality, e.id, $1, w.keep_days, w.early, w.given_up, w.full_at
    FROM unnest($2::text[], $3::float8[], $4::bigint[], $5::bigint[], $6::timestamptz[])
        AS w (name, keep_days, early, given_up, full_at)
    JOIN edge e ON e.name = w.name
    ORDER BY e.municipality, e.id
    ON CONFLICT (municipality, edge) DO UPDATE
    SET at = excluded.at, keep_days = excluded.keep_days, early = excluded.early,
        given_up = excluded.given_up, full_at = excluded.full_at
"""


async def cards(db: Connection | Pool) -> dict[str, Card]:
    """All that is kept, by the box's name."""
    return {
        row["name"]: Card(
            keep_days=row["keep_days"],
            early=row["early"],
            given_up=row["given_up"],
            full_at=row["full_at"],
        )
        for row in await db.fetch(_KNOWN)
    }


async def keep(db: Connection | Pool, said: Mapping[str, Card], now: datetime) -> None:
    """What these boxes say now, in place of what they said before."""
    await db.execute(
        _KEEP,
        now,
        list(said),
        [card.keep_days for card in said.values()],
        [card.early for card in said.values()],
        [card.given_up for card in said.values()],
        [card.full_at for card in said.values()],
    )

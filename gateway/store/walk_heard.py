"""Keeps what came of devices under a walk test, in the transaction that stores it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.store.pool import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One thing that a device under test said, heard by a box; `rssi` in dBm, None if not told."""

    municipality: int
    test: int
    placement: int
    edge: int
    kind: int
    active: bool
    occurred: datetime
    clock: int
    rssi: int | None


# A test that somebody ended meanwhile, or that was taken away, takes in nothing more.
_KEEP = """
    INSERT INTO walk_heard (municipality, test, placement, edge, kind, active, occurred, stored,
                            clock, rssi)
    SELECT w.municipality, w.test, w.placement, w.edge, w.kind, w.active, w.occurred, $10, w.clock,
           w.rssi
    FROM unnest($1::integer[], $2::bigint[], $3::integer[], $4::integer[], $5::smallint[],
                $6::boolean[], $7::timestamptz[], $8::smallint[], $9::smallint[])
        AS w (municipality, test, placement, edge, kind, active, occurred, clock, rssi)
    JOIN walk_test t ON t.municipality = w.municipality AND t.id = w.test
    WHERE t.ended IS NULL
"""
_COLUMNS = (
    "municipality",
    "test",
    "placement",
    "edge",
    "kind",
    "active",
    "occurred",
    "clock",
    "rssi",
)


async def keep(db: Connection, heard: Sequence[Tried], now: datetime) -> None:
    """They are stored at `now`."""
    await db.execute(_KEEP, *([getattr(one, name) for one in heard] for name in _COLUMNS), now)

"""What boxes say of themselves: kept once, by the ledger, and no more than a sane box says."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.store.pool import Connection, Pool

MOST_AN_HOUR = 1_000
"""Events kept of one box that come within an hour; a box that comes back after 30 days has fewer.

About so many: what two transactions keep at the same time neither sees of the other.
"""
KEPT = timedelta(days=90)
"""How long events stay: a quarter shows whether a radio or a card is failing, and no longer than
that is told when somebody's power or line was cut."""

WORDS = frozenset(
    {
        "radio.rescanned",
        "radio.scanner_renewed",
        "radio.power_cycled",
        "radio.daemon_restarted",
        "radio.reboot",
        "radio.mode",
        "radio.silent",
        "radio.hearing",
        "device.silent",
        "device.heard",
        "device.bonded",
        "device.bond_lost",
        "device.clock_set",
        "spool.thinned",
        "spool.renewed",
        "spool.unsound",
        "storage.failed",
        "line.second_path",
        "line.back",
        "line.hook",
        "clock.stepped",
        "config.refused",
        "certificate.renewed",
        "certificate.not_renewed",
    }
)
"""The words that we know; others are kept all the same."""

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxEvent:
    """One event of a box (inside number) that came on `topic`; `details` is the text of JSON."""

    municipality: int
    edge: int
    topic: str
    name: str
    occurred: datetime
    clock: int
    word: str
    details: str


_ROOM = """
    SELECT w.municipality, w.edge, $3 - count(l.received) AS room
    FROM unnest($1::integer[], $2::integer[]) AS w (municipality, edge)
    LEFT JOIN LATERAL (
        SELECT b.received FROM box_event b
        WHERE b.municipality = w.municipality AND b.edge = w.edge
        ORDER BY b.id DESC LIMIT $3) l ON l.received > $4
    GROUP BY w.municipality, w.edge
"""
_KEEP = """
    INSERT INTO box_event (municipality, edge, occurred, received, clock, word, details)
    SELECT w.municipality, w.edge, w.occurred, $7, w.clock, w.word, w.details::jsonb
    FROM unnest($1::integer[], $2::integer[], $3::timestamptz[], $4::smallint[], $5::text[],
                $6::text[])
        WITH ORDINALITY AS w (municipality, edge, occurred, clock, word, details, place)
    ORDER BY w.place
"""


async def keep(db: Connection, events: Sequence[BoxEvent], now: datetime) -> list[BoxEvent]:
    """Add them in the transaction that takes their numbers into the ledger; those left out.

    Those are of boxes that have said too much within the hour.
    """
    if not events:
        return []
    room = await _room(db, {(one.municipality, one.edge) for one in events}, now)
    kept, over = list[BoxEvent](), list[BoxEvent]()
    taken = defaultdict[tuple[int, int], int](int)
    for one in events:
        box = one.municipality, one.edge
        taken[box] += 1
        (kept if taken[box] <= room[box] else over).append(one)
    if kept:
        await db.execute(_KEEP, *_columns(kept), now)
    return over


async def sweep(pool: Pool, before: datetime) -> None:
    """Delete the events received before that."""
    await pool.execute("DELETE FROM box_event WHERE received < $1", before)


async def _room(
    db: Connection, boxes: Iterable[tuple[int, int]], now: datetime
) -> Mapping[tuple[int, int], int]:
    """How many more events of each box may be kept."""
    whose = sorted(boxes)
    rows = await db.fetch(
        _ROOM,
        [municipality for municipality, _ in whose],
        [edge for _, edge in whose],
        MOST_AN_HOUR,
        now - _HOUR,
    )
    return {(row["municipality"], row["edge"]): row["room"] for row in rows}


def _columns(events: Sequence[BoxEvent]) -> tuple[list[object], ...]:
    return (
        [one.municipality for one in events],
        [one.edge for one in events],
        [one.occurred for one in events],
        [one.clock for one in events],
        [one.word for one in events],
        [one.details for one in events],
    )

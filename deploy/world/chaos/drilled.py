"""What is there after a restore, held against what spools have promised and people have done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from deploy.world.chaos.ending import stored
from deploy.world.chaos.village import Move, Village
from deploy.world.oracle_stored import Obligation, count, read_obligations

REMADE = " Databasen er gendannet fra en sikkerhedskopi; alarmen kan være meldt før."
"""How the reason of an alert ends that was raised again after a restore."""

Press = tuple[str, int]
"""A press: the button's address and its counter."""

_PRESSES = """
    SELECT d.address, split_part(f.subject, ':', 2)::int AS counter, count(*) AS times
    FROM finding f
    JOIN device d ON d.municipality = f.municipality
                 AND d.id = split_part(f.subject, ':', 1)::int
    WHERE f.rule = 'call_pressed' AND f.alert IS NOT NULL
    GROUP BY 1, 2
"""
_MOVES = """
    SELECT a.public::text AS alert, m.move
    FROM alert_move m JOIN alert a ON a.municipality = m.municipality AND a.id = m.alert
"""
_ALERTS = """
    SELECT a.remade, a.reason, a.raised >= s.restored AND a.since < s.restored AS again
    FROM alert a CROSS JOIN store s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """`alerts_missing` are presses without a case, `alerts_twice` such with more than one."""

    sent: int
    stored: int
    lost: int
    duplicated: int
    moves_made: int
    moves_lost: Sequence[Move]
    alerts_remade: int
    alerts_missing: int
    alerts_twice: int
    alerts_unmarked: int
    complaints: Sequence[str]


async def counted(village: Village) -> Count:
    """Count, as the database's owner."""
    edges = [one.box.edge for one in village.households]
    due = [each for edge in edges for each in read_obligations(village.record(edge), edge)]
    db = await asyncpg.connect(village.stack.owner)
    try:
        frames = count(due, await stored(db), may_give_up=frozenset(), stepped=frozenset())
        presses = {(r["address"], r["counter"]): r["times"] for r in await db.fetch(_PRESSES)}
        moves = {(r["alert"], r["move"]) for r in await db.fetch(_MOVES)}
        alerts = [dict(row) for row in await db.fetch(_ALERTS)]
    finally:
        await db.close()
    missing = sorted({press for press in map(_press, due) if press} - presses.keys())
    twice = [press for press, times in presses.items() if times > 1]
    lost = [f"lost: {place}: {why}" for place, why in frames.lost.items()]
    surplus = [f"stored {times} times too often: {row}" for row, times in frames.surplus.items()]
    return Count(
        sent=frames.sent,
        stored=frames.stored,
        lost=len(frames.lost),
        duplicated=frames.surplus.total(),
        moves_made=len(village.moves),
        moves_lost=[move for move in village.moves if (move.alert, move.move) not in moves],
        alerts_remade=sum(alert["remade"] for alert in alerts),
        alerts_missing=len(missing),
        alerts_twice=len(twice),
        alerts_unmarked=sum(map(_unmarked, alerts)),
        complaints=[*lost[:10], *surplus[:10], *(f"no case: {press}" for press in missing[:10])],
    )


def _press(one: Obligation) -> Press | None:
    """The press that a frame tells of, if it does."""
    for word, value, _ in one.meant:
        if word == "call_pressed" and value is not None:
            return one.device, int(value)
    return None


def _unmarked(alert: dict[str, Any]) -> bool:
    """Whether it was raised after the restore for what was before, and does not say so."""
    said = alert["remade"] and alert["reason"].endswith(REMADE)
    return bool(alert["again"]) and not said

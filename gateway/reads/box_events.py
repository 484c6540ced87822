"""What happened to a box by its own word, as far as it tells nothing of a citizen's life."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from gateway.store.caller import Caller
from gateway.store.pool import Connection, Row

Detail: TypeAlias = str | int | float | bool | None

OF_A_DEVICE = "device."
"""Words that begin so tell what somebody's device did: to the hour, and no more exactly."""
HIDDEN = "…"
"""Stands for the address of a device that is not placed in the box's home."""

_ADDRESS = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One event; `clock` is a ClockQuality. Of a device both times are whole hours."""

    number: int
    occurred: datetime
    received: datetime
    clock: int
    word: str
    details: Mapping[str, Detail]

    @property
    def is_of_a_device(self) -> bool:
        return self.word.startswith(OF_A_DEVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Some of a box's events, the newest first, and the citizens (inside numbers) there."""

    events: Sequence[Happened]
    citizens: Sequence[int]


_WHERE = """
    SELECT e.id, array(SELECT c.id FROM citizen c
                       WHERE c.municipality = e.municipality AND c.home = e.home) AS citizens
    FROM edge e WHERE e.municipality = $1 AND e.name = $2
"""
_EVENTS = """
    SELECT id, occurred, received, clock, word, details::text FROM box_event
    WHERE municipality = $1 AND edge = $2 AND ($3::bigint IS NULL OR id < $3)
    ORDER BY id DESC LIMIT $4
"""
_PLACED = """
    SELECT DISTINCT d.address FROM placement p
    JOIN device d ON d.municipality = p.municipality AND d.id = p.device
    WHERE p.municipality = $1 AND p.citizen = ANY ($2::integer[]) AND p."to" IS NULL
      AND d.address = ANY ($3::text[])
"""


async def history(
    db: Connection, caller: Caller, edge: str, *, before: int | None, limit: int
) -> History:
    """At most `limit` events of the box, in the order in which they came, the last one first.

    `before`: older than the one of that number. Raises LookupError for a box that is not there or
    not the caller's to see.
    """
    where = await db.fetchrow(_WHERE, caller.municipality, edge)
    if where is None:
        raise LookupError(edge)
    rows = await db.fetch(_EVENTS, caller.municipality, where["id"], before, limit)
    events = [_happened(row) for row in rows]
    named = sorted({address for one in events for address in _addresses(one)})
    placed = await db.fetch(_PLACED, caller.municipality, where["citizens"], named) if named else []
    known = {row["address"] for row in placed}
    return History(events=[_without(one, known) for one in events], citizens=where["citizens"])


async def citizens(db: Connection, caller: Caller, edge: str) -> Sequence[int]:
    """Who lives where the box is, as inside numbers."""
    where = await db.fetchrow(_WHERE, caller.municipality, edge)
    return () if where is None else where["citizens"]


async def without_strangers(db: Connection, caller: Caller, edge: str, text: str) -> str:
    """The text with no address but of what is placed in the box's home."""
    named = sorted({_written(found) for found in _ADDRESS.findall(text)})
    where = await citizens(db, caller, edge)
    placed = await db.fetch(_PLACED, caller.municipality, where, named) if named else []
    return _shown(text, {row["address"] for row in placed})


def _happened(row: Row) -> Happened:
    one = Happened(
        number=row["id"],
        occurred=row["occurred"],
        received=row["received"],
        clock=row["clock"],
        word=row["word"],
        details=json.loads(row["details"]),
    )
    if not one.is_of_a_device:
        return one
    return replace(one, occurred=_hour(one.occurred), received=_hour(one.received))


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _addresses(one: Happened) -> Iterable[str]:
    texts = [text for text in one.details.values() if isinstance(text, str)]
    return (_written(found) for text in texts for found in _ADDRESS.findall(text))


def _written(address: str) -> str:
    return address.upper().replace("-", ":")


def _without(one: Happened, known: set[str]) -> Happened:
    """No address but of what is placed there."""
    details = {
        name: _shown(value, known) if isinstance(value, str) else value
        for name, value in one.details.items()
    }
    return replace(one, details=details)


def _shown(text: str, known: set[str]) -> str:
    return _ADDRESS.sub(lambda found: found[0] if _written(found[0]) in known else HIDDEN, text)

"""Sets aside what could not be read, with the reason; only counts what we may not keep."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import UUID

from gateway.store.pool import Connection, Pool

Kept: TypeAlias = tuple[int, int | None, float | None]
"""An observation of a frame that is set aside and was read in part: kind, code, value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideFrame:
    """One frame that no adapter could read, or only in part; stream and number name it for ever.

    `head` is what reading its times again needs of its batch, whose number is `batch`; `kept` are
    the observations of it that are stored.
    """

    municipality: int
    topic: str
    stream: UUID
    sequence: int
    device: str
    reason: str
    detail: str
    reader: str
    payload: bytes
    head: Mapping[str, Any]
    batch: int
    kept: Sequence[Kept] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideMessage:
    """One message that could not be taken. `digest` makes its next sending the same message."""

    municipality: int | None
    topic: str
    reason: str
    detail: str
    payload: bytes | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class Counted:
    """What is only counted: neither bytes nor times of a neighbour's device are ours to keep."""

    municipality: int
    topic: str
    device: str
    reason: str


MOST_MESSAGES, MOST_FRAMES = 1_000, 20_000
"""Kept with their bytes of one box's lane on one day (UTC); more are only counted, `too_many`."""

_TOO_MANY = "too_many"
_FRAMES = """
    INSERT INTO quarantine (municipality, topic, stream, sequence, device, reason, detail, reader,
                            payload, batch, head, kept, first_at, last_at)
    SELECT w.municipality, w.topic, w.stream, w.sequence, w.device, w.reason, w.detail, w.reader,
           w.payload, w.batch, w.head::jsonb, w.kept::jsonb, $13, $13
    FROM unnest($1::integer[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::text[],
                $7::text[], $8::text[], $9::bytea[], $10::bigint[], $11::text[], $12::text[])
        AS w (municipality, topic, stream, sequence, device, reason, detail, reader, payload,
              batch, head, kept)
    ON CONFLICT (municipality, stream, sequence) WHERE sequence IS NOT NULL DO UPDATE
    SET count = quarantine.count + 1, last_at = EXCLUDED.last_at, reason = EXCLUDED.reason,
        detail = EXCLUDED.detail, reader = EXCLUDED.reader
"""
_MESSAGE = """
    INSERT INTO quarantine (municipality, topic, reason, detail, reader, payload, digest,
                            first_at, last_at)
    VALUES ($1, $2, $3, $4, '', $5, $6, $7, $7)
    ON CONFLICT (topic, digest) WHERE digest IS NOT NULL DO UPDATE
    SET count = quarantine.count + 1, last_at = EXCLUDED.last_at, reason = EXCLUDED.reason,
        detail = EXCLUDED.detail
"""
_COUNT = """
    INSERT INTO quarantine (municipality, topic, device, reason, detail, reader, count,
                            first_at, last_at)
    VALUES ($1, $2, $3, $4, '', '', $5, $6, $6)
    ON CONFLICT (topic, device, reason) WHERE sequence IS NULL AND payload IS NULL DO UPDATE
    SET count = quarantine.count + EXCLUDED.count, last_at = EXCLUDED.last_at
"""
_KNOWN = """
    SELECT q.topic, q.digest
    FROM unnest($1::text[], $2::bytea[]) AS w (topic, digest)
    JOIN quarantine q ON q.topic = w.topic AND q.digest = w.digest
"""
_UNDERSTOOD = """
    SELECT e.name FROM edge e
    WHERE e.name = ANY ($1::text[])
      AND EXISTS (SELECT FROM stream s WHERE s.municipality = e.municipality AND s.edge = e.id)
"""
# In one order for all who do it: two transactions never wait for each other.
_ALLOT = """
    INSERT INTO aside_today AS t (topic, what, day, kept)
    SELECT w.topic, $3, $4, w.number
    FROM unnest($1::text[], $2::integer[]) AS w (topic, number) ORDER BY w.topic
    ON CONFLICT (topic, what) DO UPDATE
    SET kept = CASE WHEN t.day = EXCLUDED.day THEN t.kept ELSE 0 END + EXCLUDED.kept,
        day = EXCLUDED.day
    RETURNING t.topic, t.kept
"""


async def set_frames_aside(db: Connection, frames: Iterable[AsideFrame], now: datetime) -> None:
    """In the transaction that takes their numbers into the ledger.

    Beyond MOST_FRAMES a day their bytes stay in `message` alone, as long as that is kept.
    """
    rows = list(frames)
    if not rows:
        return
    room = await _room(db, [row.topic for row in rows], "frame", MOST_FRAMES, now)
    kept: list[AsideFrame] = []
    over = Counter[Counted]()
    for row in rows:
        room[row.topic] -= 1
        if room[row.topic] >= 0:
            kept.append(row)
        else:
            over[Counted(row.municipality, row.topic, row.device, _TOO_MANY)] += 1
    if kept:
        await db.execute(_FRAMES, *_columns(kept), now)
    await count(db, over, now)


async def set_messages_aside(
    db: Connection | Pool, messages: Iterable[AsideMessage], now: datetime
) -> None:
    """The same message again is counted, so that a box that sends it for ever fills nothing."""
    rows = [replace(one, topic=storable(one.topic)) for one in messages]
    if not rows:
        return
    asked = [one.topic for one in rows], [one.digest for one in rows]
    known = {(row["topic"], row["digest"]) for row in await db.fetch(_KNOWN, *asked)}
    new = [one.topic for one in rows if (one.topic, one.digest) not in known]
    room = await _room(db, new, "message", MOST_MESSAGES, now) if new else {}
    for one in sorted(rows, key=lambda row: (row.topic, row.digest)):  # as all who do
        kept = one
        if (one.topic, one.digest) not in known:
            room[one.topic] -= 1
            kept = one if room[one.topic] >= 0 else _only_counted(one, now)
        await _set_message_aside(db, kept, now)


async def _set_message_aside(db: Connection | Pool, one: AsideMessage, now: datetime) -> None:
    await db.execute(
        _MESSAGE,
        one.municipality,
        one.topic,
        one.reason,
        storable(one.detail),
        one.payload,
        one.digest,
        now,
    )


async def count(db: Connection, seen: Mapping[Counted, int], now: datetime) -> None:
    """Add to the counts, in one order for all who do."""
    for one in sorted(seen, key=lambda counted: (counted.topic, counted.device, counted.reason)):
        await db.execute(
            _COUNT, one.municipality, one.topic, storable(one.device), one.reason, seen[one], now
        )


async def understood(db: Connection, edges: Collection[str]) -> set[str]:
    """Those of the boxes of which something was stored once."""
    return {row["name"] for row in await db.fetch(_UNDERSTOOD, list(edges))}


async def _room(
    db: Connection | Pool, topics: Sequence[str], what: str, most: int, now: datetime
) -> dict[str, int]:
    """How many of these may be kept with their bytes, by topic."""
    new = Counter(topics)
    rows = await db.fetch(_ALLOT, list(new), list(new.values()), what, now.date())
    return {row["topic"]: most - (row["kept"] - new[row["topic"]]) for row in rows}


def _only_counted(message: AsideMessage, now: datetime) -> AsideMessage:
    """All that are too many on one day are one row, without their bytes."""
    day = f"{now:%Y-%m-%d}"
    return replace(
        message,
        reason=_TOO_MANY,
        detail=f"more than {MOST_MESSAGES} messages set aside on {day}",
        payload=None,
        digest=sha256(f"{_TOO_MANY} {day}".encode()).digest(),
    )


def _columns(rows: Sequence[AsideFrame]) -> tuple[list[object], ...]:
    columns = zip(
        *(
            (
                row.municipality,
                row.topic,
                row.stream,
                row.sequence,
                storable(row.device),
                row.reason,
                storable(row.detail),
                row.reader,
                row.payload,
                row.batch,
                json.dumps(row.head),
                json.dumps(row.kept),
            )
            for row in rows
        ),
        strict=True,
    )
    return tuple(list(column) for column in columns)


def storable(said: str) -> str:
    """What somebody else wrote, as PostgreSQL can keep it: it knows no character zero."""
    return said.replace("\0", "\ufffd")[:500]

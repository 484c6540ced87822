"""Sets aside what could not be read, with the reason; only counts what we may not keep."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.store.pool import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideFrame:
    """One frame that no adapter could read, or only in part; stream and number name it for ever."""

    municipality: int
    topic: str
    stream: UUID
    sequence: int
    device: str
    reason: str
    detail: str
    reader: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideMessage:
    """One message that could not be taken. `digest` makes its next sending the same message."""

    municipality: int | None
    topic: str
    reason: str
    detail: str
    payload: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Counted:
    """What is only counted: neither bytes nor times of a neighbour's device are ours to keep."""

    municipality: int
    topic: str
    device: str
    reason: str


_FRAMES = """
    INSERT INTO quarantine (municipality, topic, stream, sequence, device, reason, detail, reader,
                            payload, first_at, last_at)
    SELECT w.*, $10, $10
    FROM unnest($1::integer[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::text[],
                $7::text[], $8::text[], $9::bytea[]) AS w
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


async def set_frames_aside(db: Connection, frames: Iterable[AsideFrame], now: datetime) -> None:
    """In the transaction that takes their numbers into the ledger."""
    rows = list(frames)
    if rows:
        await db.execute(
            _FRAMES,
            [row.municipality for row in rows],
            [row.topic for row in rows],
            [row.stream for row in rows],
            [row.sequence for row in rows],
            [_text(row.device) for row in rows],
            [row.reason for row in rows],
            [_text(row.detail) for row in rows],
            [row.reader for row in rows],
            [row.payload for row in rows],
            now,
        )


async def set_messages_aside(
    db: Connection | Pool, messages: Iterable[AsideMessage], now: datetime
) -> None:
    """The same message again is counted, so that a box that sends it for ever fills nothing."""
    for one in messages:
        await db.execute(
            _MESSAGE,
            one.municipality,
            _text(one.topic),
            one.reason,
            _text(one.detail),
            one.payload,
            one.digest,
            now,
        )


async def count(db: Connection, seen: Mapping[Counted, int], now: datetime) -> None:
    """Add to the counts, in one order for all who do."""
    for one in sorted(seen, key=lambda counted: (counted.topic, counted.device, counted.reason)):
        await db.execute(
            _COUNT, one.municipality, one.topic, _text(one.device), one.reason, seen[one], now
        )


def _text(said: str) -> str:
    """What somebody else wrote, as PostgreSQL can keep it: it knows no character zero."""
    return said.replace("\0", "�")[:500]

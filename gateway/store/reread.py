"""What was set aside with its bytes: listed, claimed to be read again, and how that went."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.store.pool import Connection, Pool, Row, ranges
from gateway.store.quarantine import Kept, storable
from gateway.store.streams import Stream, StreamKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which of what is set aside; None: all. A whole message has no device."""

    reason: str | None = None
    device: str | None = None
    edge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """One frame (then `stream`, `sequence` and `device` are set) or one whole message.

    `head` is None for a frame that was set aside before its clock was kept.
    """

    id: int
    municipality: int | None
    topic: str
    stream: UUID | None
    sequence: int | None
    device: str | None
    reason: str
    detail: str
    payload: bytes
    head: Mapping[str, Any] | None
    kept: tuple[Kept, ...]
    first_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How reading one of them again went; `kept` are all its observations that are stored."""

    id: int
    read: bool
    reason: str
    detail: str
    reader: str
    kept: Sequence[Kept] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What is set aside of one device (None: whole messages) for one reason.

    `reader` is the version of the adapters that could not read it; empty for whole messages.
    """

    reason: str
    device: str | None
    reader: str
    count: int
    first: datetime
    last: datetime


# What boxes say of themselves is of that moment: it is not read again.
_WANTED = """
    state = 'aside' AND payload IS NOT NULL AND topic NOT LIKE '%/state'
    AND ($1::text IS NULL OR reason = $1) AND ($2::text IS NULL OR device = $2)
    AND ($3::text IS NULL OR starts_with(topic, 'edges/' || $3 || '/'))
"""
_GROUPS = f"""
    SELECT reason, device, reader, count(*) AS count, min(first_at) AS first, max(last_at) AS last
    FROM quarantine WHERE {_WANTED}
    GROUP BY reason, device, reader ORDER BY reason, device, reader
"""  # noqa: S608 - our own text
_PAGE = f"""
    SELECT id, municipality, topic, stream, sequence, device, reason, detail, payload, head, kept,
           first_at
    FROM quarantine WHERE {_WANTED} AND id > $4 ORDER BY id LIMIT $5
"""  # noqa: S608 - our own text
# Who waits for nobody stops nobody: what another run has is that run's. Ingest locks rows of the
# quarantine last of all, so a claim is no lock of the row: two would wait for each other in a ring.
_CLAIM = """
    SELECT w.id FROM unnest($1::bigint[]) AS w (id)
    WHERE pg_try_advisory_xact_lock(hashtextextended('read again ' || w.id, 0))
"""
# In a statement of its own: it sees what whoever had them before has committed.
_STILL_ASIDE = "SELECT id FROM quarantine WHERE id = ANY ($1::bigint[]) AND state = 'aside'"
_IN_ORDER = """
    SELECT FROM quarantine WHERE id = ANY ($1::bigint[])
    ORDER BY topic COLLATE "C", digest, id FOR NO KEY UPDATE
"""
_STREAMS = """
    SELECT municipality, edge, uuid, id, received FROM stream
    WHERE uuid = ANY ($1::uuid[]) AND lane = $2
    ORDER BY id FOR NO KEY UPDATE
"""
_MARK = """
    UPDATE quarantine q
    SET state = CASE WHEN w.read THEN 'read' ELSE 'aside' END, reread = $7, reason = w.reason,
        detail = w.detail, reader = w.reader, kept = w.kept::jsonb
    FROM unnest($1::bigint[], $2::boolean[], $3::text[], $4::text[], $5::text[], $6::text[])
        AS w (id, read, reason, detail, reader, kept)
    WHERE q.id = w.id
"""


async def groups(db: Connection | Pool, wanted: Wanted) -> list[Group]:
    """What could be read again, counted."""
    rows = await db.fetch(_GROUPS, wanted.reason, wanted.device, wanted.edge)
    return [Group(**dict(row)) for row in rows]


async def page(db: Connection | Pool, wanted: Wanted, *, after: int, most: int) -> list[Aside]:
    """The next of them by id, not locked: claim them before anything is stored."""
    asked = wanted.reason, wanted.device, wanted.edge
    return [_aside(row) for row in await db.fetch(_PAGE, *asked, after, most)]


async def claim(db: Connection, ids: Collection[int]) -> set[int]:
    """Those that are still set aside and that nobody else has, ours until the transaction ends."""
    free = [row["id"] for row in await db.fetch(_CLAIM, sorted(ids))]
    return {row["id"] for row in await db.fetch(_STILL_ASIDE, free)}


async def lock_streams(db: Connection, lane: str, uuids: Collection[UUID]) -> dict[UUID, Stream]:
    """The ledger's rows of frames that are in it, in ascending id as everybody locks them."""
    rows = await db.fetch(_STREAMS, list(set(uuids)), lane)
    return {row["uuid"]: _stream(row) for row in rows}


async def mark(db: Connection, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Say how it went, in the transaction that stores what was read: last, as ingest does.

    The rows are locked in the order of those who set messages aside (quarantine.py).
    """
    await db.execute(_IN_ORDER, [one.id for one in outcomes])
    await db.execute(
        _MARK,
        [one.id for one in outcomes],
        [one.read for one in outcomes],
        [one.reason for one in outcomes],
        [storable(one.detail) for one in outcomes],
        [one.reader for one in outcomes],
        [json.dumps(list(one.kept)) for one in outcomes],
        now,
    )


def _stream(row: Row) -> Stream:
    key = StreamKey(row["municipality"], row["edge"], row["uuid"])
    return Stream(key=key, id=row["id"], received=ranges(row["received"]))


def _aside(row: Row) -> Aside:
    fields = dict(row)
    fields["kept"] = tuple((kind, code, value) for kind, code, value in fields["kept"])
    return Aside(**fields)

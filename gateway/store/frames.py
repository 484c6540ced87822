"""Keeps messages and observations: by COPY, under the ledger's lock, so that a retry is safe."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeAlias

from gateway.store import copy
from gateway.store.pool import Connection

Message: TypeAlias = tuple[datetime, int, int, bytes]
"""received, stream, batch, payload."""

Detail: TypeAlias = tuple[int, int, datetime, int, str, str]
"""device, kind, occurred, batch, name, value."""

Record: TypeAlias = tuple[int, int, int, datetime]
"""municipality, device, the record's number, the device's own time."""

Numbered: TypeAlias = tuple[int, int, int]
"""municipality, device, a record's number."""

UnplacedCall: TypeAlias = tuple[int, int, int, datetime]
"""municipality, citizen, device, occurred."""

_DETAIL = ("device", "kind", "occurred", "batch", "name", "value")
_RECORD = """
    INSERT INTO device_record (municipality, device, number, device_time)
    SELECT w.*
    FROM unnest($1::integer[], $2::integer[], $3::bigint[], $4::timestamptz[])
        AS w (municipality, device, number, device_time)
    ORDER BY w.municipality, w.device, w.number, w.device_time
    ON CONFLICT DO NOTHING
    RETURNING municipality, device, number, device_time
"""
_RECORD_TIMES = """
    SELECT w.*, (SELECT max(r.device_time) FROM device_record r
                 WHERE r.municipality = w.municipality AND r.device = w.device
                       AND r.number = w.number) AS device_time
    FROM unnest($1::integer[], $2::integer[], $3::bigint[]) AS w (municipality, device, number)
"""
_UNPLACED = """
    INSERT INTO unplaced_call (municipality, citizen, device, occurred)
    SELECT w.*
    FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::timestamptz[])
        AS w (municipality, citizen, device, occurred)
    ORDER BY w.municipality, w.citizen, w.device, w.occurred
    ON CONFLICT DO NOTHING
"""


async def keep(
    db: Connection,
    messages: Sequence[Message],
    observations: Sequence[bytes],
    details: Sequence[Detail],
) -> None:
    """Add the rows; observations are rows as `copy` writes them.

    The caller has the streams locked and advances them in this transaction.
    """
    if messages:
        await copy.messages(db, [copy.message(*one) for one in messages])
    if observations:
        await copy.observations(db, observations)
    if details:
        await db.copy_records_to_table("observation_detail", records=details, columns=_DETAIL)


async def new_records(db: Connection, records: Collection[Record]) -> set[Record]:
    """Of the records that devices keep, those that were not stored before; they are now."""
    rows = await db.fetch(_RECORD, *(list(column) for column in zip(*records, strict=True)))
    return {(row[0], row[1], row[2], row[3]) for row in rows}


async def record_times(db: Connection, numbered: Collection[Numbered]) -> dict[Numbered, datetime]:
    """The newest device time of each of these numbers that is stored."""
    rows = await db.fetch(_RECORD_TIMES, *(list(column) for column in zip(*numbered, strict=True)))
    return {(row[0], row[1], row[2]): row[3] for row in rows if row[3] is not None}


async def unplaced(db: Connection, calls: Collection[UnplacedCall]) -> None:
    """Keep who lived where the call of a device without a placement was heard."""
    await db.execute(_UNPLACED, *(list(column) for column in zip(*calls, strict=True)))

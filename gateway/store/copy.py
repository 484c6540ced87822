"""Rows as PostgreSQL's binary COPY takes them: written once, in pieces that are used again.

The format: https://www.postgresql.org/docs/17/sql-copy.html, "Binary Format". A row is the number
of its fields, and each field its length (-1 for null) and its bytes, big-endian; a timestamp is
microseconds since 2000. Five times cheaper than a tuple of datetimes that the driver encodes.
"""

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from gateway.store.pool import Connection

ObservationRow: TypeAlias = tuple[
    int, int, datetime, datetime, int, float | None, int | None, int, int
]
"""device, kind, occurred, received, clock, value, code, quality, batch."""

_FIELDS = ("device", "kind", "value", "code", "quality", "occurred", "clock", "received", "batch")
_MESSAGE = ("received", "stream", "batch", "payload")

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_START = datetime(2000, 1, 1, tzinfo=UTC)
_START_MS = 946_684_800_000
_MICROSECOND = timedelta(microseconds=1)

_DEVICE = struct.Struct(">hii")
_WHOLE = struct.Struct(">ihidiih")  # kind, value, no code, quality: what most readings are
_SHORT, _DOUBLE, _LONG = struct.Struct(">ih"), struct.Struct(">id"), struct.Struct(">iq")
_WHEN = struct.Struct(">iqih")
_ARRIVED = struct.Struct(">iqiq")
_MESSAGE_HEAD = struct.Struct(">hiqiqiqi")


def device(number: int) -> bytes:
    """The head of a device's rows."""
    return _DEVICE.pack(len(_FIELDS), 4, number)


@lru_cache(maxsize=65_536)
def reading(kind: int, value: float | None, code: int | None, quality: int) -> bytes:
    """What was read. Raises struct.error for numbers that the table cannot hold.

    Remembered, since sensors say the same few thousand things all day.
    """
    if code is None and value is not None:
        return _WHOLE.pack(2, kind, 8, value, -1, 2, quality)
    return b"".join(
        (
            _SHORT.pack(2, kind),
            _NULL if value is None else _DOUBLE.pack(8, value),
            _NULL if code is None else _SHORT.pack(2, code),
            _SHORT.pack(2, quality),
        )
    )


def occurred(at: int, clock: int) -> bytes:
    """When, in milliseconds since 1970, and how sure that is."""
    return _WHEN.pack(8, (at - _START_MS) * 1_000, 2, clock)


def arrived(at: int, batch: int) -> bytes:
    """The end of a row: when it was received, in milliseconds since 1970, and in which batch."""
    return _ARRIVED.pack(8, (at - _START_MS) * 1_000, 8, batch)


def encoded(row: ObservationRow) -> bytes:
    """A row from its values."""
    number, kind, at, received, clock, value, code, quality, batch = row
    return b"".join(
        (
            device(number),
            reading(kind, value, code, quality),
            _WHEN.pack(8, _microseconds(at), 2, clock),
            _ARRIVED.pack(8, _microseconds(received), 8, batch),
        )
    )


def decoded(row: bytes) -> ObservationRow:
    """The values of a row that was written here."""
    values: list[bytes | None] = []
    at = 2
    for _ in _FIELDS:
        length = int.from_bytes(row[at : at + 4], signed=True)
        at += 4
        values.append(None if length < 0 else row[at : at + length])
        at += max(length, 0)
    number, kind, value, code, quality, occurred, clock, received, batch = values
    return (
        _integer(number),
        _integer(kind),
        _moment(occurred),
        _moment(received),
        _integer(clock),
        None if value is None else struct.unpack(">d", value)[0],
        None if code is None else _integer(code),
        _integer(quality),
        _integer(batch),
    )


def message(received: datetime, stream: int, batch: int, payload: bytes) -> bytes:
    """A row of the table `message`."""
    at = _microseconds(received)
    head = _MESSAGE_HEAD.pack(len(_MESSAGE), 8, at, 8, stream, 8, batch, len(payload))
    return head + payload


async def observations(db: Connection, rows: Sequence[bytes]) -> None:
    """Add rows to the hot table."""
    await _copy(db, "observation", _FIELDS, rows)


async def messages(db: Connection, rows: Sequence[bytes]) -> None:
    """Add rows to `message`."""
    await _copy(db, "message", _MESSAGE, rows)


async def _copy(db: Connection, table: str, columns: Sequence[str], rows: Iterable[bytes]) -> None:
    # the driver takes a buffer as it is, though its types do not say so; bytes would name a file
    source: Any = memoryview(b"".join((_HEADER, *rows, _TRAILER)))
    await db.copy_to_table(table, source=source, columns=columns, format="binary")


def _microseconds(moment: datetime) -> int:
    return (moment - _START) // _MICROSECOND


def _integer(field: bytes | None) -> int:
    return int.from_bytes(field or b"", signed=True)


def _moment(field: bytes | None) -> datetime:
    return _START + _integer(field) * _MICROSECOND

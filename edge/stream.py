"""One stream of the spool: its rows on disk, what of it has a receipt, and which rows may go."""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from adapters.frame import Lane
from edge.ranges import Range, Ranges
from edge.run import fitting

CARD_FULL = "the memory card was full"
"""Why a frame was given up before it had a receipt; told to the gateway."""


@dataclass(slots=True, eq=False)
class Stream:
    """What the spool knows of one stream without asking the disk."""

    id: int
    stream: str
    lane: Lane
    boot: str
    next: int = 1
    receipted: Ranges = field(default_factory=Ranges)
    depth: int = 0

    def measure(self) -> None:
        self.depth = self.next - 1 - self.receipted.count(below=self.next)


def streams(connection: sqlite3.Connection) -> Iterator[Stream]:
    """All streams on the disk, the oldest first."""
    rows = connection.execute(
        "SELECT s.id, s.stream, s.lane, s.boot, s.next, r.ranges, max(r.hour) FROM stream s"
        " LEFT JOIN receipted r ON r.stream = s.id GROUP BY s.id ORDER BY s.id"
    )
    for number, name, lane, boot, following, ranges, _ in rows:
        stream = Stream(number, name, lane, boot, following)
        stream.receipted = Ranges((a, b) for a, b in json.loads(ranges or "[]"))
        stream.measure()
        yield stream


def begin(connection: sqlite3.Connection, lane: Lane, boot: str) -> Stream:
    """A stream with a name that no other will ever have."""
    name = str(uuid.uuid4())
    made = connection.execute(
        "INSERT INTO stream (stream, lane, boot, next) VALUES (?, ?, ?, 1) RETURNING id",
        (name, lane, boot),
    ).fetchone()
    return Stream(int(made[0]), name, lane, boot)


def insert(
    connection: sqlite3.Connection, stream: Stream, texts: Sequence[tuple[int, str]]
) -> None:
    """Frames, each with when it was heard, under the stream's next numbers."""
    connection.executemany(
        "INSERT INTO frame (stream, sequence, at, body, gone) VALUES (?, ?, ?, ?, ?)",
        [
            (stream.id, sequence, at, *fitting(text))
            for sequence, (at, text) in enumerate(texts, start=stream.next)
        ],
    )
    connection.execute(
        "UPDATE stream SET next = ? WHERE id = ?", (stream.next + len(texts), stream.id)
    )


def frames_in(
    connection: sqlite3.Connection, stream: int, gap: Range, at_most: int
) -> list[tuple[int, str | None, str | None]]:
    """Sequence, body and why it is gone, in order."""
    return connection.execute(
        "SELECT sequence, body, gone FROM frame WHERE stream = ? AND sequence BETWEEN ? AND ?"
        " ORDER BY sequence LIMIT ?",
        (stream, *gap, at_most),
    ).fetchall()


def heard_at(connection: sqlite3.Connection, stream: int, gap: Range) -> int | None:
    """When the first frame in a range was heard, milliseconds since 1970."""
    row = connection.execute(
        "SELECT at FROM frame WHERE stream = ? AND sequence BETWEEN ? AND ? LIMIT 1",
        (stream, *gap),
    ).fetchone()
    return None if row is None else int(row[0])


def mark(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, str]]) -> None:
    """Stream, hour and all its receipted ranges; an hour never goes back."""
    connection.executemany(
        "INSERT INTO receipted (stream, hour, ranges) VALUES (?1, max(?2, coalesce("
        "(SELECT max(hour) FROM receipted WHERE stream = ?1), 0)), ?3)"
        " ON CONFLICT (stream, hour) DO UPDATE SET ranges = excluded.ranges",
        rows,
    )


def unmark(connection: sqlite3.Connection, stream: int, missing: Sequence[Range]) -> None:
    """These numbers have no receipt, of no hour: none is forgotten for an earlier one."""
    rows = connection.execute(
        "SELECT hour, ranges FROM receipted WHERE stream = ?", (stream,)
    ).fetchall()
    connection.executemany(
        "UPDATE receipted SET ranges = ? WHERE stream = ? AND hour = ?",
        [
            (json.dumps(list(Ranges((a, b) for a, b in json.loads(text)) - missing)), stream, hour)
            for hour, text in rows
        ],
    )


def date(connection: sqlite3.Connection, now: int, *, undated: int) -> None:
    """Receipts that came before the clock was synchronised count as of this hour."""
    connection.execute(
        "INSERT INTO receipted (stream, hour, ranges)"
        " SELECT stream, ?1, ranges FROM receipted WHERE hour = ?2"
        " ON CONFLICT (stream, hour) DO UPDATE SET ranges = excluded.ranges",
        (now, undated),
    )
    connection.execute("DELETE FROM receipted WHERE hour = ?", (undated,))


def receipted(connection: sqlite3.Connection, *, before: int) -> list[tuple[int, int, str]]:
    """Stream, hour and ranges of what had its receipt before an hour."""
    return connection.execute(
        "SELECT stream, max(hour), ranges FROM receipted WHERE hour < ? GROUP BY stream",
        (before,),
    ).fetchall()


def delete(
    connection: sqlite3.Connection, stream: int, ranges: Iterable[Range], at_most: int
) -> int:
    """Delete the oldest frames of these ranges; how many were there."""
    deleted = 0
    for first, last in ranges:
        deleted += connection.execute(
            "DELETE FROM frame WHERE stream = ?1 AND sequence >= ?2 AND sequence <= ("
            " SELECT max(sequence) FROM (SELECT sequence FROM frame WHERE stream = ?1"
            " AND sequence BETWEEN ?2 AND ?3 ORDER BY sequence LIMIT ?4))",
            (stream, first, last, max(0, at_most - deleted)),
        ).rowcount
    return deleted


def thin(connection: sqlite3.Connection, stream: int, at_most: int) -> int:
    """Give up the oldest frames of a stream that has no receipted one left; how many it gave up.

    Of each range one row stays, with the reason: `run.frames_then_gone` reads it for all of it.
    """
    rows = connection.execute(
        "SELECT sequence FROM frame WHERE stream = ? AND body IS NOT NULL"
        " ORDER BY sequence LIMIT ?",
        (stream, at_most),
    ).fetchall()
    for first, last in Ranges((number, number) for (number,) in rows):
        connection.execute(
            "UPDATE frame SET body = NULL, gone = ? WHERE stream = ? AND sequence = ?",
            (CARD_FULL, stream, first),
        )
        connection.execute(
            "DELETE FROM frame WHERE stream = ? AND sequence > ? AND sequence <= ?",
            (stream, first, last),
        )
    return len(rows)

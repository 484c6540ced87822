"""One stream of the spool: its rows on disk, what of it has a receipt, and which rows may go."""

import json
import sqlite3
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from adapters.frame import Lane
from edge.keeping.ranges import Range, Ranges
from edge.keeping.run import fitting

Row = tuple[int, str | None, str | None]
"""Sequence, body and why there is none."""


@dataclass(slots=True, eq=False)
class Stream:
    """What the spool knows of one stream without asking the disk.

    `tail` are its newest frames, each with when it was heard, that are in memory only; `octets`
    are theirs.
    """

    id: int
    stream: str
    lane: Lane
    boot: str
    next: int = 1
    receipted: Ranges = field(default_factory=Ranges)
    depth: int = 0
    tail: deque[tuple[int, str]] = field(default_factory=deque[tuple[int, str]])
    octets: int = 0

    @property
    def written(self) -> int:
        """The first number that is in memory only."""
        return self.next - len(self.tail)

    def add(self, texts: Sequence[tuple[int, str]]) -> None:
        self.tail.extend(texts)
        self.next += len(texts)
        self.depth += len(texts)
        self.octets += _octets(texts)

    def drop(self, count: int) -> None:
        """Take back what was added last: nobody has seen it, so the numbers are free again."""
        dropped = [self.tail.pop() for _ in range(count)]
        self.next -= count
        self.depth -= count
        self.octets -= _octets(dropped)

    def flushed(self) -> None:
        """All of it is on disk now."""
        self.tail.clear()
        self.octets = 0

    def let_go(self) -> None:
        """Forget the frames in memory that have a receipt: the disk does not take them."""
        while self.tail and self.written in self.receipted:
            self.octets -= _octets([self.tail.popleft()])

    def measure(self) -> None:
        self.depth = self.next - 1 - self.receipted.count(below=self.next)

    def rows_in_memory(self, gap: Range, at_most: int) -> list[Row]:
        first = max(gap[0], self.written)
        texts = islice(self.tail, first - self.written, None)
        numbers = range(first, min(gap[1] + 1, first + at_most))
        return [(number, *fitting(text)) for number, (_, text) in zip(numbers, texts, strict=False)]


def _octets(texts: Iterable[tuple[int, str]]) -> int:
    return sum(len(text) for _, text in texts)


def begun(number: int, lane: Lane, boot: str) -> Stream:
    """A stream with a name that no other will ever have."""
    return Stream(number, str(uuid.uuid4()), lane, boot)


def streams(connection: sqlite3.Connection) -> Iterator[Stream]:
    """All streams on the disk, the oldest first."""
    rows = connection.execute(
        f"SELECT s.id, s.stream, s.lane, s.boot, {NEXT}, r.ranges, max(r.hour) FROM stream s"  # noqa: S608 - ours
        " LEFT JOIN receipted r ON r.stream = s.id GROUP BY s.id ORDER BY s.id"
    )
    for number, name, lane, boot, following, ranges, _ in rows:
        stream = Stream(number, name, lane, boot, following)
        stream.receipted = Ranges((a, b) for a, b in json.loads(ranges or "[]"))
        stream.measure()
        yield stream


NEXT = "max(s.next, coalesce((SELECT max(f.sequence) + 1 FROM frame f WHERE f.stream = s.id), 1))"
"""The number after a stream's last one: of a stream `s`, in SQL.

It is not written with every frame (that would be a page more each time) but before rows go.
"""


def insert(connection: sqlite3.Connection, stream: Stream) -> None:
    """What of a stream is in memory only.

    What a failed fsync left in the log may be there after all when the file is opened again.
    """
    connection.execute(
        "INSERT INTO stream (id, stream, lane, boot, next) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (stream) DO NOTHING",
        (stream.id, stream.stream, stream.lane, stream.boot, stream.written),
    )
    connection.executemany(
        "INSERT OR REPLACE INTO frame (stream, sequence, at, body, gone) VALUES (?, ?, ?, ?, ?)",
        [
            (stream.id, sequence, at, *fitting(text))
            for sequence, (at, text) in enumerate(stream.tail, start=stream.written)
        ],
    )


def frames_in(connection: sqlite3.Connection, stream: int, gap: Range, at_most: int) -> list[Row]:
    """Rows on disk, in order."""
    return connection.execute(
        "SELECT sequence, body, gone FROM frame WHERE stream = ? AND sequence BETWEEN ? AND ?"
        " ORDER BY sequence LIMIT ?",
        (stream, *gap, at_most),
    ).fetchall()


def heard_at(connection: sqlite3.Connection, stream: int, gap: Range) -> int | None:
    """When the first frame in a range was heard, milliseconds since 1970."""
    row = connection.execute(
        "SELECT at FROM frame WHERE stream = ? AND sequence BETWEEN ? AND ?"
        " ORDER BY sequence LIMIT 1",
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
    _note_next(connection, stream)
    deleted = 0
    for first, last in ranges:
        deleted += connection.execute(
            "DELETE FROM frame WHERE stream = ?1 AND sequence >= ?2 AND sequence <= ("
            " SELECT max(sequence) FROM (SELECT sequence FROM frame WHERE stream = ?1"
            " AND sequence BETWEEN ?2 AND ?3 ORDER BY sequence LIMIT ?4))",
            (stream, first, last, max(0, at_most - deleted)),
        ).rowcount
    return deleted


def thin(connection: sqlite3.Connection, stream: Stream, at_most: int, why: str) -> int:
    """Give up the oldest frames of a stream that has no receipted one left; how many it gave up.

    Of each range one row stays, with the reason: `run.frames_then_gone` reads it for all of it.
    A range right behind one that went for the same reason needs none: a stream has one such row,
    however often it is thinned, and the gateway one range.
    """
    _note_next(connection, stream.id)
    rows = connection.execute(
        "SELECT sequence FROM frame WHERE stream = ? AND body IS NOT NULL"
        " ORDER BY sequence LIMIT ?",
        (stream.id, at_most),
    ).fetchall()
    for gap in Ranges((number, number) for (number,) in rows):
        first = gap[0] if _goes_on(connection, stream, gap[0], why) else gap[0] + 1
        if first > gap[0]:
            connection.execute(
                "UPDATE frame SET body = NULL, gone = ? WHERE stream = ? AND sequence = ?",
                (why, stream.id, gap[0]),
            )
        connection.execute(
            "DELETE FROM frame WHERE stream = ? AND sequence BETWEEN ? AND ?",
            (stream.id, first, gap[1]),
        )
    return len(rows)


def _goes_on(connection: sqlite3.Connection, stream: Stream, first: int, why: str) -> bool:
    """Whether what is before this number went for the same reason and waits to be told so."""
    if first - 1 in stream.receipted:
        return False
    row = connection.execute(
        "SELECT gone FROM frame WHERE stream = ? AND sequence < ? ORDER BY sequence DESC LIMIT 1",
        (stream.id, first),
    ).fetchone()
    return row == (why,)


def _note_next(connection: sqlite3.Connection, stream: int) -> None:
    connection.execute(f"UPDATE stream AS s SET next = {NEXT} WHERE s.id = ?", (stream,))  # noqa: S608 - ours

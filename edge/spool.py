"""Keeps frames on disk until the gateway has them.

How it is used, by the box and by a simulator with many boxes in one process alike:

    with Spool(path, clock) as spool:
        spool.append_many(frames, "urgent")     # on disk when it returns
        async with asyncio.TaskGroup() as group:
            group.create_task(Uplink(spool, ...).run())
            await spool.drained.wait()          # everything is receipted
        spool.depth("bulk"), spool.oldest("bulk")

One file, one writer (a second one is refused), one event loop; nothing is global. `woken` is
called after every append and is the uplink's; `drained` is set while nothing waits for a receipt.
"""

import asyncio
import json
import os
import sqlite3
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from adapters.frame import Frame, Lane, encode_frame
from edge.clock import Clock
from edge.disk import SCHEMA, connect, only_writer
from edge.files import sync_folder
from edge.ranges import Range, Ranges
from edge.run import Place, Run, fitting, frames_then_gone
from edge.salvage import mend

KEEP_DAYS = 3
"""Days that a receipted frame stays, so that a gateway restored from a backup can be filled."""

_HOUR_MS = 3_600_000
_UNDATED = 1 << 40  # the hour of a receipt that came while the clock was not synchronised


class SpoolFailed(Exception):
    """The disk did not keep what it was given. The process must end: a later "kept" may be a lie.

    After a failed fsync the kernel drops the pages and the next fsync says yes. Only a new
    process that opens the file again sees what is truly there.
    """


@dataclass(slots=True, eq=False)
class _Stream:
    id: int
    stream: str
    lane: Lane
    boot: str
    next: int = 1
    receipted: Ranges = field(default_factory=Ranges)
    depth: int = 0

    def measure(self) -> None:
        self.depth = self.next - 1 - self.receipted.count(below=self.next)


class Spool:
    """An append-only queue in one SQLite file, with a stream for each lane and start.

    A frame is on disk before `append` returns and leaves only through `forget`, days after its
    receipt, so a power cut in between costs a duplicate, never a loss. The price is one fsync
    an append. Receipts are written without one: a receipt lost to a power cut is a frame sent
    twice.
    """

    synchronous: ClassVar[str] = "FULL"
    """What `append` asks of SQLite. In WAL mode anything less loses kept frames to a power cut."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        keep_days: float = KEEP_DAYS,
        woken: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self.woken = woken
        self.drained = asyncio.Event()
        self._clock = clock
        self._keep_hours = keep_days * 24
        self._failed: Exception | None = None
        self._current: dict[Lane, _Stream] = {}
        self._streams: dict[str, _Stream] = {}
        self._lock = only_writer(path)
        mend(path)
        self._appends = connect(path, self.synchronous)
        self._appends.executescript(SCHEMA)
        sync_folder(path.parent)
        self._marks = connect(path, "NORMAL")
        self._load()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._marks.close()
        self._appends.close()
        os.close(self._lock)

    def append(self, frame: Frame, lane: Lane) -> None:
        """Keep one frame; it is on disk when this returns. Raises SpoolFailed."""
        self.append_many((frame,), lane)

    def append_many(self, frames: Sequence[Frame], lane: Lane) -> None:
        """Keep frames in one transaction; all are on disk when this returns. Raises SpoolFailed.

        A frame too large for any message keeps its number and the reason in place of its bytes.
        """
        if not frames:
            return
        texts = [(frame.at, encode_frame(frame)) for frame in frames]
        with self._writing(self._appends):
            stream = self._current.get(lane) or self._begin(lane)
            self._appends.executemany(
                "INSERT INTO frame (stream, sequence, at, body, gone) VALUES (?, ?, ?, ?, ?)",
                [
                    (stream.id, sequence, at, *fitting(text))
                    for sequence, (at, text) in enumerate(texts, start=stream.next)
                ],
            )
            self._appends.execute(
                "UPDATE stream SET next = ? WHERE id = ?", (stream.next + len(texts), stream.id)
            )
        self._appended(stream, len(texts))

    def cut(
        self, lane: Lane, after: Place | None = None, *, frames: int, octets: int
    ) -> Run | None:
        """The first run without a receipt, from a place on: at most so many frames and bytes.

        Streams of earlier starts come first. A single frame larger than `octets` becomes `gone`.
        None when nothing is left behind that place.
        """
        for stream in self._waiting(lane):
            start = 1
            if after is not None:
                if stream.id < after.stream:
                    continue
                start = after.sequence if stream.id == after.stream else 1
            gap = stream.receipted.gap(start, below=stream.next)
            if gap is not None:
                return self._run(stream, gap, frames=frames, octets=octets)
        return None

    def waits(self, run: Run) -> bool:
        """Whether any frame of the run still has no receipt."""
        stream = self._streams.get(run.stream)
        return stream is not None and not stream.receipted.covers([(run.first, run.last)])

    def receipt(self, streams: Mapping[str, Iterable[Range]], *, epoch: str) -> bool:
        """Mark what the gateway has stored; True when that is news. Raises SpoolFailed.

        Another epoch than the last means a restored gateway: only what its receipts list counts
        as stored from then on, and what is still kept is sent again. An epoch that came before
        the last one is a late message and changes nothing.
        """
        if not self._in_epoch(epoch):
            return False
        changed: dict[int, tuple[_Stream, Ranges]] = {}
        for name, ranges in streams.items():
            stream = self._streams.get(name)
            if stream is None:
                continue
            known = [(first, min(last, stream.next - 1)) for first, last in ranges]
            known = [(first, last) for first, last in known if 0 < first <= last]
            if not stream.receipted.covers(known):
                changed[stream.id] = stream, stream.receipted | known
        self._mark(changed)
        return bool(changed)

    def forget(self, *, at_most: int = 5_000) -> int:
        """Delete frames whose receipt is older than the days to keep; how many were deleted.

        A clock that is not synchronised deletes nothing. Raises SpoolFailed.
        """
        if not self._clock.synchronised():
            return 0
        now = self._clock.now_ms() // _HOUR_MS
        forgotten = 0
        with self._writing(self._marks):
            self._date(now)
            old = self._marks.execute(
                "SELECT stream, max(hour), ranges FROM receipted WHERE hour < ? GROUP BY stream",
                (int(now - self._keep_hours),),
            ).fetchall()
            for stream, hour, ranges in old:
                forgotten += self._delete(stream, hour, json.loads(ranges), at_most - forgotten)
        return forgotten

    def depth(self, lane: Lane | None = None) -> int:
        """How many frames, of one lane or of both, have no receipt yet."""
        return sum(s.depth for s in self._streams.values() if lane is None or s.lane == lane)

    def oldest(self, lane: Lane) -> int | None:
        """When the oldest frame without a receipt was heard, milliseconds since 1970."""
        for stream in self._waiting(lane):
            gap = stream.receipted.gap(1, below=stream.next)
            row = (
                gap
                and self._marks.execute(
                    "SELECT at FROM frame WHERE stream = ? AND sequence BETWEEN ? AND ? LIMIT 1",
                    (stream.id, *gap),
                ).fetchone()
            )
            if row:
                return int(row[0])
        return None

    def remember(self, name: str, value: str) -> None:
        """Keep one named value beside the frames, on disk when this returns."""
        with self._writing(self._appends):
            _note(self._appends, name, value)

    def recall(self, name: str) -> str | None:
        row = self._appends.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    # -- opening

    def _load(self) -> None:
        rows = self._marks.execute(
            "SELECT s.id, s.stream, s.lane, s.boot, s.next, r.ranges, max(r.hour) FROM stream s"
            " LEFT JOIN receipted r ON r.stream = s.id GROUP BY s.id ORDER BY s.id"
        )
        for number, name, lane, boot, following, ranges, _ in rows:
            stream = _Stream(number, name, lane, boot, following)
            stream.receipted = Ranges((a, b) for a, b in json.loads(ranges or "[]"))
            stream.measure()
            self._streams[name] = stream
        self._epochs: list[str] = json.loads(self.recall("epochs") or "[]")
        self._settle()

    # -- inside

    @contextmanager
    def _writing(self, connection: sqlite3.Connection) -> Generator[None]:
        """One transaction; whatever the disk refuses is the end of this spool's use."""
        if self._failed is not None:
            raise SpoolFailed(f"the spool failed before: {self._failed}") from self._failed
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed = error
            raise SpoolFailed(f"{self.path}: {error}") from error
        finally:
            if connection.in_transaction:
                connection.rollback()

    def _begin(self, lane: Lane) -> _Stream:
        name, boot = str(uuid.uuid4()), self._clock.boot
        made = self._appends.execute(
            "INSERT INTO stream (stream, lane, boot, next) VALUES (?, ?, ?, 1) RETURNING id",
            (name, lane, boot),
        ).fetchone()
        return _Stream(int(made[0]), name, lane, boot)

    def _appended(self, stream: _Stream, count: int) -> None:
        self._current[stream.lane] = self._streams[stream.stream] = stream
        stream.next += count
        stream.depth += count
        self.drained.clear()
        self.woken()

    def _waiting(self, lane: Lane) -> Iterator[_Stream]:
        return (s for s in self._streams.values() if s.lane == lane and s.depth > 0)

    def _settle(self) -> None:
        if any(stream.depth for stream in self._streams.values()):
            self.drained.clear()
        else:
            self.drained.set()

    def _run(self, stream: _Stream, gap: Range, *, frames: int, octets: int) -> Run:
        rows = self._marks.execute(
            "SELECT sequence, body, gone FROM frame WHERE stream = ? AND sequence BETWEEN ? AND ?"
            " ORDER BY sequence LIMIT ?",
            (stream.id, *gap, frames + 1),
        ).fetchall()
        bodies, gone = frames_then_gone(rows, gap, frames=frames, octets=octets)
        last = gone[-1].last if gone else gap[0] + len(bodies) - 1
        return Run(
            stream=stream.stream,
            boot=stream.boot,
            first=gap[0],
            last=last,
            frames=tuple(bodies),
            gone=tuple(gone),
            following=Place(stream.id, last + 1),
        )

    def _in_epoch(self, epoch: str) -> bool:
        """Whether a receipt of this epoch counts; a new one first undoes all earlier receipts."""
        if epoch in self._epochs:
            return epoch == self._epochs[-1]
        with self._writing(self._appends):
            _note(self._appends, "epochs", json.dumps([*self._epochs, epoch]))
            if self._epochs:
                self._appends.execute("DELETE FROM receipted")
        for stream in self._streams.values() if self._epochs else ():
            stream.receipted = Ranges()
            stream.measure()
        self._epochs.append(epoch)
        self._settle()
        return True

    def _mark(self, changed: Mapping[int, tuple[_Stream, Ranges]]) -> None:
        if not changed:
            return
        sure = self._clock.synchronised()
        hour = self._clock.now_ms() // _HOUR_MS if sure else _UNDATED
        with self._writing(self._marks):
            self._marks.executemany(
                "INSERT INTO receipted (stream, hour, ranges) VALUES (?1, max(?2, coalesce("
                "(SELECT max(hour) FROM receipted WHERE stream = ?1), 0)), ?3)"
                " ON CONFLICT (stream, hour) DO UPDATE SET ranges = excluded.ranges",
                [(number, hour, json.dumps(list(r))) for number, (_, r) in changed.items()],
            )
        for stream, ranges in changed.values():
            stream.receipted = ranges
            stream.measure()
        self._settle()

    def _date(self, now: int) -> None:
        """Receipts that came before the clock was synchronised count as of now."""
        self._marks.execute(
            "INSERT INTO receipted (stream, hour, ranges)"
            " SELECT stream, ?1, ranges FROM receipted WHERE hour = ?2"
            " ON CONFLICT (stream, hour) DO UPDATE SET ranges = excluded.ranges",
            (now, _UNDATED),
        )
        self._marks.execute("DELETE FROM receipted WHERE hour = ?", (_UNDATED,))

    def _delete(self, stream: int, hour: int, ranges: Iterable[Range], at_most: int) -> int:
        deleted = 0
        for first, last in ranges:
            deleted += self._marks.execute(
                "DELETE FROM frame WHERE stream = ?1 AND sequence >= ?2 AND sequence <= ("
                " SELECT max(sequence) FROM (SELECT sequence FROM frame WHERE stream = ?1"
                " AND sequence BETWEEN ?2 AND ?3 ORDER BY sequence LIMIT ?4))",
                (stream, first, last, max(0, at_most - deleted)),
            ).rowcount
        self._marks.execute("DELETE FROM receipted WHERE stream = ? AND hour < ?", (stream, hour))
        self._drop_if_empty(stream)
        return deleted

    def _drop_if_empty(self, number: int) -> None:
        stream = next(s for s in self._streams.values() if s.id == number)
        if stream.depth or self._current.get(stream.lane) is stream:
            return
        if self._marks.execute("SELECT 1 FROM frame WHERE stream = ?", (number,)).fetchone():
            return
        self._marks.execute("DELETE FROM receipted WHERE stream = ?", (number,))
        self._marks.execute("DELETE FROM stream WHERE id = ?", (number,))
        del self._streams[stream.stream]


def _note(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute(
        "INSERT INTO note (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )

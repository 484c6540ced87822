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
import logging
import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypeVar

from adapters.frame import Frame, Lane, encode_frame
from edge.clock import Clock
from edge.disk import SCHEMA, SpoolFailed, SpoolFull, connect, note, noted, only_writer
from edge.files import sync_folder
from edge.ranges import Range, Ranges
from edge.room import NOTE, Cost, Reserve, is_full, let_grow
from edge.run import Place, Run, frames_then_gone
from edge.salvage import mend
from edge.stream import (
    Stream,
    begin,
    date,
    delete,
    frames_in,
    heard_at,
    insert,
    mark,
    receipted,
    streams,
    thin,
    unmark,
)

KEEP_DAYS = 3
"""Days that a receipted frame stays, so that a gateway restored from a backup can be filled."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_HOUR_MS = 3_600_000
_UNDATED = 1 << 40  # the hour of a receipt that came while the clock was not synchronised
_LET_GO = (2_000, 50)  # frames at a time on a full card; fewer where even deleting finds no space


class Spool:
    """An append-only queue in one SQLite file, with a stream for each lane and start.

    A frame is on disk before `append` returns and leaves only through `forget`, days after its
    receipt, so a power cut in between costs a duplicate, never a loss. The price is one fsync
    an append. Receipts are written without one: a receipt lost to a power cut is a frame sent
    twice. Only a full card breaks this: the oldest receipted frames go before their days are over,
    then the oldest of the bulk lane, told to the gateway as gone. Calls have a `reserve` (bytes;
    0 for none) besides.
    """

    synchronous: ClassVar[str] = "FULL"
    """What `append` asks of SQLite. In WAL mode anything less loses kept frames to a power cut."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        keep_days: float = KEEP_DAYS,
        reserve: int = 0,
        woken: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self.woken = woken
        self.drained = asyncio.Event()
        self._clock = clock
        self.keep_days = keep_days
        self._failed: Exception | None = None
        self._current: dict[Lane, Stream] = {}
        self._streams: dict[str, Stream] = {}
        self._lock = only_writer(path)
        self._reserve = Reserve(path, reserve)
        self._reserve.release()  # a full card has no room to open the spool in either
        mend(path)
        self._appends = connect(path, self.synchronous)
        self._appends.executescript(SCHEMA)
        sync_folder(path.parent)
        self._marks = connect(path, "NORMAL")
        self._load()
        self._reserve.hold()

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

        On a full card room is made; SpoolFull when none is left. A frame too
        large for any message keeps its number and the reason in place of its bytes.
        """
        if not frames:
            return
        texts = [(frame.at, encode_frame(frame)) for frame in frames]
        stream = self._write(
            self._appends, lambda: self._insert(lane, texts), reserve=lane == "urgent"
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
        changed: dict[int, tuple[Stream, Ranges]] = {}
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

    def take_back(self, missing: Mapping[str, Sequence[Range]], *, epoch: str) -> bool:
        """Send again what the gateway misses after all; True when news. Raises SpoolFailed."""
        news = False
        for name, asked in missing.items() if epoch == self.epoch else ():
            stream = self._streams.get(name)
            left = stream.receipted - asked if stream else Ranges()
            if stream is None or left == stream.receipted:
                continue
            self._write(self._appends, partial(unmark, self._appends, stream.id, asked))
            stream.receipted, news = left, True
            stream.measure()
        self._settle()
        return news

    def forget(self, *, at_most: int = 5_000) -> int:
        """Delete frames whose receipt is older than the days to keep; how many were deleted.

        A clock that is not synchronised deletes nothing. Raises SpoolFailed.
        """
        if not self._clock.synchronised():
            return 0
        return self._write(self._marks, lambda: self._forget(at_most))

    @property
    def epoch(self) -> str | None:
        """The life of the gateway's store whose receipts count; None before the first receipt."""
        return self._epochs[-1] if self._epochs else None

    @property
    def cost(self) -> Cost | None:
        """What full cards have cost; None for a card that never was full."""
        return Cost.noted(self.recall(NOTE))

    def depth(self, lane: Lane | None = None) -> int:
        """How many frames, of one lane or of both, have no receipt yet."""
        return sum(s.depth for s in self._streams.values() if lane is None or s.lane == lane)

    def oldest(self, lane: Lane) -> int | None:
        """When the oldest frame without a receipt was heard, milliseconds since 1970."""
        for stream in self._waiting(lane):
            gap = stream.receipted.gap(1, below=stream.next)
            at = gap and heard_at(self._marks, stream.id, gap)
            if at is not None:
                return at
        return None

    def remember(self, name: str, value: str) -> None:
        """Keep one named value beside the frames, on disk when this returns."""
        self._write(self._appends, lambda: note(self._appends, name, value))

    def recall(self, name: str) -> str | None:
        return noted(self._appends, name)

    # -- opening

    def _load(self) -> None:
        self._streams = {stream.stream: stream for stream in streams(self._marks)}
        self._epochs: list[str] = json.loads(self.recall("epochs") or "[]")
        self._settle()

    # -- inside

    def _write(
        self, connection: sqlite3.Connection, work: Callable[[], _T], *, reserve: bool = True
    ) -> _T:
        """One transaction, tried again for as long as a full card can be made room on."""
        self._reserve.hold()
        grow = self._reserve.held
        try:
            while True:
                try:
                    with self._writing(connection):
                        let_grow(connection, may=grow)
                        return work()
                except SpoolFull:
                    if not self._make_room():
                        if grow or not reserve:
                            raise
                        grow = True  # nothing else is left: this is what the reserve is for
                    else:
                        grow = False
        finally:
            self._reserve.hold()

    def _make_room(self) -> bool:
        """Whether it makes sense to try again. Deleting itself needs space: that of the reserve."""
        released = self._reserve.release()
        with suppress(sqlite3.Error):
            self._marks.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for at_most in _LET_GO:
            with suppress(SpoolFull), self._writing(self._marks):
                if self._let_go(at_most):
                    return True
        return released

    def _let_go(self, at_most: int) -> int:
        """The oldest receipted frames; when there are none, the oldest of the bulk lane."""
        early = given_up = 0
        for stream in list(self._streams.values()):
            early += self._delete(stream.id, 0, stream.receipted, at_most - early)
        for stream in self._waiting("bulk") if not early else ():
            given_up += thin(self._marks, stream.id, at_most - given_up)
        if early or given_up:
            self._note_cost(early, given_up)
        return early + given_up

    def _note_cost(self, early: int, given_up: int) -> None:
        _log.error("a full card: %d receipted frames let go of, %d given up", early, given_up)
        cost = (self.cost or Cost()).and_(at=self._clock.now_ms(), early=early, given_up=given_up)
        note(self._marks, NOTE, cost.note())

    @contextmanager
    def _writing(self, connection: sqlite3.Connection) -> Generator[None]:
        """One transaction; whatever else than space the disk refuses ends this spool's use."""
        if self._failed is not None:
            raise SpoolFailed(f"the spool failed before: {self._failed}") from self._failed
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if is_full(error):
                raise SpoolFull(f"{self.path}: {error}") from error
            self._failed = error
            raise SpoolFailed(f"{self.path}: {error}") from error
        finally:
            if connection.in_transaction:
                connection.rollback()

    def _insert(self, lane: Lane, texts: Sequence[tuple[int, str]]) -> Stream:
        stream = self._current.get(lane) or begin(self._appends, lane, self._clock.boot)
        insert(self._appends, stream, texts)
        return stream

    def _appended(self, stream: Stream, count: int) -> None:
        self._current[stream.lane] = self._streams[stream.stream] = stream
        stream.next += count
        stream.depth += count
        self.drained.clear()
        self.woken()

    def _waiting(self, lane: Lane) -> Iterator[Stream]:
        return (s for s in self._streams.values() if s.lane == lane and s.depth > 0)

    def _settle(self) -> None:
        if any(stream.depth for stream in self._streams.values()):
            self.drained.clear()
        else:
            self.drained.set()

    def _run(self, stream: Stream, gap: Range, *, frames: int, octets: int) -> Run:
        rows = frames_in(self._marks, stream.id, gap, frames + 1)
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
        self._write(self._appends, lambda: self._note_epoch(epoch))
        for stream in self._streams.values() if self._epochs else ():
            stream.receipted = Ranges()
            stream.measure()
        self._epochs.append(epoch)
        self._settle()
        return True

    def _note_epoch(self, epoch: str) -> None:
        note(self._appends, "epochs", json.dumps([*self._epochs, epoch]))
        if self._epochs:
            self._appends.execute("DELETE FROM receipted")

    def _mark(self, changed: Mapping[int, tuple[Stream, Ranges]]) -> None:
        if not changed:
            return
        sure = self._clock.synchronised()
        hour = self._clock.now_ms() // _HOUR_MS if sure else _UNDATED
        rows = [(number, hour, json.dumps(list(r))) for number, (_, r) in changed.items()]
        self._write(self._marks, lambda: mark(self._marks, rows))
        for stream, ranges in changed.values():
            stream.receipted = ranges
            stream.measure()
        self._settle()

    def _forget(self, at_most: int) -> int:
        now, forgotten = self._clock.now_ms() // _HOUR_MS, 0
        date(self._marks, now, undated=_UNDATED)
        # with nothing to keep not even the hour is waited for in which the receipt came
        before = int(now - self.keep_days * 24) if self.keep_days else _UNDATED
        old = receipted(self._marks, before=before)
        for stream, hour, ranges in old:
            forgotten += self._delete(stream, hour, json.loads(ranges), at_most - forgotten)
        return forgotten

    def _delete(self, stream: int, hour: int, ranges: Iterable[Range], at_most: int) -> int:
        deleted = delete(self._marks, stream, ranges, at_most)
        self._marks.execute("DELETE FROM receipted WHERE stream = ? AND hour < ?", (stream, hour))
        self._drop_if_empty(stream)
        return deleted

    def _drop_if_empty(self, number: int) -> None:
        stream = next((s for s in self._streams.values() if s.id == number), None)
        if stream is None or stream.depth or self._current.get(stream.lane) is stream:
            return
        if self._marks.execute("SELECT 1 FROM frame WHERE stream = ?", (number,)).fetchone():
            return
        self._marks.execute("DELETE FROM receipted WHERE stream = ?", (number,))
        self._marks.execute("DELETE FROM stream WHERE id = ?", (number,))
        del self._streams[stream.stream]

"""All streams of a spool in memory and on disk, as long as there is a disk."""

import json
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from adapters.frame import Lane
from edge.clock import Clock
from edge.keeping import stream as rows
from edge.keeping.card import free_octets
from edge.keeping.disk import SpoolFailed, SpoolFull, note, noted, noted_texts
from edge.keeping.medium import Medium, Terms
from edge.keeping.ranges import Range, Ranges
from edge.keeping.rate import Rate
from edge.keeping.room import NOTE, Cost, Reserve
from edge.keeping.run import Place, Run, frames_then_gone
from edge.keeping.stream import Stream

KEEP_DAYS = 3
"""Days that a receipted frame stays, so that a gateway restored from a backup can be filled."""

_log = logging.getLogger(__name__)
_HOUR_MS = 3_600_000
_UNDATED = 1 << 40  # the hour of a receipt that came while the clock was not synchronised
_RATE = "rate"


class Shelf:
    """The streams, and the file as long as it can be used."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        synchronous: str,
        keep_days: float,
        reserve: int,
        terms: Terms,
    ) -> None:
        """Opens the file. Raises sqlite3.Error, OSError where nothing may be in memory."""
        self.path = path
        self.streams: dict[str, Stream] = {}
        self.current: dict[Lane, Stream] = {}
        self.epochs: list[str] = []
        self.rate = Rate()
        self._clock = clock
        self._keep_days = keep_days
        self._terms = terms
        self._dirty: dict[str, int] = {}
        self.medium = Medium(
            path,
            clock,
            synchronous=synchronous,
            reserve=Reserve(path, reserve),
            terms=terms,
            load=self._load,
            let_go=self._let_go,
        )
        self.medium.begin()

    def close(self) -> None:
        self.medium.close()

    # -- streams

    def begin(self, lane: Lane) -> Stream:
        number = max((s.id for s in self.streams.values()), default=0) + 1
        stream = rows.begun(number, lane, self._clock.boot)
        self.streams[stream.stream] = self.current[lane] = stream
        return stream

    def waiting(self, lane: Lane) -> Iterator[Stream]:
        return (s for s in self.streams.values() if s.lane == lane and s.depth > 0)

    def is_call(self, name: str) -> bool:
        stream = self.streams.get(name)
        return stream is not None and stream.lane == "urgent"

    def seen_from(self, stream: Stream) -> int:
        """The first number that can be read: where the disk gives nothing, what is in memory."""
        return 1 if self.medium.connection is not None else stream.written

    def go_blind(self, error: sqlite3.Error) -> None:
        """The disk cannot be read: only what is in memory leaves, and nothing is called gone."""
        self.medium.fail(error)
        self.medium.close()

    def run(self, stream: Stream, gap: Range, *, frames: int, octets: int) -> Run:
        found = self._rows(stream, gap, frames + 1)
        bodies, gone = frames_then_gone(found, gap, frames=frames, octets=octets)
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

    def oldest(self, lane: Lane) -> int | None:
        for stream in self.waiting(lane):
            gap = stream.receipted.gap(self.seen_from(stream), below=stream.next)
            try:
                at = gap and self._heard_at(stream, gap)
            except sqlite3.Error as error:
                self.go_blind(error)
                return self.oldest(lane)
            if at is not None:
                return at
        return None

    # -- receipts

    def in_epoch(self, epoch: str) -> bool:
        """Whether a receipt of this epoch counts; a new one first undoes all earlier receipts."""
        if epoch in self.epochs:
            return epoch == self.epochs[-1]
        self._bear(lambda wired: self._note_epoch(wired, epoch))
        for stream in self.streams.values() if self.epochs else ():
            stream.receipted = Ranges()
            stream.measure()
        self.epochs.append(epoch)
        return True

    def mark(self, name: str, ranges: Iterable[Range]) -> bool:
        """Take a stream's receipted ranges; whether they are news."""
        stream = self.streams.get(name)
        if stream is None:
            return False
        known = [(first, min(last, stream.next - 1)) for first, last in ranges]
        known = [(first, last) for first, last in known if 0 < first <= last]
        if stream.receipted.covers(known):
            return False
        stream.receipted |= known
        stream.measure()
        self._dirty[name] = self._hour()
        if self.medium.failed:
            stream.let_go()
        return True

    def unmark(self, name: str, asked: Sequence[Range]) -> bool:
        stream = self.streams.get(name)
        left = stream.receipted - asked if stream else Ranges()
        if stream is None or left == stream.receipted:
            return False
        self._bear(lambda wired: rows.unmark(wired, stream.id, asked))
        stream.receipted = left
        stream.measure()
        return True

    # -- the disk

    @property
    def is_behind(self) -> bool:
        """Whether something is in memory only."""
        return bool(self._dirty) or any(s.tail for s in self.streams.values())

    def flush(self, lanes: Collection[Lane]) -> None:
        """Put these lanes' frames and all receipts on disk; calls alone may go beyond limits."""
        if not self.is_behind:
            return
        kept = [s for s in self.streams.values() if s.tail and s.lane in lanes]
        try:
            self.medium.write(lambda: self._put(kept), beyond="bulk" not in lanes)
        except SpoolFull as full:
            self.medium.say("card_full", full)
            raise
        for stream in kept:
            stream.flushed()
        self._dirty.clear()
        if not self.medium.failed and not self.is_behind:
            self.medium.trouble = None

    def forget(self, at_most: int) -> int:
        if self.medium.failed:
            return 0
        forgotten = self.medium.write(lambda: self._forget(at_most), beyond=True)
        self._dirty.clear()
        return forgotten

    def remember(self, name: str, value: str) -> None:
        behind = [s for s in self.streams.values() if s.tail]

        def put() -> None:
            self._put(behind)
            note(self.medium.wired, name, value)

        self.medium.write(put, beyond=True)
        for stream in behind:
            stream.flushed()
        self._dirty.clear()

    def recall(self, name: str) -> str | None:
        if self.medium.connection is None:
            return None
        try:
            return noted(self.medium.connection, name)
        except sqlite3.Error as error:
            self.medium.fail(error)
            return None

    def tend(self) -> bool:
        """Look after the file; True when it was opened again: new frames begin new streams."""
        if not self.medium.failed:
            self.medium.look_after()
            return False
        return self.medium.is_due and self._open_again()

    def room_days(self) -> float | None:
        """Days until bulk has to go, at the rate of the last days; None while that is unknown."""
        limit = self._terms.limit
        if self.medium.failed:
            return None
        with suppress(OSError, sqlite3.Error, SpoolFailed):
            size = self.medium.size + free_octets(self.path.parent)
            capacity = min(size, limit) if limit else size
            depth = sum(stream.depth for stream in self.streams.values())
            return self.rate.days(capacity=capacity, depth=depth, now_ms=self._clock.now_ms())
        return None

    # -- inside: what memory and disk have of each other

    def _load(self, connection: sqlite3.Connection) -> None:
        """What is in memory already is newer than what the disk has of it."""
        found = {stream.stream: stream for stream in rows.streams(connection)}
        merged = sorted((found | self.streams).values(), key=lambda stream: stream.id)
        self.streams = {stream.stream: stream for stream in merged}
        self._dirty |= {n: self._hour() for n, s in self.streams.items() if s is not found.get(n)}
        self.epochs = noted_texts(connection, "epochs")
        self.rate = Rate(noted(connection, _RATE))

    def _bear(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Write if the disk takes it; where it does not, memory alone knows. Raises SpoolFailed."""
        try:
            self.medium.write(lambda: (self._put_receipts(), work(self.medium.wired)), beyond=True)
        except SpoolFailed:
            if not self._terms.memory:
                raise
        else:
            self._dirty.clear()

    # -- inside: rows

    def _rows(self, stream: Stream, gap: Range, at_most: int) -> list[rows.Row]:
        found = list[rows.Row]()
        if self.medium.connection is not None and gap[0] < stream.written:
            on_disk = gap[0], min(gap[1], stream.written - 1)
            found = rows.frames_in(self.medium.connection, stream.id, on_disk, at_most)
        return found + stream.rows_in_memory(gap, at_most - len(found))

    def _heard_at(self, stream: Stream, gap: Range) -> int | None:
        if self.medium.connection is not None and gap[0] < stream.written:
            return rows.heard_at(self.medium.connection, stream.id, gap)
        return stream.tail[gap[0] - stream.written][0]

    def _put(self, streams: Iterable[Stream]) -> None:
        for stream in streams:
            rows.insert(self.medium.wired, stream)
            lengths = [len(text) for _, text in stream.tail]
            if self.rate.add(self._clock.now_ms(), lengths):
                note(self.medium.wired, _RATE, self.rate.note())
        self._put_receipts()

    def _open_again(self) -> bool:
        epochs = self.epochs
        try:
            self.medium.open_again()
            self.epochs = epochs or self.epochs
            self.medium.write(self._put_all, beyond=True)
        except (SpoolFailed, sqlite3.Error, OSError) as error:
            self.medium.fail(error)
            self.medium.look()
            return False
        for stream in self.streams.values():
            stream.flushed()
        self._dirty.clear()
        self.medium.trouble = None
        _log.warning("the disk keeps frames again")
        return True

    def _put_all(self) -> None:
        self._put(list(self.streams.values()))
        note(self.medium.wired, "epochs", json.dumps(self.epochs))

    def _put_receipts(self) -> None:
        known = self.streams
        changed = [(known[name], hour) for name, hour in self._dirty.items() if name in known]
        marks = [(s.id, hour, json.dumps(list(s.receipted))) for s, hour in changed]
        rows.mark(self.medium.wired, marks)

    def _hour(self) -> int:
        sure = self._clock.synchronised()
        return self._clock.now_ms() // _HOUR_MS if sure else _UNDATED

    def _let_go(self, at_most: int, why: str) -> int:
        """The oldest receipted frames; when there are none, the oldest of the bulk lane."""
        self._put_receipts()
        early = given_up = 0
        for stream in list(self.streams.values()):
            early += self._delete(stream.id, 0, stream.receipted, at_most - early)
        for stream in list(self.waiting("bulk")) if not early else ():
            given_up += rows.thin(self.medium.wired, stream, at_most - given_up, why)
        if early or given_up:
            self._note_cost(early, given_up, why)
        return early + given_up

    def _note_cost(self, early: int, given_up: int, why: str) -> None:
        _log.error("%s: %d receipted frames let go of, %d given up", why, early, given_up)
        before = Cost.noted(noted(self.medium.wired, NOTE)) or Cost()
        cost = before.and_(at=self._clock.now_ms(), early=early, given_up=given_up)
        note(self.medium.wired, NOTE, cost.note())
        if given_up:
            self.medium.happened.append(("spool.thinned", {"frames": given_up, "why": why}))

    def _note_epoch(self, connection: sqlite3.Connection, epoch: str) -> None:
        note(connection, "epochs", json.dumps([*self.epochs, epoch]))
        if self.epochs:
            connection.execute("DELETE FROM receipted")

    def _forget(self, at_most: int) -> int:
        self._put_receipts()
        now, forgotten = self._clock.now_ms() // _HOUR_MS, 0
        rows.date(self.medium.wired, now, undated=_UNDATED)
        # with nothing to keep not even the hour is waited for in which the receipt came
        before = int(now - self._keep_days * 24) if self._keep_days else _UNDATED
        for stream, hour, ranges in rows.receipted(self.medium.wired, before=before):
            left = at_most - forgotten
            forgotten += self._delete(stream, hour, json.loads(ranges), left)
        return forgotten

    def _delete(self, stream: int, hour: int, ranges: Iterable[Range], at_most: int) -> int:
        deleted = rows.delete(self.medium.wired, stream, ranges, at_most)
        self.medium.wired.execute(
            "DELETE FROM receipted WHERE stream = ? AND hour < ?", (stream, hour)
        )
        self._drop_if_empty(stream)
        return deleted

    def _drop_if_empty(self, number: int) -> None:
        stream = next((s for s in self.streams.values() if s.id == number), None)
        if stream is None or stream.depth or stream in self.current.values():
            return
        if self.medium.wired.execute("SELECT 1 FROM frame WHERE stream = ?", (number,)).fetchone():
            return
        self.medium.wired.execute("DELETE FROM receipted WHERE stream = ?", (number,))
        self.medium.wired.execute("DELETE FROM stream WHERE id = ?", (number,))
        del self.streams[stream.stream]

"""All streams of a spool in memory and on disk, and what happens to them when the disk fails."""

import json
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapters.frame import Lane
from edge.clock import Clock
from edge.keeping import stream as rows
from edge.keeping.card import Card, free_octets, takes_writes
from edge.keeping.disk import SpoolFailed, SpoolFull, connect_reading, note, noted, noted_texts
from edge.keeping.ranges import Range, Ranges
from edge.keeping.rate import Rate
from edge.keeping.room import NOTE, OVER_LIMIT, Cost, Reserve
from edge.keeping.run import Place, Run, frames_then_gone
from edge.keeping.salvage import is_spoilt, mend
from edge.keeping.stream import Stream

KEEP_DAYS = 3
"""Days that a receipted frame stays, so that a gateway restored from a backup can be filled."""

Happening = tuple[str, Mapping[str, Any]]
"""The word of a box event, and its details."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_AT_ONCE = 2_000  # frames let go of at a time where the limit was set lower
_HOUR_MS = 3_600_000
_UNDATED = 1 << 40  # the hour of a receipt that came while the clock was not synchronised
_TRY_AGAIN = 30.0  # seconds before a disk that failed is tried again
_RATE = "rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a box keeps frames; as it stands here: all at once and on disk, or not at all.

    `limit`: bytes that the file may take, 0 for
    any number; calls go beyond it when nothing else is left to go. `gather`: seconds that a bulk
    frame may be in memory only. `memory`: bytes of frames that each lane may hold in memory while
    the disk takes nothing; 0 raises SpoolFailed instead.
    """

    limit: int = 0
    gather: float = 0.0
    memory: int = 0


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
        self.happened: deque[Happening] = deque(maxlen=100)
        self.trouble: str | None = None
        self.rate = Rate()
        self._clock = clock
        self._synchronous = synchronous
        self._keep_days = keep_days
        self._terms = terms
        self._reserve = Reserve(path, reserve)
        self._card: Card | None = None
        self._reading: sqlite3.Connection | None = None
        self._failed: Exception | None = None
        self._failed_at = 0.0
        self._spoilt = False
        self._dirty: dict[str, int] = {}
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            if not terms.memory:
                self.close()
                raise
            self._look()

    def close(self) -> None:
        if self._card is not None:
            self._card.close()
        if self._reading is not None:
            self._reading.close()
        self._card = self._reading = None

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
        return 1 if self._connection is not None else stream.written

    def go_blind(self, error: sqlite3.Error) -> None:
        """The disk cannot be read: only what is in memory leaves, and nothing is called gone."""
        self._fail(error)
        self.close()

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
        if self._failed is not None:
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
            self._write(lambda: self._put(kept), beyond="bulk" not in lanes)
        except SpoolFull as full:
            self._trouble("card_full", full)
            raise
        for stream in kept:
            stream.flushed()
        self._dirty.clear()
        if self._failed is None and not self.is_behind:
            self.trouble = None

    def forget(self, at_most: int) -> int:
        if self._failed is not None:
            return 0
        forgotten = self._write(lambda: self._forget(at_most), beyond=True)
        self._dirty.clear()
        return forgotten

    def remember(self, name: str, value: str) -> None:
        behind = [s for s in self.streams.values() if s.tail]

        def put() -> None:
            self._put(behind)
            note(self._wired, name, value)

        self._write(put, beyond=True)
        for stream in behind:
            stream.flushed()
        self._dirty.clear()

    def recall(self, name: str) -> str | None:
        if self._connection is None:
            return None
        try:
            return noted(self._connection, name)
        except sqlite3.Error as error:
            self._fail(error)
            return None

    def tend(self) -> bool:
        """Look after the file; True when it was opened again: new frames begin new streams."""
        if self._failed is None:
            self._look_after()
        elif self._spoilt or self._clock.uptime() - self._failed_at >= _TRY_AGAIN:
            self._failed_at = self._clock.uptime()
            return self._open_again()
        return False

    def suspect(self, why: str) -> None:
        """The file is spoilt: `tend` sets it aside."""
        self._spoilt = True
        self._fail(sqlite3.DatabaseError(f"{self.path} is spoilt, says {why}"))

    def room_days(self) -> float | None:
        """Days until bulk has to go, at the rate of the last days; None while that is unknown."""
        card, limit = self._card, self._terms.limit
        if card is None or self._failed is not None:
            return None
        with suppress(OSError, sqlite3.Error):
            size = card.size + free_octets(self.path.parent)
            capacity = min(size, limit) if limit else size
            depth = sum(stream.depth for stream in self.streams.values())
            return self.rate.days(capacity=capacity, depth=depth, now_ms=self._clock.now_ms())
        return None

    # -- inside: the disk and its failing

    def _open(self) -> None:
        self._reserve.release()  # a full card has no room to open the spool in either
        if self._spoilt or not self._terms.memory:
            self._mend()
        try:
            self._begin_card()
        except sqlite3.DatabaseError as error:
            if not is_spoilt(error):
                raise
            self.close()
            self._mend()
            self._begin_card()
        self._reserve.hold()

    def _mend(self) -> None:
        aside = mend(self.path)
        self._spoilt = False
        if aside is not None:
            self.happened.append(("spool.renewed", {"aside": aside.name}))

    def _begin_card(self) -> None:
        self._card = Card(
            self.path,
            synchronous=self._synchronous,
            limit=self._terms.limit,
            reserve=self._reserve,
            make_room=self._let_go,
        )
        self._load(self._card.connection)

    def _load(self, connection: sqlite3.Connection) -> None:
        """What is in memory already is newer than what the disk has of it."""
        found = {stream.stream: stream for stream in rows.streams(connection)}
        merged = sorted((found | self.streams).values(), key=lambda stream: stream.id)
        self.streams = {stream.stream: stream for stream in merged}
        self._dirty |= {n: self._hour() for n, s in self.streams.items() if s is not found.get(n)}
        self.epochs = noted_texts(connection, "epochs")
        self.rate = Rate(noted(connection, _RATE))

    def _look(self) -> None:
        """A card that takes no writes may still be read: what waits on it leaves."""
        with suppress(sqlite3.Error, OSError):
            self._reading = connect_reading(self.path, alone=True)
            self._load(self._reading)

    def _open_again(self) -> bool:
        self.close()
        epochs = self.epochs
        try:
            self._open()
            self._failed = None
            self.epochs = epochs or self.epochs
            self._write(self._put_all, beyond=True)
        except (SpoolFailed, sqlite3.Error, OSError) as error:
            self._fail(error)
            self._look()
            return False
        for stream in self.streams.values():
            stream.flushed()
        self._dirty.clear()
        self.trouble = None
        _log.warning("the disk keeps frames again")
        return True

    def _look_after(self) -> None:
        try:
            takes_writes(self.path.parent)
            if self._card is not None and self._card.too_large:
                self._write(lambda: self._let_go(_AT_ONCE, OVER_LIMIT), beyond=True)
        except (OSError, sqlite3.Error) as error:
            self._fail(error)
        except SpoolFailed:
            pass

    def _fail(self, error: Exception) -> None:
        """From here on the disk is written to no more, until it is opened again."""
        first, self._failed = self._failed is None, error
        self._spoilt |= isinstance(error, sqlite3.Error) and is_spoilt(error)
        if first:
            self._failed_at = self._clock.uptime()
            self._trouble("storage_failed", error)

    def _trouble(self, word: str, error: Exception) -> None:
        if self.trouble != word:
            self.trouble = word
            event = "spool.unsound" if self._spoilt else "storage.failed"
            self.happened.append((event, {"trouble": word, "why": str(error)[:120]}))
            _log.error("the disk does not keep what it is given: %s", error)

    @property
    def _connection(self) -> sqlite3.Connection | None:
        return self._reading if self._card is None else self._card.connection

    def _write(self, work: Callable[[], _T], *, beyond: bool) -> _T:
        if self._failed is not None or self._card is None:
            raise SpoolFailed(f"the spool failed before: {self._failed}") from self._failed
        try:
            return self._card.write(work, beyond=beyond)
        except SpoolFull:
            raise
        except SpoolFailed as failed:
            self._fail(failed.__cause__ if isinstance(failed.__cause__, Exception) else failed)
            raise

    def _bear(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Write if the disk takes it; where it does not, memory alone knows. Raises SpoolFailed."""
        try:
            self._write(lambda: (self._put_receipts(), work(self._wired)), beyond=True)
        except SpoolFailed:
            if not self._terms.memory:
                raise
        else:
            self._dirty.clear()

    @property
    def _wired(self) -> sqlite3.Connection:
        if self._card is None:
            raise SpoolFailed(f"{self.path} is not open")
        return self._card.connection

    # -- inside: rows

    def _rows(self, stream: Stream, gap: Range, at_most: int) -> list[rows.Row]:
        found = list[rows.Row]()
        if self._connection is not None and gap[0] < stream.written:
            on_disk = gap[0], min(gap[1], stream.written - 1)
            found = rows.frames_in(self._connection, stream.id, on_disk, at_most)
        return found + stream.rows_in_memory(gap, at_most - len(found))

    def _heard_at(self, stream: Stream, gap: Range) -> int | None:
        if self._connection is not None and gap[0] < stream.written:
            return rows.heard_at(self._connection, stream.id, gap)
        return stream.tail[gap[0] - stream.written][0]

    def _put(self, streams: Iterable[Stream]) -> None:
        for stream in streams:
            rows.insert(self._wired, stream)
            lengths = [len(text) for _, text in stream.tail]
            if self.rate.add(self._clock.now_ms(), lengths):
                note(self._wired, _RATE, self.rate.note())
        self._put_receipts()

    def _put_all(self) -> None:
        self._put(list(self.streams.values()))
        note(self._wired, "epochs", json.dumps(self.epochs))

    def _put_receipts(self) -> None:
        known = self.streams
        changed = [(known[name], hour) for name, hour in self._dirty.items() if name in known]
        marks = [(s.id, hour, json.dumps(list(s.receipted))) for s, hour in changed]
        rows.mark(self._wired, marks)

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
            given_up += rows.thin(self._wired, stream, at_most - given_up, why)
        if early or given_up:
            self._note_cost(early, given_up, why)
        return early + given_up

    def _note_cost(self, early: int, given_up: int, why: str) -> None:
        _log.error("%s: %d receipted frames let go of, %d given up", why, early, given_up)
        before = Cost.noted(noted(self._wired, NOTE)) or Cost()
        cost = before.and_(at=self._clock.now_ms(), early=early, given_up=given_up)
        note(self._wired, NOTE, cost.note())
        if given_up:
            self.happened.append(("spool.thinned", {"frames": given_up, "why": why}))

    def _note_epoch(self, connection: sqlite3.Connection, epoch: str) -> None:
        note(connection, "epochs", json.dumps([*self.epochs, epoch]))
        if self.epochs:
            connection.execute("DELETE FROM receipted")

    def _forget(self, at_most: int) -> int:
        self._put_receipts()
        now, forgotten = self._clock.now_ms() // _HOUR_MS, 0
        rows.date(self._wired, now, undated=_UNDATED)
        # with nothing to keep not even the hour is waited for in which the receipt came
        before = int(now - self._keep_days * 24) if self._keep_days else _UNDATED
        for stream, hour, ranges in rows.receipted(self._wired, before=before):
            left = at_most - forgotten
            forgotten += self._delete(stream, hour, json.loads(ranges), left)
        return forgotten

    def _delete(self, stream: int, hour: int, ranges: Iterable[Range], at_most: int) -> int:
        deleted = rows.delete(self._wired, stream, ranges, at_most)
        self._wired.execute("DELETE FROM receipted WHERE stream = ? AND hour < ?", (stream, hour))
        self._drop_if_empty(stream)
        return deleted

    def _drop_if_empty(self, number: int) -> None:
        stream = next((s for s in self.streams.values() if s.id == number), None)
        if stream is None or stream.depth or stream in self.current.values():
            return
        if self._wired.execute("SELECT 1 FROM frame WHERE stream = ?", (number,)).fetchone():
            return
        self._wired.execute("DELETE FROM receipted WHERE stream = ?", (number,))
        self._wired.execute("DELETE FROM stream WHERE id = ?", (number,))
        del self.streams[stream.stream]

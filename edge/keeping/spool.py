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
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from adapters.frame import LANES, Frame, Lane, encode_frame
from edge.clock import Clock
from edge.keeping.disk import SpoolFailed, SpoolFull, only_writer
from edge.keeping.medium import Happening, Terms
from edge.keeping.ranges import Range
from edge.keeping.room import NOTE, Cost
from edge.keeping.run import Place, Run
from edge.keeping.salvage import is_whole
from edge.keeping.shelf import KEEP_DAYS, Shelf
from edge.keeping.stream import Stream

__all__ = ["KEEP_DAYS", "Spool", "SpoolFailed", "SpoolFull", "Terms"]

_RECEIPTS = 10.0
"""Seconds that receipts stay in memory, so that many are one write."""
_MOST_GATHERED = 64_000  # bytes of frames; more are a reason to write


class Spool:
    """An append-only queue in one SQLite file, with a stream for each lane and start.

    A frame is on disk before `append` returns and leaves only through `forget`, days after its
    receipt, so a power cut in between costs a duplicate, never a loss. The price is one fsync
    an append. Receipts are written with the next frames, or after seconds: a receipt lost to a
    power cut is a frame sent twice.

    `terms` bend this where it is worth it: bulk frames may be gathered for some seconds, sent
    meanwhile from memory; the file has a largest size, at which (as on a full card) the oldest
    receipted frames go before their days are over, then the oldest of the bulk lane, told to the
    gateway as gone; and where the disk fails, frames stay in memory and `trouble` says so.
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
        terms: Terms | None = None,
        woken: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self.woken = woken
        self.drained = asyncio.Event()
        self.keep_days = keep_days
        self._clock = clock
        self._terms = terms or Terms()
        self._lock = only_writer(path)
        self._since: float | None = None
        try:
            self._shelf = Shelf(
                path,
                clock,
                synchronous=self.synchronous,
                keep_days=keep_days,
                reserve=reserve,
                terms=self._terms,
            )
        except BaseException:
            os.close(self._lock)
            raise
        self._settle()

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
        with suppress(SpoolFailed):
            self.flush()
        self._shelf.close()
        os.close(self._lock)

    def append(self, frame: Frame, lane: Lane) -> None:
        """Keep one frame; it is on disk when this returns. Raises SpoolFailed."""
        self.append_many((frame,), lane)

    def append_many(self, frames: Sequence[Frame], lane: Lane) -> None:
        """Keep frames in one transaction; all are on disk when this returns. Raises SpoolFailed.

        On a full card room is made; SpoolFull when none is left. A frame too
        large for any message keeps its number and the reason in place of its bytes.
        By the terms bulk may be on disk only later, and in trouble all may be in memory only.
        """
        if not frames:
            return
        stream = self._shelf.current.get(lane) or self._shelf.begin(lane)
        stream.add([(frame.at, encode_frame(frame)) for frame in frames])
        try:
            self._kept(stream)
        except SpoolFailed:
            if stream.octets > self._terms.memory:
                self._take_off(stream, len(frames))
                raise
        self.drained.clear()
        self.woken()

    def flush(self) -> None:
        """Put on disk what is in memory only. Raises SpoolFailed."""
        self._shelf.flush(LANES)
        self._since = None

    def tend(self) -> None:
        """To be called every few seconds: what may wait no longer, and what failed is tried again.

        Raises SpoolFailed where the terms let nothing stay in memory.
        """
        if self._shelf.tend():
            self._shelf.current.clear()  # the file is another one
            self._settle()
        self._flush_if_due(self._terms.gather)

    def cut(
        self, lane: Lane, after: Place | None = None, *, frames: int, octets: int
    ) -> Run | None:
        """The first run without a receipt, from a place on: at most so many frames and bytes.

        Streams of earlier starts come first. A single frame larger than `octets` becomes `gone`.
        None when nothing is left behind that place.
        """
        for stream in self._shelf.waiting(lane):
            start = self._shelf.seen_from(stream)
            if after is not None:
                if stream.id < after.stream:
                    continue
                start = max(start, after.sequence if stream.id == after.stream else 1)
            gap = stream.receipted.gap(start, below=stream.next)
            if gap is not None:
                return self._run(stream, gap, frames=frames, octets=octets)
        return None

    def waits(self, run: Run) -> bool:
        """Whether any frame of the run still has no receipt."""
        stream = self._shelf.streams.get(run.stream)
        return stream is not None and not stream.receipted.covers([(run.first, run.last)])

    def receipt(self, streams: Mapping[str, Iterable[Range]], *, epoch: str) -> bool:
        """Mark what the gateway has stored; True when that is news. Raises SpoolFailed.

        Another epoch than the last means a restored gateway: only what its receipts list counts
        as stored from then on, and what is still kept is sent again. An epoch that came before
        the last one is a late message and changes nothing.
        """
        if not self._shelf.in_epoch(epoch):
            return False
        news = [self._shelf.mark(name, ranges) for name, ranges in streams.items()]
        self._settle()
        if any(news):
            # who pressed and asks the box whether it got through is told the truth
            calls = any(self._shelf.is_call(name) for name in streams)
            self._flush_if_due(0 if calls else max(self._terms.gather, _RECEIPTS))
        return any(news)

    def take_back(self, missing: Mapping[str, Sequence[Range]], *, epoch: str) -> bool:
        """Send again what the gateway misses after all; True when news. Raises SpoolFailed."""
        if epoch != self.epoch:
            return False
        news = [self._shelf.unmark(name, ranges) for name, ranges in missing.items()]
        self._settle()
        return any(news)

    def forget(self, *, at_most: int = 5_000) -> int:
        """Delete frames whose receipt is older than the days to keep; how many were deleted.

        A clock that is not synchronised deletes nothing. Raises SpoolFailed.
        """
        if not self._clock.synchronised():
            return 0
        return self._shelf.forget(at_most)

    @property
    def epoch(self) -> str | None:
        """The life of the gateway's store whose receipts count; None before the first receipt."""
        return self._shelf.epochs[-1] if self._shelf.epochs else None

    @property
    def cost(self) -> Cost | None:
        """What full cards have cost; None for a card that never was full."""
        return Cost.noted(self.recall(NOTE))

    @property
    def trouble(self) -> str | None:
        """What keeps frames in memory, in one word: `storage_failed` or `card_full`."""
        return self._shelf.medium.trouble

    @property
    def happened(self) -> deque[Happening]:
        """What is to be told of the spool, the oldest first; whoever tells it takes it out."""
        return self._shelf.medium.happened

    @property
    def room_days(self) -> float | None:
        """Days the line may be dead before bulk is given up; None while the rate is unknown."""
        return self._shelf.room_days()

    def is_sound(self) -> bool:
        """Look through the whole file, in any thread; a false answer is acted on by `renew`."""
        return is_whole(self.path)

    def renew(self) -> None:
        """Set the file aside as spoilt and begin another with what can be read of it."""
        self._shelf.medium.suspect("a look through the file")
        self.tend()

    def depth(self, lane: Lane | None = None) -> int:
        """How many frames, of one lane or of both, have no receipt yet."""
        streams = self._shelf.streams.values()
        return sum(s.depth for s in streams if lane is None or s.lane == lane)

    def oldest(self, lane: Lane) -> int | None:
        """When the oldest frame without a receipt was heard, milliseconds since 1970."""
        return self._shelf.oldest(lane)

    def remember(self, name: str, value: str) -> None:
        """Keep one named value beside the frames, all on disk when this returns.

        Raises SpoolFailed; where frames may stay in memory the value may be forgotten instead.
        """
        try:
            self._shelf.remember(name, value)
        except SpoolFailed:
            if not self._terms.memory:
                raise

    def recall(self, name: str) -> str | None:
        return self._shelf.recall(name)

    # -- inside

    def _run(self, stream: Stream, gap: Range, *, frames: int, octets: int) -> Run | None:
        try:
            return self._shelf.run(stream, gap, frames=frames, octets=octets)
        except sqlite3.Error as error:
            if not self._terms.memory:
                raise
            self._shelf.go_blind(error)
            return self.cut(stream.lane, frames=frames, octets=octets)

    def _kept(self, stream: Stream) -> None:
        """On disk now, or soon enough."""
        if self._since is None:
            self._since = self._clock.uptime()
        if stream.lane == "urgent":
            self._flush_calls()
        elif stream.octets > _MOST_GATHERED or self._is_due(self._terms.gather):
            self.flush()

    def _flush_calls(self) -> None:
        try:
            self.flush()
        except SpoolFull:
            self._shelf.flush(("urgent",))

    def _take_off(self, stream: Stream, count: int) -> None:
        """Frames that could not be kept were never here."""
        stream.drop(count)
        if stream.next == 1:
            self._shelf.streams.pop(stream.stream)
            self._shelf.current.pop(stream.lane)

    def _is_due(self, seconds: float) -> bool:
        return self._since is not None and self._clock.uptime() - self._since >= seconds

    def _flush_if_due(self, seconds: float) -> None:
        if self._since is None and self._shelf.is_behind:
            self._since = self._clock.uptime()
        if self._is_due(seconds):
            try:
                self.flush()
            except SpoolFailed:
                if not self._terms.memory:
                    raise

    def _settle(self) -> None:
        if self.depth():
            self.drained.clear()
        else:
            self.drained.set()

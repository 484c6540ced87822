"""Collects the rows of one transaction under the lock of its streams."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.ingest import dated, times
from gateway.ingest.batches import Arrival
from gateway.ingest.gathered import Doubt, Gathered, Note, Part, Recorded
from gateway.ingest.known import Picture
from gateway.ingest.reading import Reader
from gateway.store import frames
from gateway.store.frames import Numbered, Record
from gateway.store.known import Edge, Stay, citizen
from gateway.store.pool import Connection
from gateway.store.quarantine import AsideFrame
from gateway.store.ranges import Range, add, holes, minus
from gateway.store.streams import Pending, Stream

MOST_HOLES = 1_000
"""Gaps in one stream, as far as a row of the ledger stays small; beyond, new batches wait."""


async def attach(db: Connection, harvest: "Harvest") -> None:
    """Give what was noted to records those records' times, and keep what is new of it."""
    missing = harvest.recordless()
    stored = await frames.record_times(db, missing) if missing else {}
    if noted := harvest.attach(stored):
        harvest.settle(await frames.new_records(db, noted))


class Harvest(Gathered):
    """What one transaction stores of some batches, worked out under the lock of their streams."""

    reader = Reader

    def __init__(self, picture: Picture, now_ms: int, *, driven: bool) -> None:
        super().__init__()
        self._picture = picture
        self._now_ms = now_ms
        self._now = times.moment(now_ms)
        self._driven = driven

    def take(self, arrival: Arrival, edge: Edge, stream: Stream, number: int) -> None:
        """Take in what is new of a batch, and its numbers into the ledger's row.

        `number` is the batch's own; the stream's row is locked by this transaction.
        """
        first, last = arrival.batch.first, arrival.last
        received = list(stream.received)
        new = minus((first, last), received) if first <= last else []
        gone = self._gone(arrival, received)
        for part in [*new, *gone]:
            add(received, part)
        if holes(received) > max(MOST_HOLES, holes(stream.received)):
            self.waiting.append(arrival)
            return
        if not new and not gone:
            return
        stream.received = received
        for part in gone:
            add(stream.gone, part)
        self.messages.append((self._now, stream.id, number, arrival.payload))
        worker = self.reader(self, arrival, edge, number, self._now_ms, driven=self._driven)
        for part in new:
            self._pending(stream, part, number, worker.frames(part, self._picture))
        for part in gone:
            self._pending(stream, part, number, Part())

    def settle(self, new: Iterable[Record]) -> None:
        """Keep the observations of those records that were not stored before."""
        for record in new:
            self.rows += self.records[record].rows
            self.details += self.records[record].details

    def recordless(self) -> set[Numbered]:
        """The records that are noted to and did not come in this transaction."""
        return {note.of for note in self.notes if note.shown is None}

    def attach(self, stored: Mapping[Numbered, datetime]) -> Collection[Record]:
        """Give each note its record's time; those that are records of their own then.

        A note to a record that is nowhere is kept as heard, with a flag.
        """
        found: dict[Record, None] = {}
        for note in self.notes:
            shown = note.shown
            if shown is None and note.of in stored:
                shown = times.milliseconds(stored[note.of])
            if shown is None:
                alone = Recorded(note.frame, self.rows, self.details)
                note.write(alone, note.heard, dated.NO_RECORD)
                continue
            record = (*note.of[:2], note.name, times.moment(shown))
            recorded = self.records.setdefault(record, Recorded(note.frame))
            found[record] = None
            if recorded.frame is note.frame:
                self._write_note(note, shown, recorded)
        return found

    def _write_note(self, note: Note, shown: int, recorded: Recorded) -> None:
        moment = dated.moment(shown, note.zone)
        when = times.told(moment, note.heard, self._now_ms, driven=self._driven)
        note.write(recorded, when, None)

    def place(self, stays: Mapping[int, Sequence[Stay]]) -> None:
        """Say whose the doubtful are, by placements that stay as they are until the commit."""
        for doubt in self.doubts:
            if (whose := citizen(stays[doubt.device], doubt.occurred)) is not None:
                doubt.about.citizens.add(whose)
            elif doubt.homeless is not None:
                self._unplaced(doubt, doubt.homeless)

    def _unplaced(self, doubt: Doubt, homeless: AsideFrame) -> None:
        """A call of a device placed nowhere is for those who live where it was heard."""
        doubt.about.citizens |= doubt.edge.citizens
        for whose in doubt.edge.citizens:
            call = (doubt.edge.municipality, whose, doubt.device, doubt.occurred)
            self.unplaced.add(call)
        if not doubt.edge.citizens:
            same = {(one.stream, one.sequence): one for one in self.aside}
            before = same.get((homeless.stream, homeless.sequence))
            if before is None:
                self.aside.append(homeless)
            elif before.reason != homeless.reason:  # one row a frame, and this is the graver reason
                detail = f"{homeless.detail}; {before.reason}: {before.detail}"
                self.aside.remove(before)
                self.aside.append(replace(homeless, detail=detail))

    @staticmethod
    def _gone(arrival: Arrival, received: Sequence[Range]) -> list[Range]:
        """Numbers that will never come and are not here: a frame that did come stays a frame."""
        known = list(received)
        if arrival.frames:
            add(known, (arrival.batch.first, arrival.last))
        parts: list[Range] = []
        for gone in arrival.batch.gone:
            left = minus((gone.first, gone.last), known)
            for part in left:
                add(known, part)
            parts += left
        return parts

    def _pending(self, stream: Stream, part: Range, number: int, about: Part) -> None:
        self.pending.append(
            Pending(
                municipality=stream.key.municipality,
                stream=stream.id,
                range=part,
                batch=number,
                earliest=self._now if about.earliest is None else times.moment(about.earliest),
                latest=self._now if about.latest is None else times.moment(about.latest),
                citizens=about.citizens,
            )
        )

"""Reads what was set aside again, by the same reading as ingest, and stores what was missing, once.

A group of rows is one transaction: the ledger's rows are locked as ingest locks them, the rows of
the quarantine are claimed, and what was read is stored and marked together, in the order in which
ingest writes: ledger, records, counts, and rows of the quarantine last. Killed anywhere, a run
has done the whole of a group or nothing of it; what another run has claimed is left to that run.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from adapters.frame import Lane
from gateway import log
from gateway.clock import Clock
from gateway.ingest import missing, said, unread
from gateway.ingest.batches import Arrival, Rejected, read_batch
from gateway.ingest.harvest import Harvest, attach
from gateway.ingest.known import Known, Picture
from gateway.ingest.missing import Find
from gateway.store import events, frames, known, quarantine, reread, streams
from gateway.store.copy import encoded
from gateway.store.known import Edge
from gateway.store.pool import Connection, DatabaseDown, Pool
from gateway.store.reread import Aside, Outcome, Wanted
from gateway.store.seal import Seal
from gateway.store.streams import Stream, StreamKey

PAGE = 50
"""Rows of one transaction at most: each may be a message of 60 000 bytes."""

_log = log.get(__name__)


@dataclass(slots=True)
class Counts:
    """How reading again went, by the reason for which it was set aside."""

    read: Counter[str] = field(default_factory=Counter[str])
    unreadable: Counter[str] = field(default_factory=Counter[str])
    elsewhere: Counter[str] = field(default_factory=Counter[str])
    """Another run has it, or has read it meanwhile."""
    observations: int = 0

    @property
    def seen(self) -> int:
        return self.read.total() + self.unreadable.total() + self.elsewhere.total()

    def add(self, other: "Counts") -> None:
        self.read += other.read
        self.unreadable += other.unreadable
        self.elsewhere += other.elsewhere
        self.observations += other.observations


@dataclass(frozen=True, slots=True)
class _Item:
    """A row, and the message that it is or that would have brought its frame alone."""

    row: Aside
    arrival: Arrival


@dataclass(frozen=True, slots=True)
class _Work:
    """An item whose stream is locked and whose row is claimed; the harvest is what it says."""

    item: _Item
    edge: Edge
    ledger: Stream
    harvest: Harvest

    def read(self, number: int) -> None:
        """Harvest a message's new numbers, and a frame though its number is in the ledger."""
        stream = self.ledger
        if self.item.row.sequence is not None:
            stream = Stream(key=stream.key, id=stream.id, received=[])
        self.harvest.take(self.item.arrival, self.edge, stream, number)


class Again:
    """Reads again whatever is wanted, a page of rows at a time."""

    def __init__(self, pool: Pool, clock: Clock, seal: Seal) -> None:
        self._pool = pool
        self._clock = clock
        self._known = Known(pool, seal)

    async def run(self, wanted: Wanted) -> AsyncGenerator[Counts]:
        """Each page's counts, until there is nothing left. Raises DatabaseDown."""
        after = 0
        while rows := await reread.page(self._pool, wanted, after=after, most=PAGE):
            yield await self._page(rows)
            after = rows[-1].id

    async def claim(self, db: Connection, rows: Collection[Aside]) -> set[int]:
        """What makes it once; a test shows what happens without."""
        return await reread.claim(db, [row.id for row in rows])

    async def _page(self, rows: Sequence[Aside]) -> Counts:
        counts, groups = Counts(), defaultdict[tuple[Lane, bool], list[_Item]](list)
        for row in rows:
            try:
                item = _Item(row, _arrival(row))
            except Rejected as why:
                counts.add(await self._mark(row, missing.rejected(row, why)))
            else:
                groups[item.arrival.lane, row.sequence is None].append(item)
        for items in groups.values():
            counts.add(await self._store(items))
        return counts

    async def _store(self, items: Sequence[_Item]) -> Counts:
        """One transaction; one by one if there is something that the database refuses."""
        try:
            return await self._commit(items)
        except DatabaseDown:
            raise
        except Exception as fault:  # noqa: BLE001 - one odd row must not hold up the others
            row = items[0].row
            _log.exception("refused again", row=row.id, rows=len(items))
            if len(items) == 1:
                return await self._mark(row, missing.still(row, "refused", repr(fault)))
        counts = Counts()
        for item in items:
            counts.add(await self._store([item]))
        return counts

    async def _mark(self, row: Aside, outcome: Outcome) -> Counts:
        """Say that nothing has changed but, perhaps, the reason."""
        async with self._pool.acquire() as db, db.transaction():
            if not await self.claim(db, [row]):
                return Counts(elsewhere=Counter([row.reason]))
            await reread.mark(db, [outcome], self._clock.now())
        return Counts(unreadable=Counter([row.reason]))

    async def _commit(self, items: Sequence[_Item]) -> Counts:
        picture = await self._known.look_up([one.arrival for one in items], ())
        numbers = await streams.batch_numbers(self._pool, len(items))
        now = self._clock.now()
        async with self._pool.acquire() as db, db.transaction():
            ledger = await _lock(db, items, picture)
            claimed = await self.claim(db, [one.row for one in items])
            mine = [one for one in items if one.row.id in claimed]
            works = [
                _Work(one, edge, ledger[one.row.id], self._empty(one.row, picture))
                for one in mine
                if (edge := picture.edges[one.arrival.edge]) and one.row.id in ledger
            ]
            for work, number in zip(works, numbers, strict=False):
                work.read(number)
            await _decide(db, [work.harvest for work in works])
            finds = [
                missing.found(one.item.row, one.item.arrival, one.harvest, now) for one in works
            ]
            await _keep(db, works, finds, now)
            outcomes = {one.row.id: missing.unchanged(one.row) for one in mine}
            outcomes |= {find.outcome.id: find.outcome for find in finds}
            await reread.mark(db, list(outcomes.values()), now)
        return _counts(items, outcomes, sum(len(find.rows) for find in finds))

    def _empty(self, row: Aside, picture: Picture) -> Harvest:
        """What ingest would read it into, at the time when it was received."""
        return Harvest(
            picture, unread.first_received(row.head, row.first_at), driven=self._clock.driven
        )


def _arrival(row: Aside) -> Arrival:
    """Raises Rejected."""
    payload = row.payload
    if row.stream is not None and row.sequence is not None:
        if row.head is None:
            raise Rejected(row.reason, row.detail)  # from before the clock was kept
        payload = unread.batch_of(row.topic, row.stream, row.sequence, row.head, payload)
    return read_batch(row.topic, payload)


async def _lock(db: Connection, items: Sequence[_Item], picture: Picture) -> Mapping[int, Stream]:
    """The ledger's row for each, where there is one that may be used; all of one lane and kind.

    A frame is in the ledger already, whichever box of the home began its stream.
    """
    lane = items[0].arrival.lane
    if items[0].row.sequence is not None:
        known_streams = await reread.lock_streams(db, lane, [one.arrival.stream for one in items])
        return {
            one.row.id: known_streams[one.arrival.stream]
            for one in items
            if one.arrival.stream in known_streams
        }
    keys = {
        one.row.id: StreamKey(edge.municipality, edge.id, one.arrival.stream)
        for one in items
        if (edge := picture.edges[one.arrival.edge]) is not None
    }
    locked = await streams.lock(db, lane, set(keys.values()))
    return {row: locked[key] for row, key in keys.items() if key in locked}


async def _decide(db: Connection, harvests: Sequence[Harvest]) -> None:
    """Which records are new, and whose calls are, as ingest decides it."""
    if records := {record for one in harvests for record in one.records}:
        new = await frames.new_records(db, records)
        for one in harvests:
            mine = {record for record in one.records if record in new}
            one.settle(mine)
            new -= mine
    for one in harvests:
        if one.notes:
            await attach(db, one)
    if doubtful := {
        (doubt.edge.municipality, doubt.device) for one in harvests for doubt in one.doubts
    }:
        stays = await known.stays(db, doubtful)
        for one in harvests:
            one.place(stays)
    if calls := {call for one in harvests for call in one.unplaced}:
        await frames.unplaced(db, calls)


async def _keep(
    db: Connection, works: Sequence[_Work], finds: Sequence[Find], now: datetime
) -> None:
    """Store what is missing, and touch the ledger of what is to be judged."""
    await frames.keep(
        db,
        [one for find in finds for one in find.messages],
        [encoded(one) for find in finds for one in find.rows],
        [one for find in finds for one in find.details],
    )
    over = await events.keep(db, [one for find in finds for one in find.events], now)
    await quarantine.set_frames_aside(db, [one for find in finds for one in find.aside], now)
    counted = said.too_many(over)
    for work in works:
        if work.item.row.sequence is None:
            counted += work.harvest.counted
    await quarantine.count(db, counted, now)
    if pending := [one for find in finds for one in find.pending]:
        changed = {one.stream for one in pending}
        touched = {work.ledger.id: work.ledger for work in works if work.ledger.id in changed}
        lane = works[0].item.arrival.lane
        await streams.advance(db, lane, list(touched.values()), pending)


def _counts(items: Sequence[_Item], outcomes: Mapping[int, Outcome], observations: int) -> Counts:
    counts = Counts(observations=observations)
    for item in items:
        outcome = outcomes.get(item.row.id)
        if outcome is None:
            counts.elsewhere[item.row.reason] += 1
        elif outcome.read:
            counts.read[item.row.reason] += 1
        else:
            counts.unreadable[item.row.reason] += 1
    return counts

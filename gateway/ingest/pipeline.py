"""The path of a message: read, decode, store, and only then acknowledge and receipt."""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.frame import Lane
from gateway import log
from gateway.clock import Clock
from gateway.health import Health
from gateway.ingest import brake, said
from gateway.ingest.batches import Arrival, Rejected, edge_of, read_batch
from gateway.ingest.brake import Brake, Braked, Tally
from gateway.ingest.contact import Contacts
from gateway.ingest.counts import Counts
from gateway.ingest.harvest import Harvest, attach
from gateway.ingest.known import Known, NewEpoch, Picture
from gateway.ingest.receipts import receipts
from gateway.ingest.refusal import Refusing, halves, together
from gateway.ingest.room import Room
from gateway.ingest.senders import (
    Ours,
    known_and_strange,
    of_municipality,
    own_and_foreign,
    set_aside,
)
from gateway.ingest.subscriber import Delivery, Subscriber
from gateway.ingest.timing import Timing
from gateway.ingest.way import Way
from gateway.store import events, frames, known, quarantine, streams, walk_heard
from gateway.store.pool import Connection, DatabaseDown, DatabaseFull, Pool
from gateway.store.quarantine import AsideMessage
from gateway.store.streams import Stream, StreamKey

MOST_MESSAGES = 200
"""Messages of one transaction; the broker holds back what is beyond the receive maximum."""
MOST_OCTETS = 400_000
"""Payload bytes of one transaction: about 2 000 frames, which the loop is busy with for 50 ms."""

_NUMBERS = 1_000  # batch numbers fetched at a time
_BREATH = 200  # frames read before the loop has its turn: one or two milliseconds
AT_ONCE = 2
"""Workers of each lane: one reads while the other's rows are on their way to the disk."""
_GATHER: Mapping[Lane, float] = {"urgent": 0.0, "bulk": 0.02}
"""Seconds in which telemetry gathers for one transaction: half the work at a third of the load."""
_WAKE_EVERY = 0.25
"""Seconds between two wakings of watch by telemetry; what comes in between is found by looking."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_log = log.get(__name__)


@dataclass(slots=True)
class _Group:
    """The messages of one transaction, read: what can be stored, and what is set aside whole."""

    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    rejected: list[AsideMessage] = field(default_factory=list[AsideMessage])


class Pipeline:
    """One lane. A message is acknowledged when its rows, or the reason against it, are committed.

    A crash in between costs a second delivery; the ledger makes twice once.
    """

    harvest = Harvest
    brake_of = Brake
    pause = brake.AGAIN
    """Seconds until what the brake holds is tried again."""

    def __init__(
        self,
        lane: Lane,
        *,
        subscriber: Subscriber,
        pool: Pool,
        known: Known,
        contacts: Contacts,
        clock: Clock,
        health: Health,
        room: Room | None = None,
        way: Way | None = None,
    ) -> None:
        self._lane: Lane = lane
        self._room = room
        self._way = way or Way()
        self._subscriber = subscriber
        self._pool = pool
        self._known = known
        self._contacts = contacts
        self._clock = clock
        self._health = health
        self._numbers: list[int] = []
        self._waiting = set[int]()
        self._trial = asyncio.Lock()
        self._woke = 0.0
        self.brake = self.brake_of(lane, health)
        self._count = Counts(lane, health)
        self._timing = Timing(health)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for number in range(AT_ONCE):
                workers.create_task(self._work(number))

    async def _work(self, number: int) -> None:
        while True:
            if self._lane == "bulk":
                await self._way.clear(number)
            deliveries = await self._subscriber.take(
                MOST_MESSAGES, octets=MOST_OCTETS, gather=_GATHER[self._lane]
            )
            if self._lane == "urgent":
                self._way.calling()
            self._contacts.heard(deliveries)
            told = await self._until_stored(deliveries)
            for delivery in deliveries:
                self._subscriber.acknowledge(delivery)
            for topic, payload in told.items():
                self._subscriber.publish(topic, payload)

    async def _until_stored(self, deliveries: list[Delivery]) -> Mapping[str, bytes]:
        """Store, however often the database must be asked; the receipts that are due then."""
        part, pause = f"ingest {self._lane}: database", _SHORTEST_PAUSE
        while True:
            try:
                told = await self._store_or_hold(deliveries)
            except NewEpoch:
                raise
            except DatabaseDown as down:
                self._waiting.add(id(deliveries))
                self._health.bad(part, str(down))
                _log.warning("waiting for the database", lane=self._lane, why=str(down))
                await self._leave_room(down)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._waiting.discard(id(deliveries))
                if not self._waiting:
                    self._health.ok(part)
                return told

    async def _store_or_hold(self, deliveries: list[Delivery]) -> Mapping[str, bytes]:
        """Store them; while the brake is on one worker tries what is in hand, the others wait."""
        while True:
            if self.brake.on:
                async with self._trial:
                    if (told := await self._let_go(deliveries)) is not None:
                        return told
            try:
                return await self.store(deliveries)
            except Braked as braked:
                _log.error("telemetry is held", lane=self._lane, why=str(braked))

    async def _let_go(self, deliveries: list[Delivery]) -> Mapping[str, bytes] | None:
        """Try until the brake is off; None if somebody else has let it go before.

        `deliveries` grows meanwhile: whether it may be let go shows in many boxes' messages.
        """
        while self.brake.on:
            await self._wait_for_more(deliveries)
            try:
                return await self._try(deliveries)
            except Braked as braked:
                _log.error("telemetry is still held", lane=self._lane, why=str(braked))
        return None

    async def _leave_room(self, down: DatabaseDown) -> None:
        """What is left of a full disk is for calls: telemetry in hand waits until there is room."""
        if self._room is not None and isinstance(down, DatabaseFull):
            self._room.full(str(down))
        if self._room is not None and self._lane == "bulk":
            await self._room.wait()

    async def _wait_for_more(self, deliveries: list[Delivery]) -> None:
        """Wait out the pause, with what comes meanwhile added to what is in hand."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.pause):
                while len(deliveries) < MOST_MESSAGES:
                    room = MOST_MESSAGES - len(deliveries)
                    more = await self._subscriber.take(room, octets=MOST_OCTETS)
                    self._contacts.heard(more)
                    deliveries += more
                await asyncio.sleep(self.pause)

    async def _try(self, deliveries: Sequence[Delivery]) -> Mapping[str, bytes]:
        """Each message by itself: what can be read is stored. Raises Braked if too much cannot."""
        told: Mapping[str, bytes] = {}
        tried, held = Tally(), list[Delivery]()
        for one in deliveries:
            group = self._read([one])
            try:
                told = together(told, await self._store(group, again=True))
                tried.frames += sum(len(arrival.frames) for arrival in group.arrivals)
            except Braked as braked:
                tried.add(braked.tally)
                held.append(one)
        self.brake.verdict(tried)
        return together(told, await self.store(held))

    async def store(self, deliveries: Sequence[Delivery]) -> Mapping[str, bytes]:
        """Commit all of these messages; the receipts by topic. Raises DatabaseDown."""
        with self._timing.parse:
            group = self._read(deliveries)
        return await self._store(group)

    def _read(self, deliveries: Sequence[Delivery]) -> _Group:
        group = _Group()
        for delivery in deliveries:
            try:
                group.arrivals.append(read_batch(delivery.topic, delivery.payload))
            except Rejected as rejected:
                group.rejected.append(set_aside(delivery.topic, delivery.payload, rejected))
        return group

    async def _store(self, group: _Group, *, again: bool = False) -> Mapping[str, bytes]:
        """One transaction; message by message if one of them is what the database refuses.

        What is tried `again` in parts has been logged. Nothing is refused the first time: should
        a fault of the moment look like one of the frame, a call must not be set aside for it.
        """
        if not group.arrivals and not group.rejected:
            return {}
        try:
            return await self._commit(group)
        except (DatabaseDown, Braked):
            raise
        except Exception as fault:
            if not group.arrivals:
                raise
            if not again:
                _log.exception("a transaction was refused", lane=self._lane)
            if len(group.arrivals) > 1 or group.rejected or not again:
                return await self._store_one_by_one(group)
            return await self._refuse(group.arrivals[0], repr(fault))

    async def _store_one_by_one(self, group: _Group) -> Mapping[str, bytes]:
        told = await self._commit(_Group(rejected=group.rejected))
        for arrival in group.arrivals:
            told = together(told, await self._store(_Group([arrival]), again=True))
        return told

    async def _refuse(self, arrival: Arrival, fault: str) -> Mapping[str, bytes]:
        """Only the guilty frames are set aside: a call beside them is stored."""
        if self.brake.on:
            self.brake.weigh(brake.of_whole(arrival))
        if len(arrival.frames) > 1:
            first, second = halves(arrival)
            told = await self._store(_Group([first]), again=True)
            return together(told, await self._store(_Group([second]), again=True))
        return await self._commit(_Group([arrival]), fault=fault)

    async def _commit(self, group: _Group, *, fault: str = "") -> Mapping[str, bytes]:
        """One transaction; with a fault its frames are set aside unread. Raises Braked."""
        senders = {edge_of(one.topic) for one in group.rejected}
        picture = await self._known.look_up(group.arrivals, senders)
        ours, strangers = known_and_strange(group.arrivals, picture)
        numbers = await self._some_numbers(len(ours))
        harvest = self._empty(picture, fault)
        rejected = [*(of_municipality(one, picture) for one in group.rejected), *strangers]
        async with self._pool.acquire() as db, db.transaction():
            keys = {key for _, _, key in ours}
            ledger = await self._timing.ledger.of(streams.lock(db, self._lane, keys))
            ours, foreign = own_and_foreign(ours, ledger)
            rejected += foreign
            await self._timing.decode.of(self._take(harvest, ours, ledger, numbers))
            await self._write(db, harvest, ledger, rejected)
            weighed = await self._weigh(db, [one for one, _, _ in ours], harvest, rejected)
            epoch = await self._known.in_epoch(db)
        self.brake.note(weighed)
        self._count.stored(harvest, rejected)
        waiting = {id(arrival) for arrival in harvest.waiting}
        told = {(one.edge, key): None for one, _, key in ours if id(one) not in waiting}
        return receipts(epoch, [(edge, ledger[key]) for edge, key in told])

    def _empty(self, picture: Picture, fault: str) -> Harvest:
        now_ms, driven = self._clock.now_ms(), self._clock.driven
        if fault:
            return Refusing(picture, now_ms, driven=driven, fault=fault)
        return self.harvest(picture, now_ms, driven=driven)

    async def _some_numbers(self, count: int) -> list[int]:
        """Numbers for so many batches, for whoever asks alone; what is not used is a gap."""
        while len(self._numbers) < count:
            self._numbers += await streams.batch_numbers(self._pool, max(_NUMBERS, count))
        taken, self._numbers = self._numbers[:count], self._numbers[count:]
        return taken

    async def _weigh(
        self,
        db: Connection,
        arrivals: Sequence[Arrival],
        harvest: Harvest,
        rejected: Sequence[AsideMessage],
    ) -> Tally:
        """Before the commit. Raises Braked."""
        suspects = brake.suspects(rejected)
        fine = await quarantine.understood(db, suspects) if suspects else ()
        weighed = brake.tally(arrivals, harvest.aside, rejected, fine)
        self.brake.weigh(weighed)
        return weighed

    async def _take(
        self,
        harvest: Harvest,
        ours: Sequence[Ours],
        ledger: Mapping[StreamKey, Stream],
        numbers: Sequence[int],
    ) -> None:
        frames = 0
        for (arrival, edge, key), number in zip(ours, numbers, strict=False):
            harvest.take(arrival, edge, ledger[key], number)
            frames += 1 + len(arrival.frames)
            if frames >= _BREATH:
                frames = 0
                await asyncio.sleep(0)

    async def _write(
        self,
        db: Connection,
        harvest: Harvest,
        ledger: Mapping[StreamKey, Stream],
        rejected: Sequence[AsideMessage],
    ) -> None:
        now = self._clock.now()
        if harvest.records:
            harvest.settle(await frames.new_records(db, harvest.records))
        if harvest.notes:
            await attach(db, harvest)
        if harvest.doubts:
            doubtful = {(one.edge.municipality, one.device) for one in harvest.doubts}
            harvest.place(await known.stays(db, doubtful))
        if harvest.unplaced:
            await frames.unplaced(db, harvest.unplaced)
        keeping = frames.keep(db, harvest.messages, harvest.rows, harvest.details)
        await self._timing.copy.of(keeping)
        harvest.counted += said.too_many(await events.keep(db, harvest.events, now))
        await quarantine.set_frames_aside(db, harvest.aside, now)
        await quarantine.count(db, harvest.counted, now)
        await quarantine.set_messages_aside(db, rejected, now)
        if harvest.tried:
            await walk_heard.keep(db, harvest.tried, now)
        if harvest.pending:
            changed = {one.stream for one in harvest.pending}
            advanced = {one.id: one for one in ledger.values() if one.id in changed}
            advancing = streams.advance(
                *(db, self._lane, list(advanced.values()), harvest.pending), wake=self._may_wake()
            )
            await self._timing.ledger.of(advancing)

    def _may_wake(self) -> bool:
        """A call wakes watch at once; telemetry now and then, for a waking holds up all commits."""
        now = asyncio.get_running_loop().time()
        if self._lane == "bulk" and now - self._woke < _WAKE_EVERY:
            return False
        self._woke = now
        return True

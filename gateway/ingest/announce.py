"""Tells boxes all that is stored of them after a restore, and asks again for what is missing.

A box counts the receipts of one life ("epoch") of the store. A restored store begins a new one;
the first receipt of it that a box reads undoes all before, and the box sends whatever it keeps and
the gateway does not name. Each box says in its state messages which epoch it follows: as long as
that is not ours it is told, however often a message is lost.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from uuid import UUID

from gateway import log
from gateway.clock import Clock
from gateway.ingest.duty import Duty
from gateway.ingest.known import Known, NewEpoch
from gateway.ingest.receipts import in_parts, topic
from gateway.ingest.subscriber import Subscriber
from gateway.store import epoch, holdings
from gateway.store.epoch import Epoch
from gateway.store.holdings import Held, Place
from gateway.store.pool import DatabaseDown, Pool

LATELY = timedelta(days=30)
"""So long after a restore also boxes are told that do not say which epoch they follow."""
ASKED_EVERY = 60.0
"""Seconds between two askings for what is missing, and between two tellings of the same box."""

_ROUND = 0.5
_TOGETHER = 100  # boxes told in one round: a country in a quarter of an hour
_LOOK, _MOST = 20_000, 500  # streams looked at for holes, and of them asked for, in one round
_log = log.get(__name__)


class Announcer:
    """What is told to boxes besides the receipts of what they send. Only who is on duty tells."""

    def __init__(
        self, pool: Pool, known: Known, clock: Clock, subscriber: Subscriber, duty: Duty
    ) -> None:
        self._pool = pool
        self._known = known
        self._clock = clock
        self._subscriber = subscriber
        self._duty = duty
        self._news: dict[str, str | None] = {}
        self._told: dict[str, float] = {}
        self._place: Place = holdings.START
        self._asked = 0.0

    def heard(self, edge: str, follows: str | None) -> None:
        """A box that runs says whose receipts it counts; None when it does not say."""
        self._news[edge] = follows

    async def run(self) -> None:
        """Until cancelled. Raises NewEpoch when the store began another life."""
        while True:
            try:
                await self._round()
            except NewEpoch:
                raise
            except DatabaseDown as down:
                _log.warning("boxes cannot be told what is stored", why=str(down))
            await asyncio.sleep(_ROUND)

    async def _round(self) -> None:
        await self._known.in_epoch(self._pool)
        if self._subscriber.connected_at is None or not self._duty.is_held:
            return
        now = await epoch.current(self._pool)
        due = list(islice(self._due(now), _TOGETHER))
        if due:
            told = self._tell(now.id, due, await holdings.held(self._pool, due))
            _log.info("boxes told all that is stored", boxes=len(due), messages=told)
        if self._time() - self._asked >= ASKED_EVERY:
            self._asked = self._time()
            await self._ask(now.id)

    def _due(self, now: Epoch) -> Iterable[str]:
        """Boxes that do not follow this epoch; those that do are forgotten until they speak."""
        for edge, follows in list(self._news.items()):
            if follows == str(now.id) or (follows is None and not self._is_new_to(edge, now)):
                del self._news[edge]
            elif self._time() - self._told.get(edge, -ASKED_EVERY) >= ASKED_EVERY:
                if edge in self._told:
                    _log.warning("told, but not followed: gateway restored forgotten?", edge=edge)
                self._told[edge] = self._time()
                del self._news[edge]
                yield edge

    def _is_new_to(self, edge: str, now: Epoch) -> bool:
        """Whether a box that does not say what it follows is to be told of a restore, once."""
        young = now.restored is not None and self._clock.now() - now.restored < LATELY
        return young and edge not in self._told

    async def _ask(self, now: UUID) -> None:
        found, self._place = await holdings.with_holes(
            self._pool, self._place, look=_LOOK, most=_MOST
        )
        if found:
            self._tell(now, (), found)
            _log.info("boxes asked for what is missing", streams=len(found))

    def _tell(self, now: UUID, boxes: Iterable[str], streams: Iterable[Held]) -> int:
        """How many messages that were; what is lost on the way the box says again it lacks.

        Each of the boxes is told the epoch, also where nothing of it is stored.
        """
        by_box: dict[str, list[Held]] = {edge: [] for edge in boxes}
        for stream in streams:
            by_box.setdefault(stream.edge, []).append(stream)
        messages = [
            (topic(edge), payload)
            for edge, held in by_box.items()
            for payload in in_parts(now, held)
        ]
        return sum(self._subscriber.publish(*message) is not None for message in messages)

    @staticmethod
    def _time() -> float:
        return asyncio.get_running_loop().time()

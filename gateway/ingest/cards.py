"""Notes what boxes say of their memory cards, radios and lines."""

import asyncio
from dataclasses import replace

from gateway import log
from gateway.clock import Clock
from gateway.ingest.duty import Duty
from gateway.ingest.fares import Fares
from gateway.store import cards
from gateway.store.cards import Card
from gateway.store.pool import DatabaseDown, Pool

_ROUND = 1.0
_TOGETHER = 500
_SOON = 7
"""Days of room below which each day is told."""
_log = log.get(__name__)


class Cards:
    """What boxes say; only news is written, and only by who is on duty.

    `keep_days`: frames must stay so long, else a restored gateway cannot be filled. Of a box of
    before, which says no more, a row is made only when it keeps them shorter or its card was full.
    """

    def __init__(
        self, pool: Pool, clock: Clock, duty: Duty, keep_days: float, fares: Fares
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._duty = duty
        self._least = keep_days
        self._fares = fares
        self._news: dict[str, Card] = {}
        self._written: dict[str, Card] | None = None

    def heard(self, edge: str, card: Card) -> None:
        """A box tells of its card."""
        self._news[edge] = card

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._round()
            except DatabaseDown as down:
                _log.warning("what boxes say of their cards is not written", why=str(down))
            await asyncio.sleep(_ROUND)

    async def _round(self) -> None:
        if not self._duty.is_held:
            if self._written is not None:
                self._written = None  # another writes meanwhile
                self._fares.begin(())
            return
        if self._written is None:
            self._written = await cards.cards(self._pool)
            self._fares.begin(self._written.values())
        news, self._news = self._news, {}
        due = [(edge, card) for edge, card in news.items() if self._is_news(edge, card)]
        for start in range(0, len(due), _TOGETHER):
            some = dict(due[start : start + _TOGETHER])
            await cards.keep(self._pool, some, self._clock.now())
            for edge, card in some.items():
                self._fares.change(self._written.get(edge), card)
            self._written |= some
            _log.info("boxes tell how they fare", boxes=len(some))

    def _is_news(self, edge: str, card: Card) -> bool:
        before = (self._written or {}).get(edge)
        if before is None:
            short = card.keep_days is not None and card.keep_days < self._least
            return short or card.full_at is not None or _tells_more(card)
        return differs(before, card)


def _tells_more(card: Card) -> bool:
    told = (card.mode, card.room_days, card.path, card.trouble, card.refused)
    return any(one is not None for one in told)


def differs(before: Card, card: Card) -> bool:
    """Whether it is news; not that the estimate of much room moved by a day, as it always does."""
    old, new = before.room_days, card.room_days
    if old is None or new is None or min(old, new) < _SOON or abs(old - new) > 1:
        return before != card
    return replace(before, room_days=new) != card

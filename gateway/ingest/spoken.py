"""What a box's state message brings about besides its contact: what it is told, what is noted."""

import asyncio
from datetime import UTC, datetime

from gateway.clock import Clock
from gateway.health import Health
from gateway.ingest.announce import Announcer
from gateway.ingest.cards import Cards
from gateway.ingest.contact import State
from gateway.ingest.duty import Duty
from gateway.ingest.fares import Fares
from gateway.ingest.known import Known
from gateway.ingest.subscriber import Subscriber
from gateway.settings import Settings
from gateway.store.cards import MOST_ROOM, MOST_WHY, Card
from gateway.store.pool import Pool


class Spoken:
    """Hands on what a box says: which epoch it follows, how its card, radio and line fare."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        clock: Clock,
        *,
        known: Known,
        subscriber: Subscriber,
        duty: Duty,
        health: Health,
    ) -> None:
        self._announcer = (
            Announcer(pool, known, clock, subscriber, duty) if settings.announce else None
        )
        self._cards = Cards(pool, clock, duty, settings.days_to_keep, Fares(health))

    def heard(self, edge: str, state: State) -> None:
        """A box that runs has said this."""
        if self._announcer is not None:
            self._announcer.heard(edge, state.epoch)
        self._cards.heard(edge, _card(state))

    async def run(self) -> None:
        """Until cancelled. Raises NewEpoch when the store began another life."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._cards.run())
            if self._announcer is not None:
                group.create_task(self._announcer.run())


def _card(state: State) -> Card:
    cost = state.card
    return Card(
        keep_days=state.keep_days,
        early=cost.early if cost else 0,
        given_up=cost.given_up if cost else 0,
        full_at=datetime.fromtimestamp(cost.at / 1_000, UTC) if cost else None,
        reader=state.reader,
        mode=state.mode,
        room_days=None if state.room_days is None else min(int(state.room_days), MOST_ROOM),
        path=state.path,
        trouble=state.trouble,
        refused=None if state.refused is None else _plain(state.refused),
    )


def _plain(why: str) -> str:
    """One short line that can be shown."""
    return "".join(one if one.isprintable() else "?" for one in why[:MOST_WHY])

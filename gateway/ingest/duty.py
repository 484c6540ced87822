"""Which of several ingest processes writes contact and tells the boxes their configurations."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gateway.store.duty import on_duty
from gateway.store.pool import Connection, Pool


class Duty:
    """One process has it at a time. Frames are everybody's: the ledger makes twice once."""

    def __init__(self, pool: Pool) -> None:
        self.taken = asyncio.Event()
        """Set while the duty is ours."""
        self._pool = pool

    @property
    def is_held(self) -> bool:
        return self.taken.is_set()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Connection]:
        """Wait for the duty, and have it until the block ends. Raises DatabaseDown."""
        async with on_duty(self._pool) as db:
            self.taken.set()
            try:
                yield db
            finally:
                self.taken.clear()

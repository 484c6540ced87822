"""A scan that is begun anew because somebody asks, and what came of it."""

import asyncio
from contextlib import suppress


class Anew:
    """Between who asks and the loop that scans."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._hears = asyncio.Event()

    @property
    def is_due(self) -> bool:
        """Whether the scan that runs is to be ended."""
        return self._asked.is_set()

    async def heard(self, seconds: float) -> float | None:
        """Ask; after how many seconds the new scan heard something, None where it did not."""
        begun = asyncio.get_running_loop().time()
        self._hears.clear()
        self._asked.set()
        try:
            async with asyncio.timeout(seconds):
                await self._hears.wait()
        except TimeoutError:
            return None
        return asyncio.get_running_loop().time() - begun

    def begin(self) -> bool:
        """Whether somebody asked; the scan that begins now is the one that they asked for."""
        asked = self._asked.is_set()
        self._asked.clear()
        return asked

    def hear(self) -> None:
        """Something was heard."""
        if not self._asked.is_set():
            self._hears.set()

    async def rest(self, seconds: float) -> None:
        """Wait before the next try, unless somebody asks for it now."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()

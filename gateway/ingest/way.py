"""Telemetry makes way for calls: how the one lane knows that the other is in use."""

import asyncio

_AFTER = 0.1
"""Seconds after a call in which it is still on its way to somebody."""
_REST = 0.03
"""Seconds that telemetry leaves to a call after each transaction of its own."""


class Way:
    """What the lanes of one process share."""

    def __init__(self) -> None:
        self._called = float("-inf")

    def calling(self) -> None:
        """A call has come in."""
        self._called = asyncio.get_running_loop().time()

    async def clear(self, worker: int) -> None:
        """Before telemetry goes on: while calls come one worker works, and rests in between.

        With nothing but telemetry nobody waits.
        """
        while (left := self._called + _AFTER - asyncio.get_running_loop().time()) > 0:
            if worker == 0:
                await asyncio.sleep(min(_REST, left))
                return
            await asyncio.sleep(left)

"""Whether this process has run all the time: one that was stopped has not heard what was said."""

import asyncio

_EVERY = 1.0
_LATE = 10.0
"""Seconds that a loop may be behind on a busy machine; more, and it did not run at all."""


class Awake:
    """Since when this process runs without a gap, on the loop's clock, which goes on meanwhile."""

    def __init__(self) -> None:
        self._since = 0.0
        self._last: float | None = None

    def since(self) -> float:
        """The end of the last gap, now if it has only just ended; 0 when there was none."""
        self._look()
        return self._since

    async def run(self) -> None:
        """Until cancelled. Without it no gap is seen."""
        try:
            while True:
                self._look()
                self._last = asyncio.get_running_loop().time()
                await asyncio.sleep(_EVERY)
        finally:
            self._last = None

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._last is not None and now - self._last > _EVERY + _LATE:
            self._since = now

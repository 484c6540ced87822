"""Says how far a long piece of work is: not at once, and not more than once a second."""

import time
from collections.abc import Callable

_EVERY = 1.0


def silent(_line: str) -> None:
    """Say nothing: for work that nobody watches."""


class Progress:
    """Counts towards a total that is known, and says so as `20 of 500 homes are settled`."""

    def __init__(self, what: str, total: int, say: Callable[[str], None]) -> None:
        self._what = what
        self._total = total
        self._say = say
        self._said = time.monotonic()

    def at(self, done: int) -> None:
        """So many are done."""
        if done < self._total and time.monotonic() - self._said >= _EVERY:
            self._say(f"  {done:,} of {self._total:,} {self._what}")
            self._said = time.monotonic()

"""How often somebody may try before they must wait."""

from collections import deque
from datetime import datetime, timedelta

_MOST_KEYS = 10_000


class TooOften(Exception):
    """Wait `seconds` and try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many attempts; wait {seconds} seconds")
        self.seconds = seconds


class Throttle:
    """At most `most` counted attempts per key in any `period`.

    Kept in memory of one process: a restart forgives, several copies each have their own count.
    That is enough against guessing, which needs millions of attempts.
    """

    def __init__(self, most: int, period: timedelta) -> None:
        self._most = most
        self._period = period
        self._counted: dict[str, deque[datetime]] = {}

    def check(self, key: str, now: datetime) -> None:
        """Raises TooOften while the key has used up its attempts."""
        counted = self._counted.get(key)
        while counted and counted[0] <= now - self._period:
            counted.popleft()
        if counted and len(counted) >= self._most:
            wait = counted[0] + self._period - now
            raise TooOften(int(wait.total_seconds()) + 1)

    def count(self, key: str, now: datetime) -> None:
        """One attempt more."""
        if len(self._counted) >= _MOST_KEYS:
            self._sweep(now)
        self._counted.setdefault(key, deque(maxlen=self._most)).append(now)

    def give_back(self, key: str) -> None:
        """One attempt fewer: the last one was no guess."""
        if counted := self._counted.get(key):
            counted.pop()
            if not counted:
                del self._counted[key]

    def _sweep(self, now: datetime) -> None:
        alive = {key: c for key, c in self._counted.items() if c[-1] > now - self._period}
        self._counted = alive if len(alive) < _MOST_KEYS else {}


class Rate:
    """At most `most` a minute per key, spread as it comes: a full bucket that fills up again.

    A bucket is two numbers, however much is taken from it. Kept in memory of one process: several
    copies of the API each have their own count.
    """

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def take(self, key: str, now: datetime, *, most: int) -> None:
        """One more. Raises TooOften when the bucket is empty."""
        left, at = self._buckets.get(key, (float(most), now))
        filled = min(most, left + (now - at).total_seconds() * most / 60)
        if filled < 1:
            raise TooOften(int((1 - filled) * 60 / most) + 1)
        if key not in self._buckets and len(self._buckets) >= _MOST_KEYS:
            self._buckets.clear()
        self._buckets[key] = (filled - 1, now)

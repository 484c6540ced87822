"""The earliest that it can be now, for a box that does not know the date."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from edge.clock import Clock
from edge.keeping.disk import connect_reading, noted
from edge.keeping.spool import Spool, SpoolFailed

NOTE = "seen"
_DAY = 86_400.0


class Floor:
    """Times that were proved, and how long the box has run since.

    Proved is a time that a synchronised clock showed when the gateway's own certificate was found
    valid at it: a time server alone, which anybody may play, must not be able to shut the box out.
    """

    def __init__(self, spool: Spool, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock
        self._written = _number(spool.recall(NOTE))
        self._proved, self._at = self._written, clock.uptime()

    def earliest(self) -> float | None:
        """Seconds since 1970; None where the clock is synchronised."""
        if self._clock.synchronised():
            return None
        return self._proved + self._clock.uptime() - self._at

    def proved(self) -> None:
        """The certificate's dates were held against the clock, and hold. Written once a day."""
        if not self._clock.synchronised():
            return
        self._proved, self._at = self._clock.now_ms() / 1_000, self._clock.uptime()
        if abs(self._proved - self._written) >= _DAY:
            self._written = self._proved
            with suppress(SpoolFailed, sqlite3.Error, OSError):
                self._spool.remember(NOTE, str(int(self._proved)))


def proved(spool: Path) -> float:
    """Seconds since 1970 of what an agent has noted last; 0.0 where there is nothing yet."""
    with suppress(sqlite3.Error, OSError), closing(connect_reading(spool)) as connection:
        return _number(noted(connection, NOTE))
    return 0.0


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0

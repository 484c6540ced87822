"""The spool's file as long as it can be used, and what is done when the disk fails."""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge.clock import Clock
from edge.keeping.card import Card, takes_writes
from edge.keeping.disk import SpoolFailed, SpoolFull, connect_reading
from edge.keeping.room import OVER_LIMIT, Reserve
from edge.keeping.salvage import is_spoilt, mend

Happening = tuple[str, Mapping[str, Any]]
"""The word of a box event, and its details."""

_T = TypeVar("_T")
_AT_ONCE = 2_000  # frames let go of at a time where the limit was set lower
_TRY_AGAIN = 30.0  # seconds before a disk that failed is tried again
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a box keeps frames; as it stands here: all at once and on disk, or not at all.

    `limit`: bytes that the file may take, 0 for
    any number; calls go beyond it when nothing else is left to go. `gather`: seconds that a bulk
    frame may be in memory only. `memory`: bytes of frames that each lane may hold in memory while
    the disk takes nothing; 0 raises SpoolFailed instead.
    """

    limit: int = 0
    gather: float = 0.0
    memory: int = 0


class Medium:
    """One file, written to until it fails, then at most read, and opened again when it can be.

    `load` is given each connection that is opened, to read what is there; `let_go` makes room.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        synchronous: str,
        reserve: Reserve,
        terms: Terms,
        load: Callable[[sqlite3.Connection], None],
        let_go: Callable[[int, str], int],
    ) -> None:
        self.path = path
        self.happened: deque[Happening] = deque(maxlen=100)
        self.trouble: str | None = None
        self._clock = clock
        self._synchronous = synchronous
        self._reserve = reserve
        self._terms = terms
        self._load = load
        self._let_go = let_go
        self._card: Card | None = None
        self._reading: sqlite3.Connection | None = None
        self._failed: Exception | None = None
        self._failed_at = 0.0
        self._spoilt = False

    def begin(self) -> None:
        """Open the file. Raises sqlite3.Error, OSError where nothing may be in memory."""
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            self.fail(error)
            if not self._terms.memory:
                self.close()
                raise
            self.look()

    @property
    def failed(self) -> bool:
        """Whether the file is written to no more, until it is opened again."""
        return self._failed is not None

    @property
    def is_due(self) -> bool:
        """Whether it is time to try a file that failed; noted as tried."""
        due = self._spoilt or self._clock.uptime() - self._failed_at >= _TRY_AGAIN
        if due:
            self._failed_at = self._clock.uptime()
        return due

    @property
    def size(self) -> int:
        """Bytes of the file. Raises SpoolFailed when it is not open."""
        return self._open_card.size

    def open_again(self) -> None:
        """After a failure. Raises what opening raises; `fail` and `look` must follow then."""
        self.close()
        self._open()
        self._failed = None

    def close(self) -> None:
        if self._card is not None:
            self._card.close()
        if self._reading is not None:
            self._reading.close()
        self._card = self._reading = None

    @property
    def wired(self) -> sqlite3.Connection:
        """What is written to. Raises SpoolFailed when it is not open."""
        return self._open_card.connection

    @property
    def _open_card(self) -> Card:
        if self._card is None:
            raise SpoolFailed(f"{self.path} is not open")
        return self._card

    @property
    def connection(self) -> sqlite3.Connection | None:
        """What can be read; None where the disk gives nothing."""
        return self._reading if self._card is None else self._card.connection

    def write(self, work: Callable[[], _T], *, beyond: bool) -> _T:
        """In one transaction; `beyond` the limit if need be. Raises SpoolFull, SpoolFailed."""
        if self._failed is not None or self._card is None:
            raise SpoolFailed(f"the spool failed before: {self._failed}") from self._failed
        try:
            return self._card.write(work, beyond=beyond)
        except SpoolFull:
            raise
        except SpoolFailed as failed:
            self.fail(failed.__cause__ if isinstance(failed.__cause__, Exception) else failed)
            raise

    def look_after(self) -> None:
        """Find out that the disk takes nothing before a frame does; keep to the limit."""
        try:
            takes_writes(self.path.parent)
            if self._card is not None and self._card.too_large:
                self.write(lambda: self._let_go(_AT_ONCE, OVER_LIMIT), beyond=True)
        except (OSError, sqlite3.Error) as error:
            self.fail(error)
        except SpoolFailed:
            pass

    def fail(self, error: Exception) -> None:
        """From here on the disk is written to no more, until it is opened again."""
        first, self._failed = self._failed is None, error
        self._spoilt |= isinstance(error, sqlite3.Error) and is_spoilt(error)
        if first:
            self._failed_at = self._clock.uptime()
            self.say("storage_failed", error)

    def say(self, word: str, error: Exception) -> None:
        """Note a trouble, once for as long as it lasts."""
        if self.trouble != word:
            self.trouble = word
            event = "spool.unsound" if self._spoilt else "storage.failed"
            self.happened.append((event, {"trouble": word, "why": str(error)[:120]}))
            _log.error("the disk does not keep what it is given: %s", error)

    def suspect(self, why: str) -> None:
        """The file is spoilt: `tend` sets it aside."""
        self._spoilt = True
        self.fail(sqlite3.DatabaseError(f"{self.path} is spoilt, says {why}"))

    def look(self) -> None:
        """A card that takes no writes may still be read: what waits on it leaves."""
        with suppress(sqlite3.Error, OSError):
            self._reading = connect_reading(self.path, alone=True)
            self._load(self._reading)

    def _open(self) -> None:
        self._reserve.release()  # a full card has no room to open the spool in either
        if self._spoilt or not self._terms.memory:
            self._mend()
        try:
            self._begin_card()
        except sqlite3.DatabaseError as error:
            if not is_spoilt(error):
                raise
            self.close()
            self._mend()
            self._begin_card()
        self._reserve.hold()

    def _mend(self) -> None:
        aside = mend(self.path)
        self._spoilt = False
        if aside is not None:
            self.happened.append(("spool.renewed", {"aside": aside.name}))

    def _begin_card(self) -> None:
        self._card = Card(
            self.path,
            synchronous=self._synchronous,
            limit=self._terms.limit,
            reserve=self._reserve,
            make_room=self._let_go,
        )
        self._load(self._card.connection)

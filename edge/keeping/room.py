"""Room on a full memory card: what tells that it is full, and a reserve that is kept for calls."""

import json
import os
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

RESERVE = 8_000_000
"""Bytes held back on the card of a box: some twenty thousand calls, or room to delete in.

Twice the write-ahead log, for the log can hold as much again as the file could not take.
"""
NOTE = "card full"
"""The name under which the spool notes what a full card has cost."""

MOST_PAGES = (1 << 30) - 1
"""No limit, in SQLite's words."""
CARD_FULL = "the memory card was full"
OVER_LIMIT = "the spool had its largest size"
"""Why a frame was given up before it had a receipt; told to the gateway."""

_MARGIN = 1_000_000
_COST = ("at", "early", "given_up")
_HIGHEST = 2**53  # the gateway takes no greater number
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


def is_full(error: sqlite3.Error) -> bool:
    """Whether the write found no space; then nothing was written, and it may be tried again."""
    return getattr(error, "sqlite_errorcode", None) in _FULL


class Reserve:
    """A file beside the spool that holds nothing but space: taken away when the card is full."""

    def __init__(self, spool: Path, octets: int) -> None:
        self._path = spool.with_name(f"{spool.name}.reserve")
        self._octets = octets
        self.held = octets == 0  # with nothing to hold there is no lack of it

    def release(self) -> bool:
        """Give the space up; whether any was there."""
        self.held = self._octets == 0
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    def hold(self) -> None:
        """Take the space again, all or nothing, if the card has it."""
        if self.held:
            return
        card = os.statvfs(self._path.parent)
        if card.f_bavail * card.f_frsize < self._octets + _MARGIN:
            return
        try:
            self._take()
        except OSError:
            self._path.unlink(missing_ok=True)
        else:
            self.held = True

    def _take(self) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, self._octets)
        finally:
            os.close(handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a full card or spool has cost: receipted frames deleted early, others given up unsent.

    `at` is when it was last found full, milliseconds since 1970.
    """

    at: int = 0
    early: int = 0
    given_up: int = 0

    @classmethod
    def noted(cls, text: str | None) -> Self | None:
        """From what `note` wrote; None for nothing, and for a note that cannot be read.

        What another version wrote beside is left alone, and what it left out is nothing.
        """
        try:
            said = json.loads(text or "null")
            read = {name: int(said.get(name, 0)) for name in _COST}
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return None
        return cls(**read) if all(0 <= one < _HIGHEST for one in read.values()) else None

    def note(self) -> str:
        return json.dumps(asdict(self))

    def and_(self, *, at: int, early: int, given_up: int) -> "Cost":
        return Cost(
            at=at,
            early=self.early + early,
            given_up=self.given_up + given_up,
        )

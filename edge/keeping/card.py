"""The spool's file on the memory card: one transaction at a time, and room made for it."""

import errno
import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from edge.files import sync_folder
from edge.keeping.disk import SCHEMA, SpoolFailed, SpoolFull, connect
from edge.keeping.room import CARD_FULL, MOST_PAGES, OVER_LIMIT, Reserve, is_full

_T = TypeVar("_T")
_NEARLY = 16  # pages below the limit: what SQLite wanted at once did not fit any more


class Card:
    """One connection to the spool's file, which may not grow beyond `limit` bytes (0: any size).

    `make_room` is called in a transaction of its own where a write finds none, told how many
    frames at most and why; it says how many went.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str,
        limit: int,
        reserve: Reserve,
        make_room: Callable[[int, str], int],
    ) -> None:
        """Opens or makes the file. Raises sqlite3.Error, OSError."""
        self.path = path
        self._reserve = reserve
        self._make_room = make_room
        self.connection = connect(path, synchronous)
        try:
            self.connection.executescript(SCHEMA)
            sync_folder(path.parent)
            self.page = self._ask("page_size")
        except BaseException:
            self.connection.close()
            raise
        self._most = limit // self.page if limit else MOST_PAGES

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._ask("page_count") * self.page

    @property
    def octets(self) -> int:
        """Bytes of the file that hold something."""
        return (self._ask("page_count") - self._ask("freelist_count")) * self.page

    @property
    def too_large(self) -> bool:
        """Whether the limit was set lower than what is held: the file is then thinned by and by."""
        return self.octets > self._most * self.page

    def write(self, work: Callable[[], _T], *, beyond: bool) -> _T:
        """One transaction, tried again for as long as room can be made.

        `beyond`: where nothing can go any more, beyond the limit and into the reserve. Raises
        SpoolFull, and SpoolFailed for whatever else the disk refuses.
        """
        self._reserve.hold()
        pages = self._most if self._reserve.held else 1  # SQLite takes 1 for the length now
        try:
            while True:
                try:
                    with self.writing():
                        self.connection.execute(f"PRAGMA max_page_count = {pages}")
                        return work()
                except SpoolFull:
                    if self._room():
                        pages = 1
                    elif beyond and pages != MOST_PAGES:
                        pages = MOST_PAGES
                    else:
                        raise
        finally:
            self._reserve.hold()

    @contextmanager
    def writing(self) -> Generator[None]:
        """One transaction. Raises SpoolFull, SpoolFailed."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            kind = SpoolFull if is_full(error) else SpoolFailed
            raise kind(f"{self.path}: {error}") from error
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self.connection.in_transaction:
                self.connection.rollback()

    def _room(self) -> bool:
        """Whether it makes sense to try again. Deleting needs space itself: the reserve's."""
        limited = self._ask("page_count") >= self._most - _NEARLY
        released = not limited and self._reserve.release()
        if not limited:
            with suppress(sqlite3.Error):
                self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for at_most in _LET_GO:
            with suppress(SpoolFull), self.writing():
                self.connection.execute(f"PRAGMA max_page_count = {MOST_PAGES if limited else 1}")
                if self._make_room(at_most, OVER_LIMIT if limited else CARD_FULL):
                    return True
        return released

    def _ask(self, what: str) -> int:
        return int(self.connection.execute(f"PRAGMA {what}").fetchone()[0])

    def close(self) -> None:
        self.connection.close()


_LET_GO = (2_000, 50)  # frames at a time; fewer where even deleting finds no space


def free_octets(folder: Path) -> int:
    """Bytes that the file system of a folder has left for us. Raises OSError."""
    card = os.statvfs(folder)
    return card.f_bavail * card.f_frsize


def takes_writes(folder: Path) -> None:
    """Raises OSError where the file system was turned read-only; nothing is written to know."""
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))

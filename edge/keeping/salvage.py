"""Saves what can be read of a spool that the memory card has spoilt."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from edge.files import set_aside
from edge.keeping.disk import SCHEMA, connect

_SPOILT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF  # the lowest byte of SQLite's error codes; the rest tells more exactly where
_log = logging.getLogger(__name__)


def mend(path: Path) -> Path | None:
    """Where a spoilt file was set aside, with all that was readable in a new one; None when whole.

    A box must come up again after any power cut: without this it would fail at every start.
    Frames that were on a spoilt page keep their numbers and are told to the gateway as gone.
    Raises sqlite3.Error for other troubles than a spoilt file.
    """
    if not path.exists() or is_whole(path):
        return None
    aside = set_aside(path, "spoilt")
    with closing(connect(path, "FULL")) as new:
        new.executescript(SCHEMA)
        saved = _copy(aside, new)
    _log.error("the spool was spoilt: %d frames saved, the rest is in %s", saved, aside)
    return aside


def is_spoilt(error: sqlite3.Error) -> bool:
    """Whether the file's content is the trouble, and not the disk under it."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _SPOILT


def is_whole(path: Path) -> bool:
    """Look through the whole file: 0.1 s of CPU for 450 000 frames, and the reading of 130 MB."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError as error:
        if not is_spoilt(error):
            raise
        return False


def _copy(aside: Path, new: sqlite3.Connection) -> int:
    """All rows that can be read; how many frames were among them."""
    with closing(sqlite3.connect(aside)) as old:
        new.execute("BEGIN")
        streams = list(_rows(old, "SELECT id, stream, lane, boot, next FROM stream"))
        new.executemany("INSERT OR IGNORE INTO stream VALUES (?, ?, ?, ?, ?)", streams)
        for table, places in (("receipted", "?, ?, ?"), ("note", "?, ?")):
            rows = _rows(old, f"SELECT * FROM {table}")  # noqa: S608 - one of two words of ours
            new.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({places})", rows)  # noqa: S608 - as above
        before = new.total_changes
        for number, *_ in streams:
            for order in ("ASC", "DESC"):  # up to the spoilt page from either side
                frames = _rows(
                    old,
                    f"SELECT * FROM frame WHERE stream = ? ORDER BY sequence {order}",  # noqa: S608 - ours
                    number,
                )
                new.executemany("INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?, ?)", frames)
        saved = new.total_changes - before
        new.execute("COMMIT")
    return saved


def _rows(old: sqlite3.Connection, query: str, *values: object) -> Iterator[tuple[object, ...]]:
    with suppress(sqlite3.DatabaseError):
        yield from old.execute(query, values)

"""The spool's one file: its tables, and what keeps a second writer and a lost name away."""

import fcntl
import json
import os
import sqlite3
from pathlib import Path
from typing import cast

SPOOL = "spool.sqlite"
"""The spool's name in the home folder."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS stream (
    id INTEGER PRIMARY KEY,
    stream TEXT NOT NULL UNIQUE,
    lane TEXT NOT NULL,
    boot TEXT NOT NULL,
    next INTEGER NOT NULL   -- at least: `stream.NEXT` tells
);
CREATE TABLE IF NOT EXISTS frame (
    stream INTEGER NOT NULL REFERENCES stream (id),
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT,   -- the frame as JSON; null: it will never come
    gone TEXT,   -- why it will never come
    PRIMARY KEY (stream, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS receipted (
    stream INTEGER NOT NULL REFERENCES stream (id),
    hour INTEGER NOT NULL,   -- hours since 1970; every row holds all that was receipted by its end
    ranges TEXT NOT NULL,
    PRIMARY KEY (stream, hour)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class SpoolTaken(Exception):
    """Another process writes to this spool: one box has one agent. Stop the other one."""


class SpoolFailed(Exception):
    """The disk did not keep what it was given, and nothing more is written to the open file.

    After a failed fsync the kernel drops the pages and the next fsync says yes: a later "kept" may
    be a lie. Only who opens the file again and writes anew what was not kept may believe it.
    """


class SpoolFull(SpoolFailed):
    """The card is full and nothing more can go. What was to be kept is not; later may do."""


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """A connection in which every statement is a transaction unless one is begun."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA cache_size = -512")
    connection.execute("PRAGMA journal_size_limit = 4000000")
    return connection


def connect_reading(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """A connection that only looks, from another process or on a card that takes no writes.

    `alone`: nobody can write. After a clean stop there is no log, nor can one be made to read by.
    """
    how = "immutable=1" if alone and not path.with_name(f"{path.name}-wal").exists() else "mode=ro"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, timeout=5
    )


def note(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Keep one named value."""
    connection.execute(
        "INSERT INTO note (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def noted(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def noted_texts(connection: sqlite3.Connection, name: str) -> list[str]:
    """The texts in a list that was noted; none where it cannot be read as one."""
    try:
        said = json.loads(noted(connection, name) or "[]")
    except (ValueError, RecursionError):
        return []
    listed = cast("list[object]", said) if isinstance(said, list) else []
    return [one for one in listed if isinstance(one, str)]


def only_writer(path: Path) -> int:
    """Lock the spool for as long as the handle given back is open. Raises SpoolTaken."""
    lock = _lock_of(path.with_name(f"{path.name}.lock"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise SpoolTaken(f"{path}: another process writes to this spool") from error
    return lock


def _lock_of(path: Path) -> int:
    """A card that takes no writes has an old lock, or else its folder is locked."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return os.open(path if path.exists() else path.parent, os.O_RDONLY | os.O_CLOEXEC)


def holder(path: Path) -> bool:
    """Whether a running process writes to this spool."""
    try:
        lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False

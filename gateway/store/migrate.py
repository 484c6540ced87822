"""Applies migrations/*.sql in order, once each, so that a fresh schema and an old one end alike."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from gateway.store.pool import Connection, connect_to
from gateway.store.rights import write_rights

FOLDER = Path(__file__).parent / "migrations"

_LOCK = 0x74727967706F7274
"""The advisory lock under which migrations run: "trygport" in ASCII."""


class WrongHistory(Exception):
    """The database was not made by these files: one is changed, missing, or newer than ours.

    Never repaired by guessing: install the version that made it, or restore.
    """


_NOT_MADE = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InvalidAuthorizationSpecificationError,  # the roles of the stages are made there too
)


@contextmanager
def on_our_schema() -> Generator[None]:
    """Raises WrongHistory for what a database says to whom it does not know yet."""
    try:
        yield
    except _NOT_MADE as fault:
        raise WrongHistory(
            f"the database is not as this program needs it: {fault}. Run `gateway migrate` first."
        ) from fault


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name, which orders it, and its SQL."""

    name: str
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(dsn: str, folder: Path = FOLDER) -> list[str]:
    """Bring the database up to date; the names of the files that were applied.

    Each file runs in a transaction of its own, and two that migrate at once wait for each other.
    Afterwards the table of rights is the program's. Raises WrongHistory, DatabaseDown, and
    asyncpg's own error where the SQL is refused.
    """
    async with connect_to(dsn) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(_TABLE)
        todo = _still_to_do(migrations(folder), await _done(connection))
        for migration in todo:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(_NOTE, migration.name, migration.digest)
        async with connection.transaction():
            await write_rights(connection)
        return [migration.name for migration in todo]


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The files, in order."""
    return [Migration(file.stem, file.read_text()) for file in sorted(folder.glob("*.sql"))]


async def _done(connection: Connection) -> list[tuple[str, str]]:
    rows = await connection.fetch("SELECT name, digest FROM migration ORDER BY name")
    return [(row["name"], row["digest"]) for row in rows]


def _still_to_do(files: list[Migration], done: list[tuple[str, str]]) -> list[Migration]:
    if [(file.name, file.digest) for file in files[: len(done)]] != done:
        raise WrongHistory("the database has migrations that are not the first of ours, unchanged")
    return files[len(done) :]


_TABLE = """
    CREATE TABLE IF NOT EXISTS migration (
        name text PRIMARY KEY,
        digest text NOT NULL,
        applied timestamptz NOT NULL DEFAULT now()
    )
"""
_NOTE = "INSERT INTO migration (name, digest) VALUES ($1, $2)"

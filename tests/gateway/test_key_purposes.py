"""Keys from the time when a purpose was any text keep it as a note."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.runtime.services import Database, OneDatabase
from gateway.store.migrate import FOLDER, migrate, migrations
from tests.gateway.ingest_home import look

_KEYS = """
    WITH m AS (INSERT INTO municipality (name) VALUES ('Kalundborg') RETURNING id),
         p AS (INSERT INTO person (municipality, login) SELECT id, 'stat' FROM m
               RETURNING municipality, id),
         a AS (INSERT INTO access (municipality, person, role) SELECT municipality, id, 'robot'
               FROM p RETURNING municipality, id)
    INSERT INTO api_key (municipality, access, hash, purpose, expires)
    SELECT a.municipality, a.id, sha256(v.purpose::bytea), v.purpose, now()
    FROM a, (VALUES ('sag 24/117'), ('care'), ('unstated'), ('')) AS v (purpose)
    RETURNING id
"""


@pytest.fixture
def empty(database: Database) -> Iterator[OneDatabase]:
    made = database.create("noted")
    yield made
    database.drop(made.name)


async def test_a_purpose_in_free_words_becomes_the_keys_note(
    empty: OneDatabase, tmp_path: Path
) -> None:
    before = [one for one in migrations() if one.name < "0016"]
    for migration in before:
        shutil.copy(FOLDER / f"{migration.name}.sql", tmp_path)
    await migrate(empty.dsn(), tmp_path)
    await look(empty.dsn(), _KEYS)

    await migrate(empty.dsn())

    rows = await look(empty.dsn(), "SELECT purpose, note FROM api_key ORDER BY purpose, note")
    kept = [(row["purpose"], row["note"]) for row in rows]
    assert kept == [("", ""), ("", ""), ("", "sag 24/117"), ("care", "")]

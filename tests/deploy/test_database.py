"""The private cluster keeps what was committed, and runs as nobody in particular."""

import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.runtime.scratch import LONGEST_SOCKET
from deploy.runtime.services import Database, DatabaseRefused, OneDatabase


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Database]:
    started = Database.start(tmp_path / "database")
    yield started
    started.stop()


def test_what_was_committed_outlives_a_kill(own: Database) -> None:
    own.execute("CREATE TABLE kept AS SELECT 7 AS number", database="trygport")

    own.kill()
    own.restart()

    assert own.execute("SELECT number FROM kept", database="trygport") == "7"


def test_a_cluster_is_opened_again_with_its_data(own: Database) -> None:
    own.execute("CREATE TABLE kept AS SELECT 7 AS number", database="trygport")
    own.stop()

    again = Database.start(own.folder)

    assert again.execute("SELECT number FROM kept", database="trygport") == "7"
    again.stop()


def test_it_promises_what_the_tests_of_durability_rest_on(database: Database) -> None:
    settings = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes'"
    told = database.execute(f"{settings}, 'synchronous_commit') ORDER BY name")

    assert told.splitlines() == ["fsync|on", "full_page_writes|on", "synchronous_commit|on"]


def test_it_does_not_run_as_root(database: Database) -> None:
    status = Path(f"/proc/{database.pid}/status").read_text()
    user = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[2]

    assert user == ("65534" if os.geteuid() == 0 else str(os.geteuid()))


async def test_each_test_has_a_database_of_its_own(
    database: Database, fresh_database: OneDatabase
) -> None:
    connection = await asyncpg.connect(fresh_database.dsn())
    try:
        assert await connection.fetchval("SELECT current_database()") == fresh_database.name
        assert fresh_database.name in database.execute("SELECT datname FROM pg_database")
    finally:
        await connection.close()


def test_it_has_hypertables(fresh_database: OneDatabase, database: Database) -> None:
    statements = (
        "CREATE EXTENSION IF NOT EXISTS timescaledb; CREATE TABLE t (at timestamptz NOT NULL);"
        "SELECT (create_hypertable('t', by_range('at'))).created; SHOW timescaledb.license"
    )

    assert database.execute(statements, database=fresh_database.name) == "t\napache"


def test_a_refused_statement_is_told_in_its_own_words(database: Database) -> None:
    with pytest.raises(DatabaseRefused, match='relation "nowhere" does not exist'):
        database.execute("SELECT * FROM nowhere")


def test_a_deep_folder_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 20) / ("deeper" * 5)

    started = Database.start(deep)

    assert len(f"{started.socket_folder}/.s.PGSQL.65535") <= LONGEST_SOCKET
    assert started.execute("SELECT 1") == "1"
    started.stop()
    assert not started.socket_folder.exists()

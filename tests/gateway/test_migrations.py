"""Migrated and fresh schemas are the same, once each, and only by the files that made them."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.runtime.services import Database, OneDatabase
from gateway.settings import Settings
from gateway.store.migrate import FOLDER, WrongHistory, migrate, migrations
from gateway.store.pool import Stage, connect
from tests.gateway.ingest_home import look

# All that a schema is made of, in words that do not depend on the order of its making.
_SCHEMA = """
    SELECT 'column' AS what, format('%s.%s.%s %s %s %s', table_schema, table_name, column_name,
           data_type, is_nullable, column_default) AS how
    FROM information_schema.columns WHERE table_schema IN ('public', 'identity')
    UNION ALL
    SELECT 'index', indexdef FROM pg_indexes WHERE schemaname IN ('public', 'identity')
    UNION ALL
    SELECT 'constraint', format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace IN ('public'::regnamespace, 'identity'::regnamespace)
    UNION ALL
    SELECT 'right', format('%s %s.%s.%s %s', grantee, table_schema, table_name, column_name,
           privilege_type)
    FROM information_schema.column_privileges WHERE grantee LIKE 'trygport%'
    UNION ALL
    SELECT 'policy', format('%s %s %s %s', tablename, policyname, qual, with_check)
    FROM pg_policies
    UNION ALL
    SELECT 'view', format('%s %s %s', viewname, viewowner, definition)
    FROM pg_views WHERE schemaname IN ('public', 'identity')
    ORDER BY 1, 2
"""
SchemaOf = Callable[[OneDatabase], "list[tuple[str, str]]"]


async def schema(of: OneDatabase) -> list[tuple[str, str]]:
    return [(row["what"], row["how"]) for row in await look(of.dsn(), _SCHEMA)]


@pytest.fixture
def empty(database: Database) -> Iterator[OneDatabase]:
    made = database.create("empty")
    yield made
    database.drop(made.name)


async def test_a_schema_migrated_step_by_step_is_the_same_as_a_fresh_one(
    empty: OneDatabase, fresh_database: OneDatabase, tmp_path: Path
) -> None:
    for migration in migrations():
        shutil.copy(FOLDER / f"{migration.name}.sql", tmp_path)
        assert await migrate(empty.dsn(), tmp_path) == [migration.name]

    assert await schema(empty) == await schema(fresh_database)


async def test_each_file_is_applied_once(fresh_database: OneDatabase) -> None:
    assert await migrate(fresh_database.dsn()) == []


async def test_two_that_migrate_at_once_apply_each_file_once(empty: OneDatabase) -> None:
    both = await asyncio.gather(migrate(empty.dsn()), migrate(empty.dsn()))

    assert sorted(both) == [[], [migration.name for migration in migrations()]]


async def test_a_file_that_fails_changes_nothing_and_is_tried_again(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    bad = tmp_path / "9999_bad.sql"
    bad.write_text("CREATE TABLE half (one int); SELECT 1 / 0;")
    with pytest.raises(Exception, match="division by zero"):
        await migrate(fresh_database.dsn(), tmp_path)

    bad.write_text("CREATE TABLE half (one int);")

    assert await migrate(fresh_database.dsn(), tmp_path) == ["9999_bad"]


@pytest.mark.parametrize("change", ["changed", "missing"])
async def test_a_database_made_by_other_files_is_refused(
    fresh_database: OneDatabase, tmp_path: Path, change: str
) -> None:
    if change == "changed":
        shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
        first = tmp_path / f"{migrations()[0].name}.sql"
        first.write_text(first.read_text() + "\n-- and more")

    with pytest.raises(WrongHistory):
        await migrate(fresh_database.dsn(), tmp_path)


async def test_no_stage_may_do_what_is_anothers(fresh_database: OneDatabase) -> None:
    rights = await look(
        fresh_database.dsn(),
        """
        SELECT has_table_privilege('trygport_ingest', 'alert', 'INSERT') AS ingest_alerts,
               has_table_privilege('trygport_watch', 'observation', 'INSERT') AS watch_observes,
               has_table_privilege('trygport_watch', 'device_secret', 'SELECT') AS watch_keys,
               has_table_privilege('trygport_api', 'observation', 'SELECT') AS api_raw,
               has_table_privilege('trygport_api', 'certificate', 'INSERT') AS api_certifies,
               has_column_privilege('trygport_api', 'edge', 'shut_out', 'UPDATE') AS api_readmits,
               has_column_privilege('trygport_edges', 'edge', 'home', 'SELECT') AS edges_homes,
               has_schema_privilege('trygport_ingest', 'identity', 'USAGE') AS ingest_names
        """,
    )

    assert not any(rights[0].values())


@pytest.mark.parametrize(
    ("stage", "refused"),
    [
        ("ingest", ["edge.broker_password", "edge.join_hash", "edge.claim"]),
        ("watch", ["edge.broker_password", "edge.join_hash", "edge.claim"]),
        (
            "notify",
            [
                "edge.broker_password",
                "edge.join_hash",
                "edge.claim",
                "observation.value",
                "observation_detail.value",
                "placed_observation.value",
            ],
        ),
    ],
)
async def test_no_stage_reads_what_it_has_no_use_for(
    fresh_database: OneDatabase, stage: Stage, refused: list[str]
) -> None:
    settings = Settings(database=fresh_database.address, production=False)

    async with connect(settings, stage) as pool:
        for place in refused:
            table, column = place.split(".")
            with pytest.raises(Exception, match="permission denied"):
                await pool.fetch(f"SELECT {column} FROM {table}")  # noqa: S608 - our own words
        assert await pool.fetch("SELECT name, home, config_version FROM edge") == []


async def test_no_stage_may_make_a_table_even_for_itself(empty: OneDatabase) -> None:
    await migrate(empty.dsn())

    made = await look(
        empty.dsn(),
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'trygport%' AND "
        "(has_database_privilege(rolname, current_database(), 'TEMPORARY')"
        " OR has_schema_privilege(rolname, 'public', 'CREATE'))",
    )

    assert [row["rolname"] for row in made] == []

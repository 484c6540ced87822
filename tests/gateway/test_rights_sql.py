"""Hand-made SQL as the API's own database role shows nobody what is somebody else's."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import asyncpg
import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.asking import asking, say
from gateway.store.caller import ROLES
from gateway.store.pool import Connection, Row
from gateway.store.rights import CLASSES, LEVELS, NUMBER, write_rights
from tests.gateway.office import Office, office
from tests.gateway.strangers import Place, Stranger, leaks, place, relations, strangers

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


@pytest.fixture
async def foreign(here: Office) -> Place:
    await here.login("anna", within="Kalundborg")
    return await place(here, within="Kalundborg", district="Nord", name="Ingrid")


async def asks(here: Office, foreign: Place) -> list[Stranger]:
    await here.login("bo", within="Odense")
    return strangers(
        here=foreign.flat.municipality,
        elsewhere=await here.municipality("Odense"),
        district=await here.district("Syd"),
        person=9999,
    )


async def found(here: Office, foreign: Place) -> tuple[Sequence[Row], list[str]]:
    tables = await relations(here.owner)
    ask = await asks(here, foreign)
    return tables, await leaks(here.pool, tables, foreign.flat.municipality, ask)


async def test_no_table_and_no_view_shows_or_gives_a_row_to_a_stranger(
    here: Office, foreign: Place
) -> None:
    tables, leaked = await found(here, foreign)

    print(  # noqa: T201 - the count that the test is to show
        f"\n{len(tables)} tables and views, {2 * len(ROLES) + 1} strangers, {len(leaked)} leaks"
    )
    assert leaked == []
    assert len(tables) > 20


async def test_the_tables_that_are_asked_for_do_have_rows_to_show(
    here: Office, foreign: Place
) -> None:
    own = [
        Stranger(who=each.who)
        for each in strangers(here=0, elsewhere=foreign.flat.municipality, district=0, person=9999)
        if each.who is not None and each.who.municipality
    ]
    tables = await relations(here.owner)
    full = [
        await here.owner.fetchval(f"SELECT EXISTS (SELECT FROM {each['relation']})")  # noqa: S608
        for each in tables
    ]
    empty = [each["relation"] for each, some in zip(tables, full, strict=True) if not some]
    assert empty == ["placed_observation"], "it is its reader's; a new table needs a row to hide"

    shown = await leaks(here.pool, tables, foreign.flat.municipality, own)

    for name in ("citizen", "identity.citizen", "alert", "placed_observation", "stream", "team"):
        assert any(f"FROM {name} " in line for line in shown), name


@pytest.mark.parametrize(
    ("sabotage", "leak"),
    [
        ("ALTER TABLE identity.citizen DISABLE ROW LEVEL SECURITY", "identity.citizen"),
        ("CREATE POLICY mistake ON alert FOR SELECT TO trygport_api USING (true)", "alert"),
        ("CREATE VIEW every_citizen AS SELECT * FROM citizen", "every_citizen"),
        ("ALTER VIEW placed_observation OWNER TO CURRENT_USER", "placed_observation"),
    ],
)
async def test_a_policy_dropped_and_a_superusers_view_are_seen_to_leak(
    here: Office, foreign: Place, sabotage: str, leak: str
) -> None:
    await here.owner.execute(sabotage)
    await here.owner.execute(f"GRANT SELECT ON {leak} TO trygport_api")

    _, leaked = await found(here, foreign)

    assert any(f"FROM {leak} " in line for line in leaked)


async def test_a_table_without_its_policies_shows_nothing_to_anybody(
    here: Office, foreign: Place
) -> None:
    await here.owner.execute("DROP POLICY seen ON identity.citizen")

    _, leaked = await found(here, foreign)

    assert leaked == []


async def words_that_stay(db: Connection, foreign: Place) -> None:
    """The sabotage: the same words, said for the session and not for the transaction."""
    for name, value in (("municipality", str(foreign.flat.municipality)), ("role", "staff")):
        await db.execute("SELECT set_config('trygport.' || $1, $2, false)", name, value)


@pytest.mark.parametrize("sabotaged", [False, True])
async def test_the_next_to_use_the_connection_inherits_nothing(
    foreign: Place, fresh_database: OneDatabase, *, sabotaged: bool
) -> None:
    caller = strangers(here=0, elsewhere=foreign.flat.municipality, district=0, person=1)[1].who
    assert caller is not None
    db = await asyncpg.connect(fresh_database.address, user="trygport_api")
    try:
        async with db.transaction():
            if sabotaged:
                await words_that_stay(db, foreign)
            else:
                await say(db, caller)
            assert await db.fetchval("SELECT count(*) FROM identity.citizen") == 1
        async with db.transaction():
            inherited = await db.fetchval("SELECT count(*) FROM identity.citizen")
    finally:
        await db.close()

    assert inherited == (1 if sabotaged else 0)


async def test_every_table_with_a_municipality_is_confined(here: Office) -> None:
    open_ = await here.owner.fetch(
        """
        SELECT c.oid::regclass::text AS name FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'municipality'
        WHERE c.relkind = 'r' AND NOT c.relrowsecurity
          AND c.relnamespace IN ('public'::regnamespace, 'identity'::regnamespace)
        """
    )

    assert [row["name"] for row in open_] == []


async def test_the_database_and_the_program_have_the_same_table_of_rights(here: Office) -> None:
    rows = await here.owner.fetch("SELECT role, class, level FROM role_right")

    kept = {(row["role"], row["class"]): row["level"] for row in rows}
    assert kept == {pair: NUMBER[level] for pair, level in LEVELS.items()}
    assert len(kept) == len(ROLES) * len(CLASSES)


async def test_the_policies_go_by_the_table(here: Office, foreign: Place) -> None:
    staff = strangers(here=0, elsewhere=foreign.flat.municipality, district=0, person=1)[1].who
    assert staff is not None
    await here.owner.execute(
        "UPDATE role_right SET level = 0 WHERE role = 'staff' AND class = 'identity'"
    )

    async with asking(here.pool, staff) as db:
        without = await db.fetchval("SELECT count(*) FROM identity.citizen")
    await write_rights(here.owner)
    async with asking(here.pool, staff) as db:
        with_it = await db.fetchval("SELECT count(*) FROM identity.citizen")

    assert (without, with_it) == (0, 1)


@pytest.mark.parametrize("stage", ["trygport_ingest", "trygport_watch", "trygport_notify"])
async def test_the_stages_that_work_for_every_municipality_keep_their_plans(
    here: Office, stage: str
) -> None:
    tables = await here.owner.fetch(
        """
        SELECT c.oid::regclass::text AS name FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'municipality'
        WHERE c.relkind = 'r' AND c.relrowsecurity
          AND c.relnamespace = 'public'::regnamespace
          AND has_column_privilege($1, c.oid, a.attnum, 'SELECT')
        """,
        stage,
    )

    for row in tables:
        # random() is no leakproof function: a policy that is more than `true` would come first
        query = (
            "EXPLAIN (COSTS OFF) SELECT 1 FROM "  # noqa: S608 - of the catalogue
            f"{row['name']} t JOIN citizen c ON c.municipality = t.municipality "
            "WHERE t.municipality = 7 AND random() < 0.5"
        )
        plain = await here.owner.fetch(query)
        async with here.owner.transaction():
            await here.owner.execute(f"SET LOCAL ROLE {stage}")
            confined = await here.owner.fetch(query)
        assert confined == plain, row["name"]
    assert len(tables) > 10

"""The access log's chain: linked once and in order, and every way of tampering with it is found."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.settings import Settings
from gateway.store.chain import (
    FIRST,
    Broken,
    Digest,
    Entry,
    Head,
    canonical,
    chained,
    heads,
    link,
    verify,
)
from gateway.store.pool import Connection, Stage, connect
from tests.gateway.office import START, Office, office

ROWS = 8


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncIterator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


@pytest.fixture
async def linked(here: Office) -> Office:
    """Eight rows of one municipality, linked."""
    await write(here, await here.municipality(), ROWS)
    assert await link(here.pool) == ROWS
    return here


async def write(here: Office, municipality: int, rows: int, first: int = 1) -> None:
    await here.owner.execute(
        """
        INSERT INTO access_log (municipality, at, person, role, citizen, what, purpose)
        SELECT $1, $2::timestamptz + n * interval '1 s', n, 'staff', 100 + n, 'æble.seen', 'care'
        FROM generate_series($4::int, $4::int + $3 - 1) AS n
        """,
        municipality,
        START,
        rows,
        first,
    )


async def tamper(owner: Connection, *statements: str) -> None:
    """As a superuser who knows how to keep triggers still."""
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            await owner.execute(statement)


async def test_an_untouched_log_is_verified_with_its_counts(linked: Office) -> None:
    await write(linked, await linked.municipality(), 1, first=9)

    counted = await verify(linked.owner, await heads(linked.pool))

    assert [(one.municipality, one.linked, one.waiting, one.heads) for one in counted] == [
        ("Kalundborg", ROWS, 1, 1)
    ]


async def test_each_municipality_has_a_chain_without_gaps(here: Office) -> None:
    for name in ("Kalundborg", "Næstved"):
        await write(here, await here.municipality(name), 5)
    assert await link(here.pool, 7) == 7
    await write(here, await here.municipality("Næstved"), 2)

    assert await link(here.pool) == 5

    assert [one.linked for one in await verify(here.owner)] == [5, 7]


async def test_a_row_is_linked_only_when_its_request_has_committed(here: Office) -> None:
    where = await here.municipality()
    async with here.owner.transaction():
        await write(here, where, 2)
        early = await link(here.pool)

    assert (early, await link(here.pool)) == (0, 2)


async def test_several_gateways_at_once_link_each_row_once(here: Office) -> None:
    where = await here.municipality()
    done = 0
    for _ in range(20):
        await write(here, where, 10)
        done += sum(max(n, 0) for n in await asyncio.gather(*[link(here.pool) for _ in range(4)]))

    done += await link(here.pool)

    assert done == 200
    assert [one.linked for one in await verify(here.owner)] == [200]


async def test_a_changed_row_is_found(linked: Office) -> None:
    await tamper(linked.owner, "UPDATE access_log SET citizen = 101 WHERE person = 5")

    await expect(linked, "changed", "position 5")


@pytest.mark.parametrize(
    "column", ["at = at + interval '1 us'", "role = NULL", "what = 'x'", "purpose = ''"]
)
async def test_no_column_may_be_changed_unseen(linked: Office, column: str) -> None:
    await tamper(linked.owner, f"UPDATE access_log SET {column} WHERE person = 3")  # noqa: S608

    await expect(linked, "changed", "position 3")


async def test_a_removed_row_is_found(linked: Office) -> None:
    await tamper(linked.owner, "DELETE FROM access_log WHERE person = 4")

    await expect(linked, "removed", "position 4")


async def test_a_row_removed_with_its_link_is_found(linked: Office) -> None:
    await tamper(
        linked.owner,
        "DELETE FROM access_log WHERE person = 4",
        "DELETE FROM access_link WHERE position = 4",
        # the links after it move down, so that no gap tells of it
        "UPDATE access_link SET position = position + 1000 WHERE position > 4",
        "UPDATE access_link SET position = position - 1001 WHERE position > 1000",
    )

    await expect(linked, "reordered", "position 4")


async def test_a_row_inserted_past_the_trigger_is_found(linked: Office) -> None:
    await tamper(
        linked.owner,
        "INSERT INTO access_log (municipality, at, what) SELECT id, now(), 'x' FROM municipality",
    )

    await expect(linked, "inserted", "row 9")


async def test_a_row_inserted_with_a_link_of_its_own_is_found(linked: Office) -> None:
    await tamper(
        linked.owner,
        "INSERT INTO access_log (municipality, at, what) SELECT id, now(), 'x' FROM municipality",
        "UPDATE access_link SET position = position + 1000 WHERE position > 4",
        "UPDATE access_link SET position = position - 999 WHERE position > 1000",
        "INSERT INTO access_link "
        "SELECT k.municipality, 5, 9, k.hash, sha256(k.hash || log_bytes(l)) "
        "FROM access_link k, access_log l WHERE k.position = 4 AND l.id = 9",
    )

    await expect(linked, "reordered", "position 6")


async def test_two_rows_in_each_others_place_are_found(linked: Office) -> None:
    await reorder(linked.owner)

    await expect(linked, "changed", "position 3")


async def test_without_the_previous_hash_in_it_a_chain_does_not_find_the_reordered_rows(
    linked: Office,
) -> None:
    def alone(_: bytes, entry: Entry) -> bytes:
        return hashlib.sha256(FIRST + canonical(entry)).digest()

    await relink(linked.owner, "sha256(decode(repeat('00', 32), 'hex') || log_bytes(l))")
    assert await counts(linked, digest=alone) == [ROWS]
    await reorder(linked.owner)

    assert await counts(linked, digest=alone) == [ROWS]


async def counts(here: Office, digest: Digest = chained) -> list[int]:
    return [one.linked for one in await verify(here.owner, digest=digest)]


async def reorder(owner: Connection) -> None:
    """Rows 3 and 6 change places with their hashes, and every `previous` is made to fit."""
    await tamper(
        owner,
        "UPDATE access_link SET entry = entry + 1000 WHERE position IN (3, 6)",
        "UPDATE access_link k SET entry = o.entry - 1000, hash = o.hash FROM access_link o "
        "WHERE k.position IN (3, 6) AND o.position = 9 - k.position",
        _FIT,
    )


_FIT = """
    UPDATE access_link k SET previous = before.hash FROM access_link before
    WHERE before.municipality = k.municipality AND before.position = k.position - 1
"""


async def relink(owner: Connection, how: str) -> None:
    """Every hash anew, in order: what one does who knows how the chain is made."""
    for position in range(1, ROWS + 1):
        await tamper(
            owner,
            f"UPDATE access_link k SET hash = {how} FROM access_log l "  # noqa: S608
            f"WHERE l.id = k.entry AND k.position = {position}",
            _FIT,
        )


async def test_a_chain_computed_anew_is_found_against_a_published_head(linked: Office) -> None:
    published = await heads(linked.pool)
    await tamper(linked.owner, "UPDATE access_log SET citizen = 101 WHERE person = 5")
    await relink(linked.owner, "sha256(k.previous || log_bytes(l))")
    assert await counts(linked) == [ROWS]

    await expect(linked, "rewritten", f"position {ROWS}", published)


async def test_a_cut_tail_is_found_against_a_published_head(linked: Office) -> None:
    published = await heads(linked.pool)
    await tamper(
        linked.owner,
        "DELETE FROM access_log WHERE person > 6",
        "DELETE FROM access_link WHERE position > 6",
    )
    assert await counts(linked) == [6]

    await expect(linked, "cut", f"position {ROWS} was published", published)


async def test_a_chain_that_is_gone_whole_is_found_against_a_published_head(
    linked: Office,
) -> None:
    published = await heads(linked.pool)
    await tamper(
        linked.owner,
        "DELETE FROM access_log",
        "DELETE FROM access_link",
        "DELETE FROM municipality",
    )

    await expect(linked, "cut", str(published[0].municipality), published)


async def test_a_row_that_goes_before_it_is_linked_is_found(linked: Office) -> None:
    await write(linked, await linked.municipality(), 1, first=9)
    await tamper(linked.owner, "DELETE FROM access_log WHERE person = 9")

    assert await link(linked.pool) == 0
    await expect(linked, "removed", "row 9")


async def expect(here: Office, kind: str, where: str, published: list[Head] | None = None) -> None:
    with pytest.raises(Broken, match=where) as found:
        await verify(here.owner, published or ())
    assert found.value.kind == kind


@pytest.mark.parametrize("table", ["access_log", "access_link"])
@pytest.mark.parametrize(
    "how", ["DELETE FROM {0}", "UPDATE {0} SET municipality = 1", "TRUNCATE {0}"]
)
async def test_not_even_the_owner_changes_what_is_logged(
    linked: Office, table: str, how: str
) -> None:
    with pytest.raises(Exception, match="append-only"):
        await linked.owner.execute(how.format(table))


@pytest.mark.parametrize(
    "forbidden",
    [
        "UPDATE access_log SET what = 'x'",
        "DELETE FROM access_log",
        "TRUNCATE access_log",
        "SELECT FROM access_link",
        "INSERT INTO access_link VALUES (1, 1, 1, '', '')",
        "DELETE FROM access_link",
        "SELECT FROM access_waiting",
        "DELETE FROM access_waiting",
        "ALTER TABLE access_log DISABLE TRIGGER waits",
        "SET session_replication_role = replica",
    ],
)
@pytest.mark.parametrize("stage", ["api", "ingest", "watch", "notify"])
async def test_no_stage_may_do_more_than_add_to_the_log(
    fresh_database: OneDatabase, stage: Stage, forbidden: str
) -> None:
    settings = Settings(database=fresh_database.address, production=False)

    async with connect(settings, stage) as pool:
        with pytest.raises(Exception, match=r"permission denied|must be owner"):
            await pool.execute(forbidden)


async def test_the_row_is_the_same_in_bytes_here_and_in_the_database(here: Office) -> None:
    rows = await here.owner.fetch(
        """
        SELECT l, log_bytes(l) AS bytes FROM (VALUES
            (1, 7, '1969-12-31 23:59:59.999999+00'::timestamptz, NULL, NULL, NULL, '', 'x:y-'),
            (1, 8, '2026-03-29 03:30:00.000001+02', 3, 'staff', 4, 'æøå 🙂', '3:abc')
        ) AS v (municipality, id, at, person, role, citizen, what, purpose),
        LATERAL (SELECT ROW(municipality, id, at, person, role, citizen, what, purpose)::access_log
                 AS l) AS made
        """
    )

    for row in rows:
        values = dict(row["l"])
        assert canonical(Entry(**values)) == row["bytes"]

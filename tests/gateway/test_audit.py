"""The commands of whoever audits, the linker, and the heads published outside the database."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from deploy.runtime.services import OneDatabase
from gateway.api.linker import keep_linked
from gateway.health import Health
from gateway.main import main
from gateway.store.chain import Head, heads, link, verify
from gateway.store.heads import UnreadableHeads, publish, published
from gateway.store.pool import connect
from tests.gateway.office import START, Office, office

HEAD = Head(municipality=UUID(int=7), position=3, hash=b"\x01" * 32)


@pytest.fixture
async def here(
    fresh_database: OneDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Office]:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    async with office(fresh_database, tmp_path) as made:
        yield made


async def audit(*words: str) -> int:
    def run() -> int:
        with pytest.raises(SystemExit) as ended:
            main(["audit", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return await asyncio.to_thread(run)


async def log(here: Office, rows: int, **columns: object) -> None:
    await here.owner.execute(
        "INSERT INTO access_log (municipality, at, person, role, citizen, what, purpose) "
        "SELECT $1, $2, $3, $4, $5, 'alert.seen', 'care' FROM generate_series(1, $6)",
        await here.municipality(),
        START,
        columns.get("person"),
        "staff",
        columns.get("citizen"),
        rows,
    )


async def test_verify_says_ok_with_its_counts(
    here: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await log(here, 5)
    await link(here.pool)
    publish(tmp_path / "heads", await heads(here.pool), START)

    ended = await audit("verify", "--heads", str(tmp_path / "heads"))

    assert ended == 0
    assert "Ok: 5 rows, 1 heads" in capsys.readouterr().out


async def test_verify_names_the_first_fault(
    here: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await log(here, 5)
    await link(here.pool)
    publish(tmp_path / "heads", await heads(here.pool), START)
    async with here.owner.transaction():
        await here.owner.execute("SET LOCAL session_replication_role = replica")
        await here.owner.execute("DELETE FROM access_log WHERE id = 5")
        await here.owner.execute("DELETE FROM access_link WHERE position = 5")

    assert await audit("verify") == 0
    assert await audit("verify", "--heads", str(tmp_path / "heads")) == 1
    assert "NOT Ok (cut): Kalundborg: the chain ends at 4" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, '{"municipality": "x"}\n', "[]}\n"])
async def test_heads_that_cannot_be_read_are_no_ok(
    here: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    await log(here, 1)
    if content is not None:
        (tmp_path / "heads").write_text(content)

    assert await audit("verify", "--heads", str(tmp_path / "heads")) == 1
    assert f"gateway audit: {tmp_path / 'heads'}: " in capsys.readouterr().err


async def test_who_looked_at_this_citizen_and_at_whom_this_person_looked(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    flat, other = await here.flat(), await here.flat(name="Poul Lund")
    await here.login("anna")
    anna = await here.owner.fetchval("SELECT id FROM person WHERE login = 'anna'")
    await log(here, 2, person=anna, citizen=flat.citizen)
    await log(here, 1, citizen=other.citizen)

    assert await audit("who", "--citizen", str(flat.citizen_public)) == 0
    who = capsys.readouterr().out
    assert await audit("person", "--login", "Anna") == 0
    person = capsys.readouterr().out

    line = "2026-03-02 20:00:00Z  staff  {}  alert.seen  care\n"
    assert who == line.format("anna") * 2
    assert person == line.format(flat.citizen_public) * 2


@pytest.mark.usefixtures("here")
async def test_nobody_by_that_id_or_login_is_said() -> None:
    assert await audit("who", "--citizen", str(uuid4())) == 1
    assert await audit("person", "--login", "nobody") == 1


async def test_rows_are_linked_within_two_seconds_and_their_heads_published(
    here: Office, tmp_path: Path
) -> None:
    file = tmp_path / "heads"
    await log(here, 3)

    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(keep_linked(here.pool, file, here.clock, Health()))
        await asyncio.sleep(0.5)
        await log(here, 4)
        await asyncio.sleep(2)
        keeper.cancel()

    assert [(one.linked, one.waiting) for one in await verify(here.owner)] == [(7, 0)]
    assert [head.position for head in published(file)] == [3]


async def test_an_unwritable_file_of_heads_makes_the_gateway_unready_and_linking_goes_on(
    here: Office, tmp_path: Path
) -> None:
    health = Health()
    await log(here, 3)

    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(
            keep_linked(here.pool, tmp_path / "no" / "heads", here.clock, health)
        )
        await asyncio.sleep(1)
        keeper.cancel()

    assert "No such file" in str(health.parts["access log heads"])
    assert [one.linked for one in await verify(here.owner)] == [3]


async def test_of_two_gateways_one_links_while_the_other_goes_on(here: Office) -> None:
    async with connect(here.desk.settings, "api") as second, asyncio.TaskGroup() as group:
        keepers = [
            group.create_task(keep_linked(pool, None, here.clock, Health()))
            for pool in (here.pool, second)
        ]
        for _ in range(20):
            await log(here, 5)
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        for keeper in keepers:
            keeper.cancel()

    assert [(one.linked, one.waiting) for one in await verify(here.owner)] == [(100, 0)]


def test_published_heads_are_added_to_and_read_back(tmp_path: Path) -> None:
    later = Head(municipality=HEAD.municipality, position=9, hash=b"\x02" * 32)

    publish(tmp_path / "heads", [HEAD], START)
    publish(tmp_path / "heads", [later], START)

    assert published(tmp_path / "heads") == [HEAD, later]
    assert json.loads((tmp_path / "heads").read_text().splitlines()[0])["at"] == START.isoformat()


def test_a_line_torn_by_a_power_cut_costs_only_itself(tmp_path: Path) -> None:
    publish(tmp_path / "heads", [HEAD], START)
    with (tmp_path / "heads").open("a") as file:
        file.write('{"municipality": "00')

    publish(tmp_path / "heads", [HEAD], START)

    assert published(tmp_path / "heads") == [HEAD, HEAD]


def test_a_line_that_is_no_head_is_named(tmp_path: Path) -> None:
    publish(tmp_path / "heads", [HEAD], START)
    with (tmp_path / "heads").open("a") as file:
        file.write('{"municipality": 1}\n')

    with pytest.raises(UnreadableHeads, match="line 2"):
        published(tmp_path / "heads")

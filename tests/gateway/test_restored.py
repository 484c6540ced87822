"""A restored database begins a new epoch, once, and every box is told to follow it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store import epoch
from gateway.store.epoch import RestoredAlready
from gateway.store.pool import connect_to
from tests.gateway.ingest_home import Parts, parts
from tests.gateway.joined import command


@pytest.fixture
async def here(fresh_database: OneDatabase, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    async with parts(fresh_database, boxes=3) as made:
        yield made


async def the_store(here: Parts) -> dict[str, Any]:
    return (await here.rows("SELECT epoch, restored FROM store"))[0]


async def test_the_first_epoch_did_not_begin_by_a_restore(here: Parts) -> None:
    first = await epoch.current(here.pool)

    assert first.id == (await the_store(here))["epoch"]
    assert await epoch.restored(here.pool) is None


async def test_a_restore_begins_an_epoch_and_raises_every_configuration(
    here: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await the_store(here)
    await here.rows("UPDATE edge SET config_version = id, config_published = id")

    code = await gateway("restored")

    after = await the_store(here)
    assert code == 0
    assert after["epoch"] != before["epoch"]
    assert await epoch.restored(here.pool) == after["restored"]
    versions = await here.rows("SELECT config_version - id AS raised FROM edge ORDER BY id")
    assert [row["raised"] for row in versions] == [1_000] * 3
    assert str(after["epoch"]) in (said := capsys.readouterr().out)
    assert "Its 3 boxes" in said


async def test_a_second_time_within_a_minute_is_taken_for_a_mistake(
    here: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = [await gateway("restored")]
    once = await the_store(here)
    codes.append(await gateway("restored"))
    refused = await the_store(here)
    codes.append(await gateway("restored", "--again"))

    assert codes == [0, 1, 0]
    assert refused == once
    assert (await the_store(here))["epoch"] != once["epoch"]
    assert "--again" in capsys.readouterr().err


async def test_a_minute_later_it_is_another_restore(here: Parts) -> None:
    now = here.clock.now()
    async with connect_to(here.where.dsn()) as owner:
        first, _ = await epoch.begin(owner, now)
        with pytest.raises(RestoredAlready):
            await epoch.begin(owner, now + timedelta(seconds=59))
        second, _ = await epoch.begin(owner, now + timedelta(seconds=60))

    assert second.id != first.id


async def test_no_stage_can_begin_an_epoch(here: Parts) -> None:
    async with here.pool.acquire() as db:
        with pytest.raises(Exception, match="permission denied"):
            await epoch.begin(db, here.clock.now())


async def gateway(*words: str) -> int:
    return await asyncio.to_thread(command, *words)

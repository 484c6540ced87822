"""A walk test all the way: a box's frames over the real broker, and the command that tells them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from deploy.runtime.services import Broker, OneDatabase
from gateway import watch
from gateway.health import Health
from gateway.store import walk
from gateway.store.walk import By
from tests.conftest import GATEWAY_PASSWORD
from tests.frames import BUTTON, DOOR, NOON, batch, door, press
from tests.gateway.house import StillClock
from tests.gateway.ingest_home import Box, Parts, furnish, ingest, look, parts, settings, until
from tests.gateway.joined import command

AT = datetime.fromtimestamp(NOON / 1_000, UTC)
BEFORE = timedelta(minutes=1)
CAME = f"""
    SELECT d.address, h.kind, h.rssi, h.clock,
           round(1000 * extract(epoch FROM h.stored - h.occurred))::integer AS ms
    FROM walk_heard h JOIN walk_device d USING (municipality, test, placement)
    WHERE h.kind IN (2, 7) AND d.address IN ('{BUTTON}', '{DOOR}') ORDER BY h.id
"""  # noqa: S608 - our own text


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """Gateway sessions outlive a test: on the shared broker they would answer for others."""
    gateway = dict.fromkeys(("gateway-urgent", "gateway-bulk", "gateway-config"), GATEWAY_PASSWORD)
    started = Broker.start(tmp_path / "broker", passwords={**gateway, "box-01": "box-01"})
    yield started
    started.stop()


@pytest.fixture
async def home(fresh_database: OneDatabase) -> OneDatabase:
    await furnish(fresh_database.dsn())
    return fresh_database


async def begun(where: OneDatabase, at: datetime = AT - BEFORE) -> UUID:
    db = await asyncpg.connect(where.dsn())
    try:
        return await walk.begin(db, By(municipality=1), "box-01", now=at)
    finally:
        await db.close()


@asynccontextmanager
async def watched(where: OneDatabase) -> AsyncGenerator[None]:
    task = asyncio.create_task(watch.run(settings(where), StillClock(AT), Health()))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def told(where: OneDatabase) -> tuple[int, int]:
    """Findings of a call, and alerts."""
    (row,) = await look(
        where.dsn(),
        "SELECT (SELECT count(*) FROM finding) AS found, (SELECT count(*) FROM alert) AS alerts",
    )
    return row["found"], row["alerts"]


async def found(where: OneDatabase, count: int) -> None:
    async with asyncio.timeout(10):
        while (await told(where))[0] < count:  # noqa: ASYNC110 - other stages work
            await asyncio.sleep(0.05)


@pytest.mark.timeout(60)  # three servers start and stop
async def test_a_press_under_test_is_shown_with_its_milliseconds_and_one_after_it_alerts(
    home: OneDatabase, own_broker: Broker
) -> None:
    public = await begun(home)
    async with ingest(home, own_broker) as health, watched(home), Box(own_broker) as box:
        await until(lambda: health.ready)
        box.say(batch([press(7, at=NOON - 84, rssi=-62), door(at=NOON - 20, rssi=-88)]))
        await found(home, 1)
        during = await told(home)
        came = await look(home.dsn(), CAME)

        db = await asyncpg.connect(home.dsn())
        await walk.end(
            *(db, By(municipality=1), "box-01", public),
            now=AT - timedelta(seconds=30),
            remark="I morgen",
            missing=True,
        )
        await db.close()
        box.say(batch([press(8, at=NOON - 10)]))
        await found(home, 2)

        assert during == (1, 0)
        assert [(one["address"], one["rssi"], one["ms"], one["clock"]) for one in came] == [
            (BUTTON, -62, 84, 0),
            (DOOR, -88, 20, 0),
        ]
        assert await told(home) == (2, 1), "both in one case: the end was put before the first too"
        assert len(await look(home.dsn(), CAME)) == len(came), "what comes later is no part of it"


async def test_a_redelivered_frame_stands_in_the_record_once(fresh_database: OneDatabase) -> None:
    async with parts(fresh_database) as here:
        await begun(fresh_database)
        said = batch([press(7, at=NOON - 84)])
        for _ in range(2):
            await here.store(said)

    assert len(await look(fresh_database.dsn(), CAME)) == 1


async def test_what_was_heard_before_the_test_or_by_a_clock_not_set_is_no_proof(
    fresh_database: OneDatabase,
) -> None:
    async with parts(fresh_database) as here:
        await begun(fresh_database)
        await here.store(batch([press(1, at=NOON - 600_000), press(2, at=NOON - 50, sure=False)]))

    (came,) = await look(fresh_database.dsn(), CAME)
    assert came["clock"] != 0


@pytest.fixture
async def owned(
    fresh_database: OneDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Parts]:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    async with parts(fresh_database) as made:
        yield made


_ALL_HEARD = """
    INSERT INTO walk_heard (municipality, test, placement, edge, kind, active, occurred, stored,
                            clock, rssi)
    SELECT d.municipality, d.test, d.placement, t.edge,
           CASE d.role WHEN 'call' THEN 7 WHEN 'door' THEN 2 ELSE 9 END, true,
           t.started + interval '10 ms', t.started + interval '94 ms', 0, -70
    FROM walk_device d JOIN walk_test t ON t.id = d.test
    WHERE NOT EXISTS (SELECT FROM walk_heard h WHERE h.test = d.test)
"""


async def test_the_command_ends_with_0_when_every_device_was_heard(
    owned: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = asyncio.create_task(asyncio.to_thread(command, "walk", "box-01"))
    async with asyncio.timeout(15):
        while not await owned.rows(f"{_ALL_HEARD} RETURNING id"):  # noqa: ASYNC110 - a command works
            await asyncio.sleep(0.1)
        code = await typed

    said = capsys.readouterr().out
    assert code == 0, said
    assert f"no room, call ({BUTTON}), -70 dBm (good), 84 ms" in said
    assert "every device was heard; all calls alert again" in said
    (test,) = await owned.rows("SELECT ended_by, person FROM walk_test")
    assert test == {"ended_by": "person", "person": None}
    assert await owned.rows("SELECT FROM access_log WHERE what = 'walk.begun' AND citizen = 1")


async def test_the_command_names_what_was_not_heard_and_ends_with_1(
    owned: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = asyncio.create_task(asyncio.to_thread(command, "walk", "box-01", "--json"))
    async with asyncio.timeout(15):
        while not await owned.rows("SELECT FROM walk_test"):  # noqa: ASYNC110 - a command works
            await asyncio.sleep(0.1)
        await owned.rows(
            "UPDATE walk_test SET started = started - interval '29 minutes',"
            " until = started + interval '2 seconds'"
        )
        code = await typed

    record = json.loads(capsys.readouterr().out)
    assert code == 1
    assert (record["passed"], record["ended_by"]) == (False, "time")
    assert BUTTON in record["missing"]


async def test_the_command_refuses_an_unknown_box_in_one_sentence(
    owned: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await asyncio.to_thread(command, "walk", "box-none")

    assert (code, bool(owned)) == (1, True)
    assert "there is no box box-none" in capsys.readouterr().err

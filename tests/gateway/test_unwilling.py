"""A database that is there and will not write: nothing is let go, and work goes on by itself."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.runtime.services import Broker, Database
from gateway.store.migrate import migrate
from tests.conftest import GATEWAY_PASSWORD
from tests.frames import batch, press
from tests.gateway.ingest_home import Box, furnish, ingest, look, until

pytestmark = pytest.mark.slow

Do = Callable[[Database], None]


@pytest.fixture(scope="module")
def own_database(service_folder: Path) -> Iterator[Database]:
    started = Database.start(service_folder / "unwilling")
    asyncio.run(migrate(started.dsn()))
    yield started
    started.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    users = dict.fromkeys(("gateway-urgent", "gateway-bulk", "gateway-config"), GATEWAY_PASSWORD)
    started = Broker.start(tmp_path / "broker", passwords={**users, "box-01": "box-01"})
    yield started
    started.stop()


def only_reads(database: Database) -> None:
    database.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    database.execute("SELECT pg_reload_conf()")


def writes_again(database: Database) -> None:
    database.execute("ALTER SYSTEM RESET default_transaction_read_only")
    database.execute("SELECT pg_reload_conf()")


def lets_nobody_in(database: Database) -> None:
    database.execute("ALTER ROLE trygport_ingest CONNECTION LIMIT 0")
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'trygport_ingest'"
    )


def lets_in_again(database: Database) -> None:
    database.execute("ALTER ROLE trygport_ingest CONNECTION LIMIT -1")


def becomes_a_standby(database: Database) -> None:
    """Up and in recovery, as after a failover to the wrong side: not "ready" until promoted."""
    database.stop()
    (database.folder / "data" / "standby.signal").touch()


def is_promoted(database: Database) -> None:
    database.execute("SELECT pg_promote()")


@pytest.mark.parametrize(
    ("harm", "mend", "why"),
    [
        (only_reads, writes_again, "read-only transaction"),
        (lets_nobody_in, lets_in_again, "too many connections"),
    ],
)
async def test_what_a_database_does_not_take_waits_and_the_reason_is_said(
    own_database: Database, own_broker: Broker, harm: Do, mend: Do, why: str
) -> None:
    where = own_database.one()
    await furnish(where.dsn())
    async with ingest(where, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        await asyncio.to_thread(harm, own_database)
        box.say(batch([press(7)]))
        await until(lambda: why in (health.parts.get("ingest urgent: database") or ""))
        assert box.receipts() == []

        await asyncio.to_thread(mend, own_database)

        await until(lambda: bool(box.receipts()), seconds=20)
        await until(lambda: health.ready)
    assert len(await look(where.dsn(), "SELECT FROM message")) == 1


async def test_what_a_standby_does_not_take_waits_until_it_is_promoted(
    own_database: Database, own_broker: Broker
) -> None:
    where = own_database.one()
    await furnish(where.dsn())
    async with ingest(where, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        await asyncio.to_thread(becomes_a_standby, own_database)
        box.say(batch([press(7)]))
        starting = asyncio.create_task(asyncio.to_thread(own_database.restart))
        await until(lambda: "read-only" in (health.parts.get("ingest urgent: database") or ""), 20)

        await asyncio.to_thread(is_promoted, own_database)

        await starting
        await until(lambda: bool(box.receipts()), seconds=20)
        await until(lambda: health.ready)
    assert len(await look(where.dsn(), "SELECT FROM message")) == 1

"""Ingest against a real broker: acknowledged after the commit, receipted, back by itself."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.runtime.services import Broker, Database, OneDatabase
from gateway.ingest.pipeline import Pipeline
from gateway.ingest.subscriber import Delivery
from gateway.store.migrate import migrate
from tests.conftest import GATEWAY_PASSWORD
from tests.frames import NOON, batch, door, press
from tests.gateway.ingest_home import Box, furnish, ingest, look, state, until

GATEWAY: Mapping[str, str] = dict.fromkeys(
    ("gateway-urgent", "gateway-bulk", "gateway-config"), GATEWAY_PASSWORD
)
AT_NOON = datetime.fromtimestamp(NOON / 1_000, UTC)


class HastyPipeline(Pipeline):
    """The saboteur: acknowledges first and stores then."""

    async def store(self, deliveries: Sequence[Delivery]) -> Mapping[str, bytes]:
        for delivery in deliveries:
            self._subscriber.acknowledge(delivery)
        return await super().store(deliveries)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """Gateway sessions outlive a test: on the shared broker they would answer for others."""
    started = Broker.start(
        tmp_path / "broker",
        passwords={**GATEWAY, "box-01": "box-01"},
        config_extra="sys_interval 1",  # its uptime as exact as our short waits need it
    )
    yield started
    started.stop()


@pytest.fixture
def home(fresh_database: OneDatabase) -> OneDatabase:
    asyncio.run(furnish(fresh_database.dsn()))
    return fresh_database


@pytest.fixture(scope="module")
def mortal(service_folder: Path) -> Iterator[Database]:
    """A database that may be killed."""
    started = Database.start(service_folder / "mortal")
    asyncio.run(migrate(started.dsn()))
    yield started
    started.stop()


async def doors(dsn: str) -> int:
    (row,) = await look(dsn, "SELECT count(*) FROM observation WHERE kind = 2")
    return row["count"]


async def test_a_press_over_mqtt_is_stored_and_receipted(
    home: OneDatabase, own_broker: Broker
) -> None:
    said = batch([press(7)])
    async with ingest(home, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        box.say(said)

        await until(lambda: bool(box.receipts()))

        assert box.receipts()[0]["streams"] == {said.stream: [[1, 1]]}
        assert len(await look(home.dsn(), "SELECT FROM observation")) == 2


async def test_both_lanes_are_streams_of_their_own(home: OneDatabase, own_broker: Broker) -> None:
    said = batch([door()])
    async with ingest(home, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        box.say(said, "urgent")
        box.say(said, "bulk")

        await until(lambda: len(box.receipts()) == 2)

    rows = await look(home.dsn(), "SELECT lane FROM stream ORDER BY lane")
    assert [row["lane"] for row in rows] == ["bulk", "urgent"]


async def test_garbage_over_mqtt_is_acknowledged_and_what_follows_is_stored(
    home: OneDatabase, own_broker: Broker
) -> None:
    async with ingest(home, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        for _ in range(250):  # more than may be unacknowledged at a time
            box.say(b"\x00 garbage")
        box.say(batch([door()]))

        await until(lambda: bool(box.receipts()))

    (row,) = await look(home.dsn(), "SELECT count FROM quarantine")
    assert row["count"] == 250


async def lost_while_the_database_is_down(
    mortal: Database, broker: Broker, kind: type[Pipeline]
) -> bool:
    """A message comes while the database is down, and the gateway dies before it is back."""
    where = mortal.one()
    await asyncio.to_thread(mortal.restart)
    await furnish(where.dsn())
    async with Box(broker) as box:
        async with ingest(where, broker, pipeline=kind) as health:
            await until(lambda: health.ready)
            await asyncio.to_thread(mortal.kill)
            box.say(batch([door()]))
            await until(lambda: "ingest urgent: database" in health.parts)
            assert not health.ready
        await asyncio.to_thread(mortal.restart)
        async with ingest(where, broker) as health:
            await until(lambda: health.ready)
            await asyncio.sleep(0.5)
            return await doors(where.dsn()) == 0


@pytest.mark.slow
async def test_a_message_is_not_let_go_while_the_database_is_down(
    mortal: Database, own_broker: Broker
) -> None:
    assert not await lost_while_the_database_is_down(mortal, own_broker, Pipeline)


@pytest.mark.slow
async def test_a_pipeline_that_acknowledges_first_loses_it(
    mortal: Database, own_broker: Broker
) -> None:
    assert await lost_while_the_database_is_down(mortal, own_broker, HastyPipeline)


@pytest.mark.slow
async def test_ingest_goes_on_by_itself_when_the_database_is_back(
    mortal: Database, own_broker: Broker
) -> None:
    where = mortal.one()
    await asyncio.to_thread(mortal.restart)
    await furnish(where.dsn())
    async with ingest(where, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        await asyncio.to_thread(mortal.kill)
        box.say(batch([door()]))
        await until(lambda: not health.ready)

        await asyncio.to_thread(mortal.restart)

        await until(lambda: bool(box.receipts()))
        await until(lambda: health.ready)
        assert await doors(where.dsn()) == 1


async def test_ingest_goes_on_by_itself_when_the_broker_is_back(
    home: OneDatabase, own_broker: Broker
) -> None:
    async with ingest(home, own_broker) as health:
        await until(lambda: health.ready)
        await asyncio.to_thread(own_broker.kill)
        await until(lambda: not health.ready)

        await asyncio.to_thread(own_broker.restart)

        await until(lambda: health.ready)
        async with Box(own_broker) as box:
            box.say(batch([door()]))
            await until(lambda: bool(box.receipts()))


async def test_a_box_is_in_contact_from_its_birth_to_its_last_will(
    home: OneDatabase, own_broker: Broker
) -> None:
    async def contacts() -> list[tuple[object, object]]:
        rows = await look(home.dsn(), "SELECT * FROM contact")
        return [(row["ended_by"], row["sure_from"]) for row in rows]

    async with ingest(home, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        box.say(state("running"), "state")
        box.say(batch([door()]))
        await until(lambda: bool(box.receipts()))
        async with asyncio.timeout(10):
            while await contacts() != [(None, None)]:  # noqa: ASYNC110 - no event of ours
                await asyncio.sleep(0.05)

        box.cut()

        async with asyncio.timeout(10):
            while await contacts() == [(None, None)]:  # noqa: ASYNC110 - no event of ours
                await asyncio.sleep(0.05)
        assert await contacts() == [("lost", AT_NOON)]
    (due,) = await look(home.dsn(), "SELECT citizen, due FROM deadline")
    assert due == {"citizen": 1, "due": AT_NOON}


@pytest.mark.slow  # contact is looked at every ten seconds, and the broker tells its age as seldom
async def test_a_box_that_died_with_its_broker_is_out_of_contact_once_the_living_are_back(
    home: OneDatabase, own_broker: Broker
) -> None:
    await furnish(home.dsn(), boxes=2)
    own_broker.admit({"box-02": "box-02"})

    async def ended() -> dict[str, object]:
        rows = await look(
            home.dsn(), "SELECT e.name, ended_by FROM contact c JOIN edge e ON e.id = c.edge"
        )
        return {row["name"]: row["ended_by"] for row in rows}

    async with ingest(home, own_broker, unsure=6.0) as health:
        await until(lambda: health.ready)
        async with Box(own_broker) as dying, Box(own_broker, "box-02") as living:
            for box in (dying, living):
                box.say(state("running", at=NOON - 60_000), "state")
            async with asyncio.timeout(5):
                while len(await ended()) < 2:  # noqa: ASYNC110 - no event of ours
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(own_broker.kill)
        await asyncio.sleep(4)  # its age comes in whole seconds: well apart
        await asyncio.to_thread(own_broker.restart)

        async with Box(own_broker, "box-02") as living:
            living.say(state("running"), "state")
            async with asyncio.timeout(40):
                while "stale" not in (await ended()).values():  # noqa: ASYNC110 - no event of ours
                    await asyncio.sleep(0.1)
            assert await ended() == {"box-01": "stale", "box-02": None}


async def test_a_gateway_that_starts_anew_ends_no_contact_of_a_quiet_box(
    home: OneDatabase, own_broker: Broker
) -> None:
    async with Box(own_broker) as box:
        async with ingest(home, own_broker, unsure=1.0) as health:
            await until(lambda: health.ready)
            box.say(state("running", at=NOON - 60_000), "state")
            box.say(batch([door()]))
            await until(lambda: bool(box.receipts()))
        await asyncio.sleep(1.5)
        async with ingest(home, own_broker, unsure=1.0) as health:
            await until(lambda: health.ready)

            await asyncio.sleep(3)

            assert await look(home.dsn(), "SELECT ended_by FROM contact") == [{"ended_by": None}]


END_CALL = """
    WITH ended AS (UPDATE placement SET "to" = $1 WHERE role = 'call')
    UPDATE edge SET config_version = config_version + 1 RETURNING pg_notify('config', '')
"""


_PUBLISHED = "SELECT config_published FROM edge"


async def test_a_box_is_told_what_to_hear(home: OneDatabase, own_broker: Broker) -> None:
    async with ingest(home, own_broker), Box(own_broker) as box:
        await until(lambda: bool(box.configs()))

        config = box.configs()[0]
        assert (config["version"], config["keepalive"]) == (1, 30)
        assert len(config["devices"]) == 3

        await look(
            home.dsn(),
            END_CALL,
            AT_NOON + timedelta(hours=1),
        )
        await until(lambda: box.configs()[-1]["version"] == 2)
        assert box.configs()[-1]["keepalive"] == 30, "its end has not come"

        await look(home.dsn(), END_CALL, AT_NOON)
        await until(lambda: box.configs()[-1]["version"] == 3)
        assert box.configs()[-1]["keepalive"] == 60
        async with asyncio.timeout(5):  # the box has it before the gateway has noted that
            while await look(home.dsn(), _PUBLISHED) != [{"config_published": 3}]:  # noqa: ASYNC110 - no event of ours
                await asyncio.sleep(0.05)


async def test_a_configuration_is_kept_for_a_box_that_comes_when_the_gateway_is_away(
    home: OneDatabase, own_broker: Broker
) -> None:
    async with ingest(home, own_broker) as health:
        await until(lambda: health.ready)
        async with asyncio.timeout(10):
            while await look(home.dsn(), _PUBLISHED) != [{"config_published": 1}]:  # noqa: ASYNC110 - no event of ours
                await asyncio.sleep(0.05)

    async with Box(own_broker) as box:
        await until(lambda: bool(box.configs()))

        assert box.configs()[0]["version"] == 1


async def test_a_broker_that_forgot_the_configuration_is_told_again(
    home: OneDatabase, own_broker: Broker
) -> None:
    await look(home.dsn(), "UPDATE edge SET config_published = 1 RETURNING id")
    async with ingest(home, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        box.say(state("running", config=0), "state")

        await until(lambda: bool(box.configs()))


async def test_a_press_overtakes_a_backlog_of_telemetry(
    home: OneDatabase, own_broker: Broker
) -> None:
    telemetry = batch([door(at=NOON + number) for number in range(250)])
    many = [replace(telemetry, stream=str(uuid4())) for _ in range(150)]
    async with ingest(home, own_broker) as health, Box(own_broker) as box:
        await until(lambda: health.ready)
        for one in many:
            box.say(one, "bulk")
        said = batch([press(1)])
        box.say(said)

        await until(lambda: len(told(box)) > len(many))

        assert told(box).index(said.stream) < len(many) / 2


def told(box: Box) -> list[str]:
    """The streams that were receipted, in order."""
    return list(dict.fromkeys(name for each in box.receipts() for name in each["streams"]))

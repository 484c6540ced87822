"""A box is asked what is in the air; who asked is told for an hour, and nobody else ever."""

import asyncio
import json
import queue
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import paho.mqtt.client as paho
import pytest

from deploy.runtime.services import Broker, OneDatabase
from edge.told.command import read_command
from gateway.health import Health
from gateway.ingest.commands import Commands, read_reply
from gateway.ingest.duty import Duty
from gateway.ingest.line import Broker as Way
from gateway.ingest.line import Delivery
from gateway.ingest.run import run
from gateway.ingest.subscriber import Subscriber
from gateway.settings import Settings
from gateway.store import commands
from gateway.store.caller import Role
from gateway.store.pool import connect
from tests.conftest import GATEWAY_PASSWORD
from tests.deploy.mqtt import Client, connected
from tests.gateway.office import Office, office

OWN, OTHER = "box-01", "box-02"
COMMAND, REPLY = f"edges/{OWN}/command", f"edges/{OWN}/reply"
NOWHERE = Way(host="127.0.0.1", port=1)
SEEN: dict[str, Any] = {
    "address": "C4:7C:8D:6A:3E:10",
    "address_type": "random",
    "rssi": -61,
    "companies": [76],
    "services": ["fcd2"],
    "times": 4,
}


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        flat = await made.flat()
        for name in (OWN, OTHER):
            await made.owner.execute(
                "INSERT INTO edge (municipality, name, home) VALUES ($1, $2, $3)",
                flat.municipality,
                name,
                flat.home,
            )
        yield made


@asynccontextmanager
async def listening(here: Office, where: OneDatabase, broker: Broker) -> AsyncGenerator[None]:
    """The stage ingest at the same hour as the office."""
    way: dict[str, Any] = {
        "broker_port": broker.gateway_port,
        "broker_password": GATEWAY_PASSWORD,
    }
    settings = Settings(database=where.address, production=False, **way)
    task = asyncio.create_task(run(settings, here.clock, Health()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def asks(technician: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await technician.post(f"/edges/{OWN}/discover", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def told(technician: httpx2.AsyncClient, command: str) -> dict[str, Any]:
    return (await technician.get(f"/edges/{OWN}/commands/{command}")).json()


async def answered(technician: httpx2.AsyncClient, command: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (found := await told(technician, command))["state"] == "waiting":  # noqa: ASYNC110 - no bell
            await asyncio.sleep(0.05)
    return found


async def heard(box: Client) -> dict[str, Any]:
    topic, payload = await asyncio.to_thread(box.heard.get, timeout=10)
    assert topic == COMMAND
    return json.loads(payload)


def reply(command: str, **said: Any) -> bytes:
    return json.dumps({"format": 1, "id": command, "error": None, "found": None} | said).encode()


async def test_a_box_is_asked_and_only_who_asked_is_told_by_that_box_and_for_an_hour(
    here: Office, fresh_database: OneDatabase, broker: Broker
) -> None:
    technician, colleague = await here.as_("technician"), await here.as_("technician")
    with connected(broker.port, OWN, OWN) as box, connected(broker.port, OTHER, OTHER) as other:
        box.subscribe(COMMAND)
        other.subscribe("#")
        async with listening(here, fresh_database, broker):
            command = (await asks(technician, seconds=45))["id"]
            asked = await heard(box)
            other.publish(f"edges/{OTHER}/reply", reply(command, found=[]))
            refused = other.publish(REPLY, reply(command, found=[]))
            still = await told(technician, command)
            name = SEEN | {"name": "Bents ur"}
            box.publish(REPLY, reply(command, found=[name]))
            found = await answered(technician, command)
            box.publish(REPLY, reply(command, found=[]))

        assert {topic for topic, _ in other.heard.queue if "command" in topic} == set()

    assert read_command(json.dumps(asked).encode()).id == command
    until = here.clock.now() + timedelta(seconds=60)
    assert asked == {
        "format": 1,
        "id": command,
        "do": "discover",
        "seconds": 45,
        "until": int(until.timestamp() * 1_000),
    }
    assert (refused, still["state"], still["found"]) == ("Not authorized", "waiting", None)
    assert (found["state"], found["found"]) == ("answered", [SEEN])
    path = f"/edges/{OWN}/commands/{command}"
    assert (await colleague.get(path)).status_code == 404
    assert (await technician.get(f"/edges/{OTHER}/commands/{command}")).status_code == 404

    here.clock.pass_(minutes=59, seconds=59)
    assert (await told(technician, command))["found"] == [SEEN]
    here.clock.pass_(seconds=1)
    assert (await technician.get(path)).status_code == 404
    await commands.sweep(here.owner, here.clock.now())
    assert await here.owner.fetchval("SELECT count(*) FROM command") == 0


async def test_a_command_is_not_retained_expires_and_is_told_again_until_it_is_answered(
    here: Office, fresh_database: OneDatabase, broker: Broker
) -> None:
    technician = await here.as_("technician")
    told_as: queue.Queue[paho.MQTTMessage] = queue.Queue()
    async with listening(here, fresh_database, broker):
        command = (await asks(technician))["id"]
        await asyncio.sleep(0.5)  # nobody is there
        with connected(broker.port, OWN, OWN) as box:
            box.client.on_message = lambda _c, _u, message: told_as.put(message)
            box.subscribe(COMMAND)
            message = await asyncio.to_thread(told_as.get, timeout=10)
            box.publish(REPLY, reply(command, error="busy"))
            found = await answered(technician, command)

    assert json.loads(message.payload)["id"] == command
    assert (message.qos, message.retain) == (1, False)
    expiry: Any = message.properties
    assert 0 < expiry.MessageExpiryInterval <= 60
    assert (found["state"], found["error"]) == ("refused", "busy")


async def test_a_box_that_answers_on_and_on_is_not_listened_to(
    here: Office, fresh_database: OneDatabase
) -> None:
    technician = await here.as_("technician")
    command = (await asks(technician))["id"]
    async with connect(Settings(database=fresh_database.address, production=False), "ingest") as db:
        takes = Commands(Duty(db), db, Subscriber(NOWHERE, "", ()), here.clock)
        said = Delivery(REPLY, reply(ANY_ID, found=[]), retained=False, number=1)
        for _ in range(20):
            await takes.take(said)
        await takes.take(said._replace(payload=reply(command, found=[])))
        late = await told(technician, command)
        of_other = (await technician.post(f"/edges/{OTHER}/discover", json={})).json()["id"]
        payload = reply(of_other, found=[])
        await takes.take(said._replace(topic=f"edges/{OTHER}/reply", payload=payload))
        other = (await technician.get(f"/edges/{OTHER}/commands/{of_other}")).json()

    assert (late["state"], other["state"]) == ("waiting", "answered")


async def test_a_box_that_does_not_answer_is_told_of_as_such(here: Office) -> None:
    technician = await here.as_("technician")
    command = (await asks(technician, seconds=10))["id"]

    here.clock.pass_(seconds=60 + 10 + 29)
    waiting = await told(technician, command)
    here.clock.pass_(seconds=1)

    assert waiting["state"] == "waiting"
    assert (await told(technician, command))["state"] == "no_answer"


async def test_a_discovery_has_bounds(here: Office) -> None:
    technician = await here.as_("technician")

    for seconds, status in ((9, 422), (10, 202), (120, 202), (121, 422)):
        answer = await technician.post(f"/edges/{OWN}/discover", json={"seconds": seconds})
        assert answer.status_code == status


WHO: Sequence[tuple[Role, dict[str, Any], int]] = (
    ("administrator", {}, 202),
    ("technician", {"districts": ["Syd"]}, 404),
    ("technician", {"within": "Odense"}, 404),
    ("planner", {}, 403),
    ("robot", {}, 403),
)


async def test_only_who_mends_boxes_there_asks_them(here: Office) -> None:
    for role, whose, status in WHO:
        client = await here.as_(role, **whose)
        answer = await client.post(f"/edges/{OWN}/discover", json={})
        assert answer.status_code == status, (role, whose)


async def test_a_box_that_leaves_the_home_takes_nothing_of_it_along(here: Office) -> None:
    technician = await here.as_("technician")
    await asks(technician)
    for word in ("device.silent", "radio.silent"):
        await here.owner.execute(
            "INSERT INTO box_event (municipality, edge, occurred, received, clock, word)"
            " SELECT municipality, id, $1, $1, 0, $2 FROM edge WHERE name = $3",
            here.clock.now(),
            word,
            OWN,
        )

    await here.owner.execute("UPDATE edge SET home = NULL WHERE name = $1", OWN)

    assert await here.owner.fetchval("SELECT count(*) FROM command") == 0
    assert await here.owner.fetchval("SELECT array_agg(word) FROM box_event") == ["radio.silent"]


ANY_ID = "61e3ea57-d967-4238-9b28-8a1401c1e7aa"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b"x" * 40_000,
        reply("no id"),
        reply(ANY_ID, format=2),
        reply(ANY_ID, error="Ja tak"),
        reply(ANY_ID, found=[SEEN] * 51),
        reply(ANY_ID, found=[SEEN | {"address": "Bents ur"}]),
        reply(ANY_ID, found=[SEEN | {"companies": [70_000]}]),
        reply(ANY_ID, found=[SEEN | {"services": ["Bents ur"]}]),
    ],
)
def test_an_answer_that_is_none_is_refused_without_telling_what_was_in_it(said: bytes) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        read_reply(said)


def test_an_answer_is_read_without_what_else_it_tells() -> None:
    public = uuid4()

    found = read_reply(reply(str(public), found=[SEEN | {"name": "Bents ur"}], more=1))

    assert found.id == UUID(str(public))
    assert found.found is not None
    assert [one.model_dump() for one in found.found] == [SEEN]

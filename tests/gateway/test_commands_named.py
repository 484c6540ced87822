"""What a box is asked by name reaches it by its own connection, once, and its answer who asked."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest

from deploy.runtime.services import Broker, OneDatabase
from gateway.ingest.commands import read_reply
from gateway.store.caller import Role
from gateway.store.commands import TERMS, Word
from gateway.web.deeds import WHAT
from tests.deploy.mqtt import Client, connected
from tests.gateway.ingest_home import state
from tests.gateway.office import Office, office
from tests.gateway.test_commands import COMMAND, OWN, REPLY, answered, heard, listening, reply, told

PLACE = "config.devices[0].lane: not one of urgent, bulk"
PLACED, NEIGHBOUR = "A4:C1:38:00:00:01", "C0:FF:EE:00:00:01"
WHO: Sequence[tuple[Role, dict[str, Any], int]] = (
    ("administrator", {}, 202),
    ("technician", {}, 202),
    ("technician", {"districts": ["Syd"]}, 404),
    ("technician", {"within": "Odense"}, 404),
    ("staff", {}, 403),
    ("planner", {}, 403),
    ("robot", {}, 403),
)


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        flat = await made.flat()
        await made.owner.execute(
            "INSERT INTO edge (municipality, name, home) VALUES ($1, $2, $3)",
            flat.municipality,
            OWN,
            flat.home,
        )
        yield made


async def test_each_word_has_its_terms_and_its_deed_in_danish() -> None:
    assert set(TERMS) == set(get_args(Word))
    for terms in TERMS.values():
        assert terms.least <= terms.usual <= terms.most
        assert {terms.asked, terms.seen} <= WHAT.keys()


@pytest.mark.parametrize("do", ["rescan", "identify", "send_log", "restart"])
async def test_a_box_is_told_the_word_and_its_answer_is_told_to_who_asked(
    here: Office, fresh_database: OneDatabase, broker: Broker, do: Word
) -> None:
    technician, colleague = await here.as_("technician"), await here.as_("technician")
    with connected(broker.port, OWN, OWN) as box:
        box.subscribe(COMMAND)
        async with listening(here, fresh_database, broker):
            made = await technician.post(f"/edges/{OWN}/commands", json={"do": do})
            command = made.json()["id"]
            asked = await heard(box)
            box.publish(REPLY, reply(command, did={"heard": True, "after_seconds": 2.5}))
            found = await answered(technician, command)

    until = here.clock.now() + timedelta(seconds=60)
    assert asked == {
        "format": 1,
        "id": command,
        "do": do,
        "seconds": TERMS[do].usual,
        "until": int(until.timestamp() * 1_000),
    }
    assert (found["state"], found["did"]) == ("answered", {"heard": True, "after_seconds": 2.5})
    assert (await colleague.get(f"/edges/{OWN}/commands/{command}")).status_code == 404


async def test_a_log_is_shown_without_addresses_that_are_not_placed_there(
    here: Office, fresh_database: OneDatabase, broker: Broker
) -> None:
    technician = await here.as_("technician")
    log = f"WARNING edge: {NEIGHBOUR} hørt\nINFO edge: c0-ff-ee-00-00-01\x00\x1b[2J"
    with connected(broker.port, OWN, OWN) as box:
        box.subscribe(COMMAND)
        async with listening(here, fresh_database, broker):
            made = await technician.post(f"/edges/{OWN}/commands", json={"do": "send_log"})
            command = made.json()["id"]
            await heard(box)
            box.publish(REPLY, reply(command, log=log))
            found = await answered(technician, command)

    assert found["log"] == "WARNING edge: … hørt\nINFO edge: …\ufffd\ufffd[2J"
    assert await here.owner.fetchval(
        "SELECT count(*) FROM access_log WHERE what = $1", "box.log_seen"
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"do": "identify", "seconds": 5}, 202),
        ({"do": "identify", "seconds": 4}, 422),
        ({"do": "rescan", "seconds": 9}, 422),
        ({"do": "send_log", "seconds": 61}, 422),
        ({"do": "restart", "seconds": 121}, 422),
        ({"do": "reboot"}, 422),
        ({"do": "update"}, 422),
        ({"do": "/bin/sh"}, 422),
        ({}, 422),
    ],
)
async def test_what_is_not_one_of_the_words_or_takes_too_long_is_refused(
    here: Office, body: dict[str, Any], status: int
) -> None:
    technician = await here.as_("technician")

    answer = await technician.post(f"/edges/{OWN}/commands", json=body)

    assert answer.status_code == status
    assert await here.owner.fetchval("SELECT count(*) FROM command") == (status == 202)


async def test_only_who_mends_boxes_there_asks_them_and_each_asking_is_in_the_log(
    here: Office,
) -> None:
    for role, whose, status in WHO:
        client = await here.as_(role, **whose)
        answer = await client.post(f"/edges/{OWN}/commands", json={"do": "restart"})
        assert answer.status_code == status, (role, whose)

    rows = await here.owner.fetch("SELECT what, citizen FROM access_log WHERE what LIKE 'box.%'")
    assert [(row["what"], row["citizen"] is not None) for row in rows] == [
        ("box.restarted", True)
    ] * 2


ANY = "6f1f9a2c-43f5-4a0e-9d0c-2f5a5b1e8c01"


@pytest.mark.parametrize(
    "said",
    [
        reply(ANY, did=[]),
        reply(ANY, did={"Bents ur": 1}),
        reply(ANY, did={"heard": "Bents ur"}),
        reply(ANY, did={"heard": {"a": 1}}),
        reply(ANY, did={f"n{number}": number for number in range(9)}),
        reply(ANY, did={"heard": 10**400}),
        reply(ANY, did={"heard": float("nan")}),
        reply(ANY, log=7),
        reply(ANY, log="x" * 24_577),
    ],
)
def test_an_answer_that_tells_more_than_it_may_is_none(said: bytes) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        read_reply(said)


def test_the_longest_log_fits_the_table() -> None:
    whole = {"format": 1, "id": ANY, "log": "å" * 12_000}
    said = read_reply(json.dumps(whole, ensure_ascii=False).encode())

    assert said.answer().log == "å" * 12_000
    limit = re.search(r"length\(log\) <= (\d+)", _migration())
    assert limit is not None
    assert int(limit[1]) >= 24_576


def _migration() -> str:
    folder = Path(__file__).parents[2] / "gateway/store/migrations"
    return (folder / "0025_commands.sql").read_text()


async def test_a_box_that_refuses_its_configuration_is_shown_with_why_until_it_follows_one(
    here: Office, fresh_database: OneDatabase, broker: Broker
) -> None:
    technician = await here.as_("technician")

    async def shown(box: Client, said: str | None, why: str | None) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while (found := await _edge(technician))["refused"] != why:
                box.publish(f"edges/{OWN}/state", state("running", refused=said))
                await asyncio.sleep(0.3)
        return found

    with connected(broker.port, OWN, OWN) as box:
        async with listening(here, fresh_database, broker):
            refused = await shown(box, PLACE, PLACE)
            await shown(box, "x" * 300 + "\n", "x" * 200)
            mended = await shown(box, None, None)

    assert "config_refused" in refused["faults"]
    assert "config_refused" not in mended["faults"]


async def _edge(client: httpx2.AsyncClient) -> dict[str, Any]:
    return (await client.get(f"/edges/{OWN}")).json()


async def test_an_answer_without_news_stays_as_before(here: Office) -> None:
    technician = await here.as_("technician")
    made = await technician.post(f"/edges/{OWN}/commands", json={"do": "identify"})

    waiting = await told(technician, made.json()["id"])

    assert {name: waiting[name] for name in ("state", "found", "did", "log", "error")} == {
        "state": "waiting"
    } | dict.fromkeys(("found", "did", "log", "error"))
    assert json.dumps(waiting)

"""API keys: bounded, shown once, renewed without a gap, ended."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.purposes import PURPOSES
from gateway.web.board import pages
from tests.gateway.office import Office, office
from tests.gateway.test_people import people


@pytest.fixture
async def here(
    fresh_database: OneDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Office]:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    monkeypatch.setenv("GATEWAY_PRODUCTION", "false")
    async with office(fresh_database, tmp_path, pages) as made:
        await made.flat()
        await made.flat(district="Syd", name="Ove Lund")
        yield made


async def made(administrator: httpx2.AsyncClient, **wanted: Any) -> dict[str, str]:
    answer = await administrator.post("/keys", json={"name": "Omsorgssystem", **wanted})
    assert answer.status_code == 201, answer.text
    return answer.json()


def program(here: Office, secret: str) -> httpx2.AsyncClient:
    return here.client(headers={"Authorization": f"Bearer {secret}"})


async def test_a_key_is_told_once_and_kept_as_a_digest(here: Office) -> None:
    administrator = await here.as_("administrator")

    key = await made(administrator)

    listed = (await administrator.get("/keys")).json()["keys"]
    rows = [tuple(map(str, row)) for row in await here.owner.fetch("SELECT * FROM api_key")]
    assert key["secret"].startswith("tg_")
    assert listed[0]["id"] == key["id"]
    assert key["secret"] not in json.dumps(listed)
    assert not any(key["secret"] in value for row in rows for value in row)
    assert (await program(here, key["secret"]).get("/session")).json()["role"] == "robot"


async def test_a_key_ends_after_ninety_days_if_nothing_is_said_and_never_after_400(
    here: Office,
) -> None:
    administrator = await here.as_("administrator")
    key = await made(administrator)

    refused = await administrator.post("/keys", json={"name": "for ever", "days": 401})

    robot = program(here, key["secret"])
    here.clock.pass_(days=89)
    before = await robot.get("/session")
    here.clock.pass_(days=1)
    assert refused.status_code == 422
    assert (before.status_code, (await robot.get("/session")).status_code) == (200, 401)


async def test_a_key_sees_only_its_districts(here: Office) -> None:
    key = await made(await here.as_("administrator"), districts=["Syd"])

    homes = (await program(here, key["secret"]).get("/homes")).json()["homes"]

    assert [home["district"] for home in homes] == ["Syd"]


async def test_a_key_does_only_what_its_classes_allow(here: Office) -> None:
    key = await made(await here.as_("administrator"), classes=["home", "citizen"])
    robot = program(here, key["secret"])

    assert (await robot.get("/homes")).status_code == 200
    assert (await robot.get("/alerts")).status_code == 403
    assert (await robot.get("/devices")).status_code == 403


async def test_a_keys_purpose_stands_beside_its_looks(here: Office) -> None:
    administrator = await here.as_("administrator")
    key = await made(administrator, purpose="planning", note="Statistik, sag 24/117")

    await program(here, key["secret"]).get("/homes")

    purposes = await here.owner.fetch(
        "SELECT DISTINCT purpose FROM access_log WHERE role = 'robot'"
    )
    assert [row["purpose"] for row in purposes] == ["planning"]
    (told,) = [
        one for one in (await administrator.get("/keys")).json()["keys"] if one["id"] == key["id"]
    ]
    assert (told["purpose"], told["note"]) == ("planning", "Statistik, sag 24/117")


@pytest.mark.parametrize("purpose", [*PURPOSES, ""])
async def test_a_key_may_be_for_every_purpose_of_the_list(here: Office, purpose: str) -> None:
    await made(await here.as_("administrator"), purpose=purpose)


async def test_another_purpose_is_refused_with_the_list(here: Office) -> None:
    administrator = await here.as_("administrator")

    answer = await administrator.post("/keys", json={"name": "tal", "purpose": "sag 24/117"})

    assert answer.status_code == 422
    assert all(purpose in answer.text for purpose in PURPOSES)
    assert await here.owner.fetchval("SELECT count(*) FROM api_key") == 1, "the asker's own"


async def test_a_key_tells_when_it_was_last_used(here: Office) -> None:
    administrator = await here.as_("administrator")
    key = await made(administrator)
    before = (await administrator.get("/keys")).json()["keys"][0]["last_used"]

    here.clock.pass_(hours=1)
    await program(here, key["secret"]).get("/session")

    after = (await administrator.get("/keys")).json()["keys"][0]["last_used"]
    assert before is None
    assert datetime.fromisoformat(after) == here.clock.now()


async def test_a_rotated_key_opens_with_both_secrets_for_a_week_and_then_with_the_new_one(
    here: Office,
) -> None:
    administrator = await here.as_("administrator")
    key = await made(administrator)
    old = program(here, key["secret"])

    async def ask() -> list[int]:
        return [(await old.get("/session")).status_code for _ in range(20)]

    asking = asyncio.create_task(ask())
    rotated = (await administrator.post(f"/keys/{key['id']}/rotate")).json()
    answers = await asking
    new = program(here, rotated["secret"])
    at_once = (await old.get("/session")).status_code, (await new.get("/session")).status_code
    here.clock.pass_(days=7)

    after = (await old.get("/session")).status_code, (await new.get("/session")).status_code
    assert answers == [200] * 20
    assert rotated["id"] == key["id"]
    assert (at_once, after) == ((200, 200), (401, 200))


async def test_an_ended_key_opens_with_neither_secret_and_is_not_renewed(here: Office) -> None:
    administrator = await here.as_("administrator")
    key = await made(administrator)
    rotated = (await administrator.post(f"/keys/{key['id']}/rotate", json={"days": 30})).json()

    ended = await administrator.delete(f"/keys/{key['id']}")

    both = [program(here, secret) for secret in (key["secret"], rotated["secret"])]
    assert ended.status_code == 204
    assert [(await one.get("/session")).status_code for one in both] == [401, 401]
    assert (await administrator.post(f"/keys/{key['id']}/rotate")).status_code == 404


async def test_keys_are_an_administrators_and_of_their_own_municipality(here: Office) -> None:
    key = await made(await here.as_("administrator"))
    foreign = await here.as_("administrator", within="Odense")

    assert key["id"] not in {one["id"] for one in (await foreign.get("/keys")).json()["keys"]}
    assert (await foreign.post(f"/keys/{key['id']}/rotate")).status_code == 404
    assert (await foreign.delete(f"/keys/{key['id']}")).status_code == 404
    strange = await foreign.post("/keys", json={"name": "x", "districts": ["Nord"]})
    assert strange.status_code == 422
    for role in ("staff", "planner", "leader", "robot"):
        assert (await (await here.as_(role)).get("/keys")).status_code == 403


async def test_an_administrator_of_one_district_gives_away_no_more_than_that(here: Office) -> None:
    confined = await here.as_("administrator", districts=["Nord"])

    key = await made(confined)
    refused = await confined.post("/keys", json={"name": "x", "districts": ["Syd"]})

    homes = (await program(here, key["secret"]).get("/homes")).json()["homes"]
    assert {home["district"] for home in homes} == {"Nord"}
    assert refused.status_code == 422
    mapping = {"claim": "groups", "value": "a", "role": "administrator"}
    assert (await confined.post("/sign-in/mapping", json=mapping)).status_code == 403


async def test_the_database_itself_keeps_hashes_and_foreign_keys_from_the_api(here: Office) -> None:
    await made(await here.as_("administrator"))

    assert await here.pool.fetch("SELECT public FROM api_key") == []
    assert await here.pool.fetch("SELECT public FROM session") == []
    for forbidden in (
        "SELECT hash FROM api_key",
        "SELECT old_hash FROM api_key",
        "SELECT hash FROM session",
        "SELECT password_hash FROM person",
        "UPDATE person SET password_hash = 'x'",
        "UPDATE api_key SET expires = expires",
        "INSERT INTO session (hash, municipality) SELECT '\\x00', 1",
    ):
        with pytest.raises(Exception, match="permission denied"):
            await here.pool.execute(forbidden)


async def test_the_commands_list_and_renew_too(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    here.clock.moment = datetime.now(here.clock.moment.tzinfo)
    words = ("--municipality", "Kalundborg", "--login", "stat", "--role", "robot", "--key")
    for_what = ("--purpose", "audit", "--note", "tal")
    await people("add", *words, "--class", "home", "--name", "Statistik", *for_what)
    old = capsys.readouterr().out.strip()
    await people("keys", "--municipality", "Kalundborg")
    line = capsys.readouterr().out
    ended = await people("rotate", "--municipality", "Kalundborg", "--key", line.split()[0])
    new = capsys.readouterr().out.strip()
    unknown = await people("rotate", "--municipality", "Kalundborg", "--key", "0" * 32)

    assert "Statistik  robot  all districts  only home  until " in line
    assert "never used  for audit  tal" in line
    assert (ended, unknown) == (0, 1)
    for secret in (old, new):
        assert (await program(here, secret).get("/homes")).status_code == 200
        assert (await program(here, secret).get("/alerts")).status_code == 403


async def test_the_mapping_is_edited_by_the_api_and_by_the_command(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    administrator = await here.as_("administrator")
    line = {"claim": "groups", "value": "nurses", "role": "staff", "districts": ["Nord"]}

    first = (await administrator.post("/sign-in/mapping", json=line)).json()["id"]
    await administrator.post("/sign-in/mapping", json={**line, "districts": None})
    listed = (await administrator.get("/sign-in/mapping")).json()["lines"]
    gone = await administrator.delete(f"/sign-in/mapping/{first}")
    where = ("--municipality", "Kalundborg")
    await people("map", *where, "--claim", "groups", "--value", "it", "--role", "technician")
    shown = capsys.readouterr().out
    robot = await administrator.post("/sign-in/mapping", json={**line, "role": "robot"})

    assert [(one["value"], one["districts"]) for one in listed] == [("nurses", None)]
    assert gone.status_code == 404  # the second line took the first one's place
    assert "groups=it  technician  all districts" in shown
    assert "groups=nurses  staff  all districts" in shown
    assert robot.status_code == 422
    assert (await (await here.as_("leader")).get("/sign-in/mapping")).status_code == 403

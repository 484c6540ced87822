"""Emergency opening: a reason, an hour, a row in the log, and a leader who follows it up."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.caller import ROLES
from tests.gateway.office import Flat, Office, office

REASON = "Vagten i Syd svarer ikke, og hun har kaldt"


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def opened(staff: httpx2.AsyncClient, flat: Flat) -> Any:
    return await staff.post(
        "/emergencies", json={"citizen": str(flat.citizen_public), "reason": REASON}
    )


async def test_an_opened_citizen_is_seen_for_an_hour_by_who_opened_and_by_nobody_else(
    here: Office,
) -> None:
    south = await here.flat(district="Syd", name="Ingrid")
    alert = await here.alert(south)
    anna = await here.as_("staff", districts=["Nord"])
    bo = await here.as_("staff", districts=["Nord"])
    before = await anna.get(f"/alerts/{alert}")

    answer = await opened(anna, south)

    seen = await anna.get(f"/alerts/{alert}")
    assert (before.status_code, answer.status_code, seen.status_code) == (404, 201, 200)
    assert seen.json()["citizen"]["name"] == "Ingrid"
    assert (await bo.get(f"/alerts/{alert}")).status_code == 404
    taken = await anna.post(f"/alerts/{alert}/take")
    assert taken.status_code == 200
    here.clock.pass_(minutes=60)
    assert (await anna.get(f"/alerts/{alert}")).status_code == 404
    assert (await anna.get("/emergencies")).json()["emergencies"] == []


async def test_it_is_logged_and_the_leader_follows_it_up_once(here: Office) -> None:
    south = await here.flat(district="Syd")
    anna = await here.as_("staff", districts=["Nord"])
    leader = await here.as_("leader", districts=["Syd"])
    other = await here.as_("leader", districts=["Nord"])
    made = (await opened(anna, south)).json()

    (listed,) = (await leader.get("/emergencies")).json()["emergencies"]
    place = f"/emergencies/{made['id']}/follow-up"
    said = {"text": "Talt med Anna, det var rigtigt"}
    elsewhere = await other.post(place, json=said)
    by_staff = await anna.post(place, json=said)
    first, second = await leader.post(place, json=said), await leader.post(place, json=said)

    assert (listed["reason"], listed["followed"]) == (REASON, None)
    assert (elsewhere.status_code, by_staff.status_code) == (404, 403)
    assert (first.status_code, second.status_code) == (200, 409)
    assert first.json()["followed_text"] == said["text"]
    rows = await here.owner.fetch("SELECT what, citizen FROM access_log ORDER BY id")
    assert [row["what"] for row in rows] == [
        "emergency.opened",
        "emergencies.listed",
        "emergency.followed_up",
    ]
    assert {row["citizen"] for row in rows} == {south.citizen}


async def test_only_staff_and_clinical_owners_open_and_only_their_own_municipalitys_citizens(
    here: Office,
) -> None:
    south, away = await here.flat(district="Syd"), await here.flat(within="Odense")
    answers = {
        role: (await opened(await here.as_(role, districts=["Nord"]), south)).status_code
        for role in ROLES
    }
    anna = await here.as_("staff", districts=["Nord"])
    foreign = await opened(anna, away)
    unknown = await anna.post("/emergencies", json={"citizen": str(uuid4()), "reason": REASON})
    short = await anna.post(
        "/emergencies", json={"citizen": str(south.citizen_public), "reason": "haster"}
    )

    assert {role for role, status in answers.items() if status == 201} == {
        "staff",
        "clinical_owner",
    }
    assert set(answers.values()) == {201, 403}
    assert (foreign.status_code, unknown.status_code, short.status_code) == (404, 404, 422)
    assert foreign.content == unknown.content

"""Names are sealed in the database, and read wherever they may be shown."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.caller import UNREADABLE
from gateway.store.seal import MARK
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, Flat, Office, office
from tests.gateway.registers import file, row


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        await made.district("Nord")
        yield made


async def only_citizen(here: Office) -> Flat:
    found = await here.owner.fetchrow(
        "SELECT c.municipality, c.district, c.home, h.public AS home_public, c.id AS citizen, "
        "c.public AS citizen_public FROM citizen c JOIN home h ON h.id = c.home"
    )
    assert found is not None
    return Flat(**dict(found))


async def kept(here: Office) -> list[Any]:
    rows = await here.owner.fetch("SELECT * FROM identity.citizen")
    return [value for one in rows for value in one.values() if isinstance(value, str) and value]


async def test_what_is_sealed_is_read_on_the_board_and_in_every_answer(here: Office) -> None:
    planner, staff = await here.as_("planner"), await here.as_("staff")
    await planner.post("/imports", content=file(row(1)))
    flat = await only_citizen(here)
    here.clock.pass_(minutes=30)
    await here.alert(flat)
    await here.login("anna")
    browser = here.client(headers={"Sec-Fetch-Site": "same-origin"})
    await browser.post("/login", data={"login": "anna", "password": PASSWORD})

    board = (await browser.get("/")).text
    one = f"/citizens/{flat.citizen_public}"
    texts = [
        (await staff.get(path)).text
        for path in (
            "/alerts",
            "/homes",
            "/devices",
            "/citizens",
            one,
        )
    ]

    assert all(value.startswith(MARK) for value in await kept(here))
    for text in (board, *texts):
        assert "Borger Nummer 1" in text
        assert MARK not in text
    assert "Skovvej 1, 4400 Kalundborg" in board


async def test_who_moves_in_by_the_api_is_sealed_too(here: Office) -> None:
    planner = await here.as_("planner")
    citizen = {"name": "Inger Holm", "address": "Skovvej 4", "phone": "12345678", "entry": "Nøgle"}

    made = await planner.post("/homes", json={"district": "Nord", "citizens": [citizen]})

    assert made.json()["citizens"][0]["name"] == "Inger Holm"
    assert len(await kept(here)) == 4
    assert all(value.startswith(MARK) for value in await kept(here))


async def test_a_call_is_told_also_when_no_key_opens_the_name(here: Office) -> None:
    flat = await here.flat(name=f"{MARK}lost:{'A' * 60}")
    await here.alert(flat)

    answer = await (await here.as_("staff")).get("/alerts")

    whole = await (await here.as_("planner")).get("/register.csv")
    assert (whole.status_code, whole.json()["type"]) == (503, "/problems/unsealable")
    (alert,) = answer.json()["alerts"]
    assert alert["citizen"]["name"] == UNREADABLE
    assert alert["reason"] == "Trykket kl. 20.57 i stuen"


async def test_a_name_moved_to_another_citizen_is_not_shown_as_theirs(here: Office) -> None:
    planner = await here.as_("planner")
    await planner.post("/imports", content=file(row(1), row(2)))
    await here.owner.execute(
        "UPDATE identity.citizen SET name = (SELECT name FROM identity.citizen ORDER BY citizen "
        "LIMIT 1)"
    )

    homes = (await planner.get("/homes")).json()["homes"]

    names = sorted(home["citizens"][0]["name"] for home in homes)
    assert names == [UNREADABLE, "Borger Nummer 1"]

"""Rows in which all is new come in together: still each whole or not at all, and in its order."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.register.many import MOST
from tests.gateway.office import Office, office
from tests.gateway.registers import brought, everything, file, row, taken_back


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        await made.district("Nord")
        yield made


async def test_one_that_the_database_refuses_takes_no_other_with_it(here: Office) -> None:
    away = await here.flat(district="Syd")
    technician, planner = (
        await here.as_("technician"),
        await here.as_("planner", districts=["Nord"]),
    )
    address = "A4:C1:38:00:09:02"
    device = (await technician.post("/devices", json={"address": address})).json()["id"]
    wanted = {"citizen": str(away.citizen_public), "role": "door", "legal_basis": "samtykke"}
    placed = await technician.post(f"/devices/{device}/placements", json=wanted)
    body = file(row(1), row(2, enhed=address), row(3))

    answer = (await planner.post("/imports", content=body)).json()
    again = (await planner.post("/imports", content=body)).json()

    assert placed.status_code == 201
    assert [one["state"] for one in answer["rows"]] == ["new", "refused", "new"]
    assert [one["state"] for one in again["rows"]] == ["same", "refused", "same"]
    homes = await here.owner.fetch("SELECT reference FROM home WHERE reference IS NOT NULL")
    assert {one["reference"] for one in homes} == {"B1", "B3"}


async def test_rows_that_lean_on_each_other_keep_their_order(here: Office) -> None:
    before = await everything(here)
    body = file(
        row(1),
        row(2, bolig="B1", enhed=""),  # has a role without a device
        row(3, enhed="A4:C1:38:00:01:01"),  # row 1's device
        row(4, fra="01-01-2099"),
        row(5, bolig="B1", rolle="", hjemmel="", rum="", enhed=""),  # moves in with row 1
        row(6, fra="01-02-2026", til="01-03-2026"),
        row(7, adgang="", pårørende=""),
    )

    report = await brought(here, body)
    again = await brought(here, body)
    states = [one.state for one in report.outcomes]
    homes = await here.owner.fetchval("SELECT count(*) FROM home")
    await taken_back(here, report.public)

    assert states == ["new", "refused", "refused", "refused", "new", "new", "new"]
    assert [one.line for one in report.outcomes] == list(range(2, 9))
    assert [one.state for one in again.outcomes] == [
        "same" if state == "new" else state for state in states
    ]
    assert again.public is None
    assert homes == 3
    assert await everything(here) == before


async def test_more_than_come_in_together_come_in(here: Office) -> None:
    count = 2 * MOST + 1
    rows = [
        row(number, enhed=f"A4:C1:38:00:{number >> 8:02X}:{number & 255:02X}", telefon="12345678")
        for number in range(1, count + 1)
    ]

    report = await brought(here, file(*rows))

    assert (report.count("new"), report.count("refused")) == (count, 0)
    assert await here.owner.fetchval("SELECT count(*) FROM placement") == count
    wrong = await here.owner.fetchval(
        "SELECT count(*) FROM citizen c JOIN home h ON h.id = c.home "
        "WHERE substr(c.reference, 2) <> substr(h.reference, 2)"
    )
    assert wrong == 0

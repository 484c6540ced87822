"""The one table of rights: told to programs, shown to people, and kept by the routes."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.api.rights import RIGHTS
from gateway.store.rights import CLASSES, LEVELS, ROLES, may
from gateway.web.board import pages
from gateway.web.rights import CLASS
from tests.gateway.office import PASSWORD, Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


async def test_programs_are_told_the_whole_table(here: Office) -> None:
    told = (await (await here.as_("technician")).get("/rights")).json()

    assert told["role"] == "technician"
    assert {
        (role, kind): level for role, them in told["rights"].items() for kind, level in them.items()
    } == LEVELS


async def test_people_are_shown_it_in_danish(here: Office) -> None:
    await here.login("anna")
    browser = here.client(headers={"Accept": "text/html"})
    await browser.post("/login", data={"login": "anna", "password": PASSWORD})

    page = await browser.get("/rettigheder")

    assert page.status_code == 200
    assert all(name in page.text for name in CLASS.values())
    assert page.text.count("<td") == len(ROLES) * len(CLASSES)
    assert "Du handler som plejepersonale." in page.text


def test_a_planner_sees_workload_not_pulse_and_a_technician_signal_not_names() -> None:
    assert may("planner", "workload", "reading")
    assert not may("planner", "observation", "pseudonym")
    assert may("technician", "signal", "all")
    assert not may("technician", "identity", "pseudonym")


def test_no_route_lets_in_a_role_that_the_table_does_not() -> None:
    assert RIGHTS["GET /devices/{public}/observations"].roles == {
        role for role in ROLES if may(role, "observation", "reading")
    }
    assert not any(right.roles and right.anyone for right in RIGHTS.values())


async def test_a_planner_is_refused_what_devices_said_of_a_citizen(here: Office) -> None:
    device = (await here.device())["public"]

    answer = await (await here.as_("planner")).get(f"/devices/{device}/observations")

    assert answer.status_code == 403

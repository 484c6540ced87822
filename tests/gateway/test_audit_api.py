"""Who may read the access log, by the API and on the page, and that each row says what for."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.caller import ROLES, Role
from gateway.store.purposes import PURPOSES, USUAL
from gateway.web.audit import PATH, PURPOSE, ROLE
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, Flat, Office, office

NOBODY = "49245c8a-a6c4-4d76-bcd7-963ce4932bd8"
"""Names nobody; always the same, since two workers must collect the same tests."""


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


async def seen_by_staff(here: Office, flat: Flat, districts: list[str]) -> httpx2.AsyncClient:
    """Somebody who has seen the citizen's alert."""
    alert = await here.alert(flat)
    staff = await here.as_("staff", districts=districts)
    assert (await staff.get(f"/alerts/{alert}")).status_code == 200
    return staff


def whats(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [look["what"] for look in answer.json()["looks"]]


async def test_an_auditor_sees_who_saw_a_citizen_and_what_for(here: Office) -> None:
    flat = await here.flat()
    await seen_by_staff(here, flat, ["Nord"])

    answer = await (await here.as_("auditor")).get(f"/log?citizen={flat.citizen_public}")

    assert whats(answer) == ["alert.seen"]
    look = answer.json()["looks"][0]
    assert (look["role"], look["purpose"]) == ("staff", "care")
    assert look["citizen"] == str(flat.citizen_public)
    assert look["person"]["login"].startswith("staff")


async def test_reading_the_log_is_a_look_as_well(here: Office) -> None:
    flat = await here.flat()
    auditor = await here.as_("auditor")
    await auditor.get(f"/log?citizen={flat.citizen_public}")

    again = await auditor.get(f"/log?citizen={flat.citizen_public}")

    assert whats(again) == ["log.seen"]


async def test_a_leader_sees_the_looks_at_their_own_districts(here: Office) -> None:
    north, south = await here.flat(district="Nord"), await here.flat(district="Syd")
    for flat in (north, south):
        await seen_by_staff(here, flat, [])
    leader = await here.as_("leader", districts=["Nord"])

    assert whats(await leader.get(f"/log?citizen={north.citizen_public}")) == ["alert.seen"]
    assert (await leader.get(f"/log?citizen={south.citizen_public}")).status_code == 404


async def test_of_a_colleague_a_leader_sees_only_what_was_in_their_own_districts(
    here: Office,
) -> None:
    north, south = await here.flat(district="Nord"), await here.flat(district="Syd")
    staff = await here.as_("staff")
    for flat in (north, south):
        await staff.get(f"/alerts/{await here.alert(flat)}")
    person = await here.owner.fetchval("SELECT public FROM person WHERE login LIKE 'staff%'")

    answer = await (await here.as_("leader", districts=["Nord"])).get(f"/log?person={person}")
    whole = await (await here.as_("auditor")).get(f"/log?person={person}")

    assert [look["citizen"] for look in answer.json()["looks"]] == [str(north.citizen_public)]
    assert len(whole.json()["looks"]) == 2


@pytest.mark.parametrize("role", [role for role in ROLES if role not in {"auditor", "leader"}])
async def test_everybody_else_sees_their_own_looks_and_no_others(here: Office, role: Role) -> None:
    flat = await here.flat()
    await seen_by_staff(here, flat, [])
    other = await here.owner.fetchval("SELECT public FROM person WHERE login LIKE 'staff%'")
    asks = await here.as_(role)
    await asks.get("/homes")

    own = await asks.get("/log?person=me")

    assert set(whats(own)) <= {"homes.listed"}
    for foreign in (f"citizen={flat.citizen_public}", f"person={other}", f"person={uuid4()}"):
        answer = await asks.get(f"/log?{foreign}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_another_municipality_is_not_there(here: Office) -> None:
    flat = await here.flat()
    await seen_by_staff(here, flat, [])
    person = await here.owner.fetchval("SELECT public FROM person WHERE login LIKE 'staff%'")
    foreign = await here.as_("auditor", within="Næstved")

    answers = [
        await foreign.get(f"/log?{asked}")
        for asked in (
            f"citizen={flat.citizen_public}",
            f"citizen={uuid4()}",
            f"person={person}",
            f"person={uuid4()}",
        )
    ]

    assert {(answer.status_code, answer.text) for answer in answers} == {
        (404, answers[0].text),
    }


async def test_a_long_log_is_read_in_parts(here: Office) -> None:
    flat = await here.flat()
    await here.owner.execute(
        "INSERT INTO access_log (municipality, at, citizen, what) "
        "SELECT $1, $2, $3, 'n' || n FROM generate_series(1, 7) AS n",
        flat.municipality,
        here.clock.now(),
        flat.citizen,
    )
    auditor = await here.as_("auditor")
    where, found = f"/log?citizen={flat.citizen_public}&limit=3", list[str]()

    answer = await auditor.get(where)
    found += whats(answer)
    while following := answer.json()["next"]:
        answer = await auditor.get(where, params={"after": following, "limit": "3"})
        answer = await auditor.get(f"{where}&after={following}")
        found += whats(answer)

    assert [what for what in found if what != "log.seen"] == [f"n{n}" for n in range(7, 0, -1)]


@pytest.mark.parametrize("after", ["x", "MjAyNg==", "2026", "MjAyNi0wMy0wMlQyMDowMDowMFogLTE="])
async def test_a_continuation_that_is_not_ours_is_refused(here: Office, after: str) -> None:
    answer = await (await here.as_("auditor")).get(f"/log?person=me&after={after}")

    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["", f"?person=me&citizen={NOBODY}"])
async def test_one_of_citizen_and_person_is_asked_for(here: Office, query: str) -> None:
    assert (await (await here.as_("auditor")).get(f"/log{query}")).status_code == 422


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_the_header_says_what_for(here: Office, purpose: str) -> None:
    flat = await here.flat()
    alert = await here.alert(flat)

    await (await here.as_("staff")).get(f"/alerts/{alert}", headers={"X-Purpose": purpose})

    assert await here.owner.fetchval("SELECT purpose FROM access_log") == purpose


async def test_a_purpose_that_is_not_on_the_list_is_refused(here: Office) -> None:
    answer = await (await here.as_("staff")).get("/alerts", headers={"X-Purpose": "curiosity"})

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/purpose")


async def test_a_key_is_for_its_own_purpose_and_no_other(here: Office) -> None:
    flat = await here.flat()
    alert = await here.alert(flat)
    robot = await here.as_("robot")
    await here.owner.execute("UPDATE api_key SET purpose = 'planning'")

    other = await robot.get(f"/alerts/{alert}", headers={"X-Purpose": "care"})
    await robot.get(f"/alerts/{alert}")

    assert other.status_code == 403
    assert await here.owner.fetch("SELECT purpose FROM access_log") == [("planning",)]


async def test_the_same_look_for_another_purpose_is_another_row(here: Office) -> None:
    alert = await here.alert(await here.flat())
    staff = await here.as_("staff")

    for purpose in ("care", "care", "access_request"):
        await staff.get(f"/alerts/{alert}", headers={"X-Purpose": purpose})

    assert await here.owner.fetchval("SELECT count(*) FROM access_log") == 2


async def test_the_page_shows_everybody_their_own_looks(here: Office) -> None:
    flat = await here.flat()
    await here.alert(flat)
    browser = await signed_in(here, "anna", "staff")
    await browser.get("/")

    page = await browser.get(PATH)

    assert page.status_code == 200
    assert "Hvem har set?" in page.text
    assert "Dine egne opslag" in page.text
    assert "så listen over alarmer" in page.text
    assert "Pleje og omsorg" in page.text
    assert "Borgerens id" not in page.text


async def test_the_page_shows_a_leader_who_saw_a_citizen(here: Office) -> None:
    flat = await here.flat()
    await seen_by_staff(here, flat, [])
    browser = await signed_in(here, "lone", "leader")

    page = await browser.get(PATH, params={"citizen": str(flat.citizen_public)})
    person = await browser.get(PATH, params={"login": "Staff1"})

    for shown in (page, person):
        assert shown.status_code == 200
        assert "så en alarm" in shown.text
        assert "Plejepersonale" in shown.text
        assert "Inger Holm" not in shown.text


@pytest.mark.parametrize("query", ["citizen=x", f"citizen={NOBODY}", "login=nobody", "login=lone"])
async def test_the_page_says_when_there_is_nothing_to_show(here: Office, query: str) -> None:
    await here.login("lone", "leader")
    browser = await signed_in(here, "anna", "staff")

    page = await browser.get(f"{PATH}?{query}")

    assert page.status_code == 404
    assert "Der er intet at vise dig her." in page.text


def test_every_role_and_purpose_has_its_danish_word() -> None:
    assert set(ROLE) == set(ROLES)
    assert {*PURPOSES, *USUAL.values()} <= set(PURPOSE)


async def signed_in(here: Office, login: str, role: Role) -> httpx2.AsyncClient:
    await here.login(login, role)
    browser = here.client()
    entered = await browser.post("/login", data={"login": login, "password": PASSWORD})
    assert entered.status_code == 303
    return browser

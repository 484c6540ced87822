"""Who has several roles acts in one at a time, sees where they are signed in, and leaves."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.store import keys, people
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        await made.login("anna", districts=["Nord"])
        await people.add_role(made.owner, "anna", "technician", None, create=False)
        yield made


async def browser_of(here: Office, login: str = "anna") -> httpx2.AsyncClient:
    browser = here.client()
    answer = await browser.post("/login", data={"login": login, "password": PASSWORD})
    assert answer.status_code == 303
    return browser


async def word(browser: httpx2.AsyncClient) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', (await browser.get("/konto")).text)
    assert found is not None
    return found.group(1)


async def act_as(browser: httpx2.AsyncClient, role: str) -> httpx2.Response:
    headers = {"X-CSRF-Token": await word(browser)}
    return await browser.post("/session/role", json={"role": role}, headers=headers)


async def test_a_person_with_two_roles_acts_in_one_at_a_time(here: Office) -> None:
    browser = await browser_of(here)
    as_staff = (await browser.get("/alerts")).status_code, (await browser.get("/edges")).status_code

    changed = await act_as(browser, "technician")

    as_technician = (
        (await browser.get("/alerts")).status_code,
        (await browser.get("/edges")).status_code,
    )
    who = (await browser.get("/session")).json()
    assert changed.status_code == 204
    assert (as_staff, as_technician) == ((200, 403), (403, 200))
    assert who["role"] == "technician"
    assert who["roles"] == [
        {"role": "staff", "districts": ["Nord"]},
        {"role": "technician", "districts": None},
    ]


async def test_the_change_gives_a_new_cookie_and_the_old_one_opens_nothing(here: Office) -> None:
    browser = await browser_of(here)
    before = browser.cookies["trygport"]

    await act_as(browser, "technician")

    assert (await here.client(cookies={"trygport": before}).get("/session")).status_code == 401
    assert (
        await here.owner.fetchval("SELECT role FROM access_log WHERE what = 'role.changed'")
        == "technician"
    )


async def test_nobody_acts_in_a_role_that_is_not_theirs(here: Office) -> None:
    browser = await browser_of(here)
    key = await here.as_("staff")

    assert (await act_as(browser, "administrator")).status_code == 404
    assert (await key.post("/session/role", json={"role": "staff"})).status_code == 409
    assert (await browser.get("/session")).json()["role"] == "staff"


async def test_a_change_that_our_page_did_not_ask_for_is_refused(here: Office) -> None:
    browser = await browser_of(here)

    forged = [
        await browser.post("/session/role", json={"role": "technician"}),
        await browser.post("/konto/role", data={"role": "technician"}),
        await browser.post("/konto/role", data={"role": "technician", "csrf": "0" * 64}),
    ]

    assert {answer.status_code for answer in forged} == {403}
    assert (await browser.get("/session")).json()["role"] == "staff"


async def test_the_page_shows_the_roles_and_changes_between_them(here: Office) -> None:
    browser = await browser_of(here)
    before = (await browser.get("/konto")).text

    data = {"role": "technician", "csrf": await word(browser)}
    answer = await browser.post("/konto/role", data=data, follow_redirects=True)

    assert "plejepersonale, Nord \N{EN DASH} <strong>din rolle nu</strong>" in before
    assert "tekniker, hele kommunen \N{EN DASH} <strong>din rolle nu</strong>" in answer.text
    assert "Skift til plejepersonale" in answer.text


async def test_a_role_that_has_ended_opens_nothing_though_the_person_stays(here: Office) -> None:
    browser, other = await browser_of(here), await browser_of(here)
    await act_as(browser, "technician")

    await people.end_role(here.owner, "anna", "technician", here.clock.now())

    assert (await browser.get("/session")).status_code == 401
    assert (await other.get("/session")).json()["roles"] == [
        {"role": "staff", "districts": ["Nord"]}
    ]
    assert (await act_as(other, "technician")).status_code == 404
    assert (await other.get("/session")).json()["role"] == "staff"


async def test_what_was_opened_in_an_emergency_in_one_role_is_shut_in_another(
    here: Office,
) -> None:
    south = await here.flat(district="Syd")
    alert = await here.alert(south)
    await people.add_role(here.owner, "anna", "clinical_owner", ["Nord"], create=False)
    browser = await browser_of(here)
    wanted = {"citizen": str(south.citizen_public), "reason": "Vagten i Syd svarer ikke"}
    headers = {"X-CSRF-Token": await word(browser)}
    made = await browser.post("/emergencies", json=wanted, headers=headers)
    opened = await browser.get(f"/alerts/{alert}")

    await act_as(browser, "clinical_owner")

    assert (made.status_code, opened.status_code) == (201, 200)
    assert (await browser.get(f"/alerts/{alert}")).status_code == 404


async def test_ones_sessions_are_listed_and_ended_one_by_one(here: Office) -> None:
    first = await browser_of(here)
    here.clock.pass_(minutes=5)
    second = await browser_of(here)
    listed = (await second.get("/sessions")).json()["sessions"]

    headers = {"X-CSRF-Token": await word(second)}
    ended = await second.delete(f"/sessions/{listed[1]['id']}", headers=headers)

    assert [one["here"] for one in listed] == [True, False]
    assert ended.status_code == 204
    assert (await first.get("/session")).status_code == 401
    assert len((await second.get("/sessions")).json()["sessions"]) == 1


async def test_the_page_ends_a_session_too(here: Office) -> None:
    first, second = await browser_of(here), await browser_of(here)
    listed = (await second.get("/sessions")).json()["sessions"]
    other = next(one["id"] for one in listed if not one["here"])

    data = {"csrf": await word(second)}
    await second.post(f"/konto/sessions/{other}/end", data=data)

    assert (await first.get("/session")).status_code == 401


async def test_nobody_sees_or_ends_the_sessions_of_others(here: Office) -> None:
    await here.login("bo", "administrator")
    await here.login("else", "administrator", within="Odense")
    anna = await browser_of(here)
    hers = (await anna.get("/sessions")).json()["sessions"][0]["id"]

    for login in ("bo", "else"):
        other = await browser_of(here, login)
        seen = (await other.get("/sessions")).json()["sessions"]
        headers = {"X-CSRF-Token": await word(other)}
        refused = await other.delete(f"/sessions/{hers}", headers=headers)
        assert hers not in {one["id"] for one in seen}
        assert refused.status_code == 404

    assert (await anna.get("/session")).status_code == 200


async def test_a_leave_date_ends_every_session_role_and_key_at_once(here: Office) -> None:
    browser, other = await browser_of(here), await browser_of(here)
    await act_as(other, "technician")
    where = await here.municipality()
    access = await here.owner.fetchval("SELECT id FROM access WHERE role = 'technician'")
    expires = here.clock.now().replace(year=2027)
    made = await keys.add_key(here.owner, municipality=where, access=access, expires=expires)
    program = here.client(headers={"Authorization": f"Bearer {made.secret}"})
    before = [(await one.get("/session")).status_code for one in (browser, other, program)]

    here.clock.pass_(minutes=1)
    await people.end_person(here.owner, "anna", here.clock.now())

    after = [(await one.get("/session")).status_code for one in (browser, other, program)]
    again = await here.client().post("/login", data={"login": "anna", "password": PASSWORD})
    assert (before, after) == ([200] * 3, [401] * 3)
    assert again.status_code == 401


async def test_a_sign_in_ends_the_session_that_the_browser_had(here: Office) -> None:
    browser = await browser_of(here)
    planted = browser.cookies["trygport"]

    answer = await browser.post("/login", data={"login": "anna", "password": PASSWORD})

    assert answer.status_code == 303
    assert browser.cookies["trygport"] != planted
    assert (await here.client(cookies={"trygport": planted}).get("/session")).status_code == 401


async def test_whoever_asks_too_fast_waits_and_others_do_not(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    async with office(fresh_database, tmp_path, pages, requests_a_minute=5) as slow:
        fast, other = await slow.as_("staff"), await slow.as_("staff")
        codes = [(await fast.get("/session")).status_code for _ in range(6)]
        refused = await fast.get("/session")
        theirs = await other.get("/session")
        slow.clock.pass_(seconds=int(refused.headers["retry-after"]))
        later = await fast.get("/session")

    assert codes == [200] * 5 + [429]
    assert refused.headers["retry-after"] == "13"
    assert refused.headers["content-type"] == "application/problem+json"
    assert (theirs.status_code, later.status_code) == (200, 200)

"""Colleagues by API: roles given and ended, teams, and the day when all of it ends."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.asking import NotAllowed, asking
from gateway.store.sessions import caller_by_key
from tests.gateway.office import Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def district(here: Office, name: str) -> str:
    number = await here.district(name)
    return str(await here.owner.fetchval("SELECT public FROM district WHERE id = $1", number))


async def person(client: httpx2.AsyncClient, login: str) -> str:
    answer = await client.post(
        "/people", json={"login": login, "name": login.capitalize(), "phone": "+45 12 34 56 78"}
    )
    assert answer.status_code == 201, answer.text
    return f"/people/{answer.json()['id']}"


async def given(client: httpx2.AsyncClient, path: str, role: str, *districts: str) -> Any:
    body = {"role": role, "districts": list(districts) or None}
    return await client.post(f"{path}/roles", json=body)


async def test_roles_and_teams_are_given_and_ended(here: Office) -> None:
    north, south = await district(here, "Nord"), await district(here, "Syd")
    boss = await here.as_("administrator")
    anna = await person(boss, "anna")
    team = (await boss.post("/teams", json={"name": "Aften", "district": north})).json()["id"]

    await given(boss, anna, "leader", north)
    wider = await given(boss, anna, "leader", north, south)
    both = await given(boss, anna, "staff")
    member = await boss.post(f"{anna}/teams", json={"team": team})
    twice = await boss.post(f"{anna}/teams", json={"team": team})
    ended = await boss.delete(f"{anna}/roles/leader")
    again = await boss.delete(f"{anna}/roles/leader")
    unknown = await given(boss, anna, "staff", team)
    left_team = await boss.delete(f"{anna}/teams/{team}")
    now = (await boss.get(f"{anna}/roles")).json()

    assert wider.json()["roles"] == [{"role": "leader", "districts": [north, south]}]
    assert [one["role"] for one in both.json()["roles"]] == ["leader", "staff"]
    assert member.json()["teams"] == [team]
    codes = [one.status_code for one in (twice, ended, again, unknown, left_team)]
    assert codes == [409, 204, 404, 404, 204]
    assert now == {"left": None, "roles": [{"role": "staff", "districts": None}], "teams": []}
    written = await here.owner.fetch("SELECT what FROM access_log WHERE what LIKE 'person.%'")
    assert len(written) == 7


async def test_who_is_confined_to_a_district_gives_and_ends_nothing_outside_it(
    here: Office,
) -> None:
    north, south = await district(here, "Nord"), await district(here, "Syd")
    boss = await here.as_("administrator")
    local = await here.as_("administrator", districts=["Nord"])
    anna, bo = await person(boss, "anna"), await person(boss, "bo")
    await given(boss, anna, "staff", south)

    refused = [
        await given(local, bo, "staff"),
        await given(local, bo, "staff", north, south),
        await given(local, anna, "staff", north),
        await local.delete(f"{anna}/roles/staff"),
        await local.post(f"{anna}/leave"),
    ]
    allowed = [
        await given(local, bo, "staff", north),
        await local.delete(f"{bo}/roles/staff"),
        await local.post(f"{bo}/leave"),
    ]

    assert [one.status_code for one in refused] == [403, 404, 403, 403, 403]
    assert [one.status_code for one in allowed] == [201, 204, 200]
    assert refused[0].json()["type"] == "/problems/too-wide"
    assert (await given(await here.as_("leader"), bo, "staff")).status_code == 403


async def test_the_database_lets_nobody_leave_for_one_who_is_confined(here: Office) -> None:
    south, boss = await district(here, "Syd"), await here.as_("administrator")
    anna = await person(boss, "anna")
    await given(boss, anna, "staff", south)
    number = await here.owner.fetchval("SELECT id FROM person WHERE login = 'anna'")
    await here.district("Nord")
    words = {"municipality": "1", "person": "1", "role": "administrator", "districts": "{99}"}

    async def asked(statement: str) -> str:
        async with here.pool.acquire() as db, db.transaction():
            for name, value in words.items():
                await db.execute("SELECT set_config($1, $2, true)", f"trygport.{name}", value)
            try:
                await db.execute(statement, number)
            except Exception as refused:  # noqa: BLE001 - its name is what the test looks at
                return type(refused).__name__
        return "done"

    leaving = "UPDATE person SET left_on = '2026-03-01' WHERE id = $1"

    confined = await asked(leaving)
    words["districts"] = ""
    everywhere = await asked(leaving)

    assert (confined, everywhere) == ("InsufficientPrivilegeError", "done")


async def test_who_is_confined_renames_and_brings_back_nobody_with_a_role_elsewhere(
    here: Office,
) -> None:
    north, south = await district(here, "Nord"), await district(here, "Syd")
    boss = await here.as_("administrator")
    local = await here.as_("administrator", districts=["Nord"])
    anna, bo = await person(boss, "anna"), await person(boss, "bo")
    await given(boss, anna, "leader", north)
    await given(boss, bo, "leader", north, south)
    other = {"name": "En anden", "phone": "+45 87 65 43 21"}

    codes = [
        (await local.put(path, json=other, headers={"If-Match": "*"})).status_code
        for path in (anna, bo)
    ]
    phones = [(await boss.get(path)).json()["phone"] for path in (anna, bo)]
    await boss.post(f"{bo}/leave")
    caller = await caller_by_key(
        here.pool, await here.key("administrator", districts=["Nord"]), here.clock.now()
    )
    assert caller is not None
    with pytest.raises(NotAllowed):
        async with asking(here.pool, caller) as db:
            await db.execute("UPDATE person SET left_on = NULL WHERE login = 'bo'")

    assert codes == [200, 403]
    assert phones == ["+45 87 65 43 21", "+45 12 34 56 78"]


async def test_the_leave_date_ends_everything_at_once(here: Office) -> None:
    boss = await here.as_("administrator")
    anna = await here.as_("staff")
    people = (await boss.get("/people")).json()["people"]
    path = next(f"/people/{one['id']}" for one in people if one["login"].startswith("staff"))
    evening = "2026-03-02T20:30:00Z"

    before = await anna.get("/alerts")
    announced = await boss.post(f"{path}/leave", json={"at": evening})
    still = await anna.get("/alerts")
    here.clock.pass_(minutes=30)
    after = await anna.get("/alerts")
    twice = await boss.post(f"{path}/leave")
    role = await given(boss, path, "planner")

    assert announced.json()["left"] == evening
    assert (before.status_code, still.status_code, after.status_code) == (200, 200, 401)
    assert (twice.status_code, role.status_code) == (409, 409)


async def test_the_last_administrator_stays(here: Office) -> None:
    north, boss = await district(here, "Nord"), await here.as_("administrator")
    me = f"/people/{(await boss.get('/people')).json()['people'][0]['id']}"

    refused = [
        await boss.delete(f"{me}/roles/administrator"),
        await given(boss, me, "administrator", north),
        await boss.post(f"{me}/leave"),
    ]
    other = await person(boss, "anna")
    await given(boss, other, "administrator")
    ended = await boss.delete(f"{me}/roles/administrator")

    assert [one.status_code for one in refused] == [409, 409, 409]
    assert ended.status_code == 204
    assert (await boss.get("/people")).status_code == 401


async def test_no_cpr_number_comes_in_with_a_colleague(here: Office) -> None:
    boss = await here.as_("administrator")

    refused = await boss.post(
        "/people", json={"login": "anna", "name": "Anna", "phone": "010150-1234"}
    )

    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/like-cpr")
    assert "1234" not in refused.text

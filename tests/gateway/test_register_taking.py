"""What was made by mistake is taken away again; what has been used stays, and says by what."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from tests.gateway.office import Office, office
from tests.gateway.registers import file, row


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def made(client: httpx2.AsyncClient, kind: str, **body: Any) -> str:
    answer = await client.post(f"/{kind}", json=body)
    assert answer.status_code == 201, answer.text
    return f"/{kind}/{answer.json()['id']}"


async def taken(client: httpx2.AsyncClient, path: str) -> httpx2.Response:
    return await client.delete(path, headers={"If-Match": "*"})


def id_of(path: str) -> str:
    return path.split("/")[2]


async def test_a_mistake_is_taken_away_from_the_last_thing_to_the_first(here: Office) -> None:
    boss = await here.as_("administrator")
    district = await made(boss, "districts", name="Nrod")
    home = await made(boss, "homes", district="Nrod", citizens=[{"name": "Bo"}])
    (one,) = (await boss.get("/citizens")).json()["citizens"]
    team = await made(boss, "teams", name="Aften", district=id_of(district))
    person = await made(boss, "people", login="anan", name="Anna")
    await boss.post(f"{person}/teams", json={"team": id_of(team)})
    everything = [district, home, f"/citizens/{one['id']}", team, person]

    used = [await taken(boss, path) for path in (district, home, team, person)]
    unasked = await boss.delete(district)
    stale = await boss.delete(team, headers={"If-Match": '"7"'})
    await boss.delete(f"{person}/teams/{id_of(team)}")
    gone = [await taken(boss, path) for path in reversed(everything)]
    after = [await boss.get(path) for path in everything]

    assert [one.status_code for one in used] == [409] * 4
    assert used[1].json()["detail"] == "it is in use: it has citizens"
    assert (unasked.status_code, stale.status_code) == (428, 412)
    assert [one.status_code for one in gone] == [204] * 5
    assert [one.status_code for one in after] == [404] * 5
    for table in ("home", "citizen", "identity.citizen", "team", "district"):
        assert await here.owner.fetchval(f"SELECT count(*) FROM {table}") == 0, table  # noqa: S608 - our words
    assert await here.owner.fetchval("SELECT count(*) FROM identity.person") == 1


async def test_what_has_been_used_stays_whoever_asks(here: Office) -> None:
    boss, flat = await here.as_("administrator"), await here.flat()
    await here.alert(flat)
    await here.login("anna", "staff")
    people = (await boss.get("/people")).json()["people"]
    anna = next(f"/people/{one['id']}" for one in people if one["login"] == "anna")
    citizen = f"/citizens/{flat.citizen_public}"
    brought = await boss.post("/imports", content=file(row(1)))
    listed = (await boss.get("/citizens")).json()["citizens"]
    imported = next(one["id"] for one in listed if one["reference"] == "K1")
    staff = await here.as_("staff")
    await boss.post(f"{anna}/leave")

    refused = [await taken(boss, path) for path in (citizen, anna, f"/citizens/{imported}")]
    not_theirs = [await taken(staff, path) for path in (citizen, anna)]

    assert brought.json()["new"] == 1
    assert [one.status_code for one in refused] == [409] * 3
    assert [one.status_code for one in not_theirs] == [403] * 2
    assert await here.owner.fetchval("SELECT count(*) FROM identity.citizen") == 2


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("DELETE FROM identity.citizen", 1),
        ("DELETE FROM identity.person", 0),
        ("DELETE FROM person", 0),
        ("DELETE FROM district", 0),
        ("DELETE FROM deadline", 1),
    ],
)
async def test_the_database_takes_away_no_more_than_that(
    here: Office, statement: str, rows: int
) -> None:
    """Of two citizens one had an alert; both names, the people and the district are there."""
    used, unused = await here.flat(), await here.flat(name="Bo")
    await here.alert(used)
    await here.login("anna", "administrator")
    await here.owner.execute(
        "INSERT INTO deadline SELECT municipality, id, now() FROM citizen WHERE id = $1",
        unused.citizen,
    )
    words = {"municipality": "1", "person": "1", "role": "administrator"}

    async with here.pool.acquire() as db, db.transaction():
        for name, value in words.items():
            await db.execute("SELECT set_config($1, $2, true)", f"trygport.{name}", value)
        try:
            done = await db.execute(statement)
        except Exception as refused:  # noqa: BLE001 - a reference refuses it as well
            done = f"{type(refused).__name__} 0"

    assert int(done.split()[-1]) == rows, done


async def test_a_device_goes_with_its_key_while_it_was_never_used(here: Office) -> None:
    boss, technician = await here.as_("administrator"), await here.as_("technician")
    mistake = await made(boss, "devices", address="A4:C1:38:00:00:99", key="0f" * 16)
    placed = await made(boss, "devices", address="A4:C1:38:00:00:98")
    spoke = await made(boss, "devices", address="A4:C1:38:00:00:97")
    done = await boss.post("/imports", content=file(row(1, distrikt=await north(here))))
    imported = await here.owner.fetchval(
        "SELECT public FROM device WHERE address = 'A4:C1:38:00:01:01'"
    )
    flat = await here.flat()
    said = {"citizen": str(flat.citizen_public), "role": "door", "legal_basis": "samtykke"}
    stay = await boss.post(f"{placed}/placements", json=said)
    await boss.post(f"/placements/{stay.json()['id']}/end")
    await here.owner.execute(
        "INSERT INTO observation SELECT id, 1, $1, $1, 0, 1.0, NULL, 0, 1 FROM device "
        "WHERE public = $2::uuid",
        here.clock.now(),
        id_of(spoke),
    )

    used = [await taken(boss, one) for one in (placed, spoke, f"/devices/{imported}")]
    unasked = await boss.delete(mistake)
    foreign = await taken(await here.as_("administrator", within="Odense"), mistake)
    staff = await taken(await here.as_("staff"), mistake)
    gone = await taken(technician, mistake)

    assert (done.status_code, stay.status_code) == (200, 201), stay.text
    assert [one.status_code for one in used] == [409] * 3
    assert [one.status_code for one in (unasked, foreign, staff, gone)] == [428, 404, 403, 204]
    assert await here.owner.fetchval("SELECT count(*) FROM device_secret") == 0
    assert (await boss.get(mistake)).status_code == 404


async def north(here: Office) -> str:
    await here.district("Nord")
    return "Nord"

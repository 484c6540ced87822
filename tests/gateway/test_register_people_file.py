"""Colleagues from a file: tried, brought in, again the same, taken back as one, and refused."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.seal import MARK
from tests.gateway.office import Office, office
from tests.gateway.registers import brought, file, taken_back

HEAD = "login;navn;telefon;rolle;distrikt;team;fratrådt"
ANNA = "anna;Anna Åse;+45 12 34 56 78;Plejepersonale;Nord;Aften;"


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        for name in ("Nord", "Syd"):
            number = await made.district(name)
            await made.owner.execute(
                "INSERT INTO team (municipality, district, name) VALUES ($1, $2, $3), ($1, $2, $4)",
                await made.municipality(),
                number,
                "Aften",
                f"Nat {name}",
            )
        yield made


def staff(*rows: str) -> bytes:
    return file(*rows, columns=HEAD)


async def sent(client: httpx2.AsyncClient, *rows: str, dry: bool = False) -> Any:
    answer = await client.post(f"/imports?dry_run={str(dry).lower()}", content=staff(*rows))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def people(here: Office) -> Sequence[tuple[object, ...]]:
    """Everybody who came by a file: what they may do, where, and in which teams."""
    rows = await here.owner.fetch(
        """
        SELECT p.login, p.left_on, a.role, a.until,
               (SELECT array_agg(d.name ORDER BY d.name) FROM district d
                WHERE d.id = ANY (a.districts)) AS districts,
               ARRAY(SELECT t.name FROM team_member w JOIN team t ON t.id = w.team
                     WHERE w.person = p.id ORDER BY t.name) AS teams
        FROM person p LEFT JOIN access a ON a.person = p.id
        WHERE p.login !~ '[0-9]' ORDER BY p.login, a.role
        """
    )
    return [tuple(row) for row in rows]


def reasons(body: Any) -> list[tuple[str, str]]:
    return [(row["column"], row["reason"]) for row in body["rows"] if row["state"] == "refused"]


async def test_colleagues_are_tried_brought_in_shown_and_taken_back(here: Office) -> None:
    boss = await here.as_("administrator")
    rows = [
        ANNA,
        "anna;;;leder;Nord, Syd;Nat Nord, Nat Syd;",
        "Bo;Bo Ib;;Tekniker;;;31-12-2026",
        "ida;Ida 010150-1234;;revisor;;;",
    ]

    tried = await sent(boss, *rows, dry=True)
    empty = await people(here)
    done = await sent(boss, *rows)
    now = await people(here)
    again = await sent(boss, *rows)
    shown = (await boss.get(f"/imports/{done['id']}")).json()
    sealed = await here.owner.fetch(
        "SELECT i.name, i.phone FROM identity.person i JOIN person p ON p.id = i.person "
        "WHERE p.login = 'anna'"
    )
    named = (await boss.get("/people?limit=200")).json()["people"]
    undone = await boss.post(f"/imports/{done['id']}/undo")

    assert empty == []
    assert (tried["new"], tried["refused"], tried["id"]) == (3, 1, None)
    assert (done["new"], done["refused"]) == (3, 1)
    assert reasons(done) == [("navn", "feltet ligner et CPR-nummer, og det må ikke stå her")]
    assert [(one[0], *one[2:]) for one in now] == [
        ("anna", "leader", None, ["Nord", "Syd"], ["Aften", "Nat Nord", "Nat Syd"]),
        ("anna", "staff", None, ["Nord"], ["Aften", "Nat Nord", "Nat Syd"]),
        ("bo", "technician", None, None, []),
    ]
    assert str(now[2][1]) == "2026-12-30 23:00:00+00:00"
    assert (again["same"], again["new"], again["changed"], again["id"]) == (3, 0, 0, None)
    assert shown["rows"] == done["rows"]
    assert all(text.startswith(MARK) for text in sealed[0])
    (anna,) = [one for one in named if one["login"] == "anna"]
    assert (anna["name"], anna["phone"]) == ("Anna Åse", "+45 12 34 56 78")
    assert undone.status_code == 200, undone.text
    assert await people(here) == []
    assert await here.owner.fetchval("SELECT count(*) FROM team_member") == 0
    codes = await here.owner.fetch("SELECT what FROM access_log WHERE what LIKE 'person.%'")
    assert sorted(row["what"].split(" ")[0] for row in codes) == [
        *["person.import_undone"] * 2,
        *["person.imported"] * 2,
    ]


async def test_a_change_is_taken_back_to_what_was_there_before(here: Office) -> None:
    boss = await here.as_("administrator")
    await sent(boss, ANNA)
    before = await people(here)
    changed = "anna;Anna Ny;87654321;plejepersonale;Syd;Nat Syd;01-01-2027"

    done = await sent(boss, changed)
    after = await people(here)
    phone = (await boss.get("/people?limit=200")).json()["people"]
    undone = await boss.post(f"/imports/{done['id']}/undo")

    assert (done["changed"], done["new"]) == (1, 0)
    assert (after[0][4], after[0][5]) == (["Syd"], ["Aften", "Nat Syd"])
    assert "87654321" in [one["phone"] for one in phone]
    assert undone.status_code == 200, undone.text
    assert await people(here) == before


async def test_the_command_brings_in_the_same_and_takes_it_back(here: Office) -> None:
    done = await brought(here, staff(ANNA, "bo;Bo;;administrator;;;"))
    again = await brought(here, staff(ANNA, "bo;Bo;;administrator;;;"))

    assert [one.state for one in done.outcomes] == ["new", "new"]
    assert [one.state for one in again.outcomes] == ["same", "same"]
    assert again.public is None
    with pytest.raises(Exception, match="sidste administrator"):  # nobody else gives roles here
        await taken_back(here, done.public)
    await here.as_("administrator")
    await taken_back(here, done.public)
    assert await people(here) == []


REFUSED: Sequence[tuple[str, str, str]] = [
    ("bo;;;leder;;;", "navn", "kollegaen er ny"),
    ("b o;Bo;;leder;;;", "login", "brug kun"),
    (";Bo;;leder;;;", "login", "feltet er tomt"),
    ("bo;Bo;;robot;;;", "rolle", "ingen af: plejepersonale"),
    ("bo;Bo;;;Nord;;", "rolle", "feltet er tomt, men rækken har et distrikt"),
    ("bo;Bo;;leder;Øst;;", "distrikt", "kendte distrikter: Nord, Syd"),
    ("bo;Bo;;leder;;Ukendt;", "team", "kendte hold: Aften, Nat Nord, Nat Syd"),
    ("bo;Bo;;leder;;Aften;", "team", "flere hold hedder »Aften«"),
    ("bo;Bo;;leder;;;i morgen", "fratrådt", "det er ikke en dato"),
    ("anna;Anders And;;;;;", "navn", "linje 2 siger noget andet om login anna"),
    ("anna;;;plejepersonale;Syd;;", "rolle", "linje 2 siger noget andet"),
    ("boss;Boss;;administrator;Nord;;", "distrikt", "den sidste administrator"),
    ("boss;;;;;;24-11-2026", "fratrådt", "den sidste administrator"),
    ("gert;;;leder;;;", "rolle", "fratrådte"),
    ("frida;;;leder;;;", "rolle", "logger ind med kommunens login"),
    ("fremmed;Fremmed;;leder;;;", "", "registreret et andet sted"),
]
"""A row after ANNA's, and where and why it is refused."""


async def test_each_wrong_row_is_refused_where_it_is_wrong_and_the_others_come_in(
    here: Office,
) -> None:
    await here.login("boss", "administrator")
    await here.login("gert", "staff")
    await here.login("frida", "staff")
    await here.login("fremmed", "staff", within="Odense")
    await here.owner.execute("UPDATE person SET left_on = '2026-01-01' WHERE login = 'gert'")
    await here.owner.execute(
        "UPDATE person SET issuer = 'https://idp', subject = 'f' WHERE login = 'frida'"
    )

    found = (await brought(here, staff(ANNA, *(row for row, _, _ in REFUSED)))).outcomes

    assert found[0].state == "new"
    for (row, column, reason), one in zip(REFUSED, found[1:], strict=True):
        assert (one.state, one.column) == ("refused", column), (row, one)
        assert reason in one.reason, (row, one)


async def test_who_is_confined_to_a_district_gives_nothing_wider(here: Office) -> None:
    boss, north = (
        await here.as_("administrator"),
        await here.as_("administrator", districts=["Nord"]),
    )
    await sent(boss, "anna;Anna;;leder;;;", "bo;Bo;;leder;Syd;Nat Syd;", "rie;Rie;;leder;Syd;;")

    answer = await sent(
        north,
        "anna;;;leder;Nord;;",
        "bo;;;;;;24-11-2026",
        "ida;Ida;;leder;Syd;;",
        "ib;Ib;;leder;;Nat Syd;",
        "eva;Eva;;leder;;Aften;",
        "anna;;;tekniker;;;",
        "rie;Rikke;+45 99 99 99 99;;;;",
    )

    assert reasons(answer) == [
        ("rolle", "kollegaen har rollen uden for dine distrikter"),
        ("fratrådt", "kollegaen har rollen uden for dine distrikter"),
        ("distrikt", "»Syd« findes ikke; kendte distrikter: Nord"),
        ("team", "»Nat Syd« findes ikke; kendte hold: Aften, Nat Nord"),
        ("navn", "kollegaen har rollen uden for dine distrikter"),
    ]
    given = {(row[0], row[2]): row[4] for row in await people(here)}
    assert (given["eva", "leader"], given["anna", "technician"]) == (["Nord"], ["Nord"])
    assert (await north.post(f"/imports/{answer['id']}/undo")).status_code == 200


async def test_only_who_gives_roles_brings_colleagues_in_or_takes_them_back(here: Office) -> None:
    boss, planner = await here.as_("administrator"), await here.as_("planner")
    done = await sent(boss, ANNA)

    refused = [
        await planner.post("/imports", content=staff(ANNA)),
        await planner.post("/imports?dry_run=true", content=staff(ANNA)),
        await planner.get(f"/imports/{done['id']}"),
        await planner.post(f"/imports/{done['id']}/undo"),
        await (await here.as_("leader")).post("/imports", content=staff(ANNA)),
        await (await here.as_("administrator", within="Odense")).get(f"/imports/{done['id']}"),
    ]

    assert [one.status_code for one in refused] == [403, 403, 404, 404, 403, 404]


async def test_who_has_used_their_access_stays_and_the_import_with_them(here: Office) -> None:
    boss = await here.as_("administrator")
    done = await sent(boss, ANNA, "bo;Bo;;leder;;;")
    before = await people(here)
    await here.owner.execute(
        "INSERT INTO access_log (municipality, at, person, role, what) "
        "SELECT municipality, $1, id, 'staff', 'alert.seen' FROM person WHERE login = 'anna'",
        here.clock.now(),
    )

    used = await boss.post(f"/imports/{done['id']}/undo")

    assert used.status_code == 409
    assert "linje 2 har brugt sin adgang" in used.json()["detail"]
    assert await people(here) == before


async def test_the_database_lets_nobody_take_away_what_no_file_gave(here: Office) -> None:
    boss = await here.as_("administrator")
    await here.login("carl", "staff")
    done = await sent(boss, ANNA)

    anna = await here.owner.fetchval("SELECT public FROM person WHERE login = 'anna'")
    taken = await boss.delete(f"/people/{anna}", headers={"If-Match": "*"})
    changed = await sent(boss, "carl;Carl Ny;;plejepersonale;Nord;;")
    undone = [await boss.post(f"/imports/{one['id']}/undo") for one in (changed, done)]

    assert taken.status_code == 409
    assert [one.status_code for one in undone] == [200, 200]
    assert [(row[0], row[4]) for row in await people(here)] == [("carl", None)]

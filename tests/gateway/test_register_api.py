"""The register over HTTP: a file tried, brought in and taken back; two editors are told."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.register.table import COLUMNS
from tests.gateway.office import ADDRESS, Office, office
from tests.gateway.registers import everything, file, row


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        await made.district("Nord")
        await made.district("Syd")
        yield made


async def test_twenty_homes_are_tried_brought_in_shown_and_taken_back(here: Office) -> None:
    planner = await here.as_("planner")
    rows = [row(number) for number in range(1, 21)]
    rows[4] = row(5, navn="010150-1234")
    body = file(*rows)

    tried = await planner.post("/imports?dry_run=true", content=body)
    empty = await everything(here)
    done = await planner.post("/imports", content=body)
    again = await planner.post("/imports", content=body)
    shown = await planner.get(f"/imports/{done.json()['id']}")
    written = await planner.get("/register.csv")
    undone = await planner.post(f"/imports/{done.json()['id']}/undo")
    twice = await planner.post(f"/imports/{done.json()['id']}/undo")

    assert [one.status_code for one in (tried, done, again, shown, written, undone)] == [200] * 6
    assert not any(empty.values())
    assert (tried.json()["new"], tried.json()["refused"], tried.json()["id"]) == (19, 1, None)
    assert (done.json()["new"], done.json()["refused"]) == (19, 1)
    assert done.json()["rows"][4] == {
        "line": 6,
        "state": "refused",
        "column": "navn",
        "reason": "feltet ligner et CPR-nummer, og det må ikke stå her",
    }
    assert (again.json()["same"], again.json()["id"]) == (19, None)
    assert shown.json()["rows"] == done.json()["rows"]
    assert "Borger Nummer 7" in written.content.decode("utf-8-sig")
    assert not any((await everything(here)).values())
    assert (twice.status_code, twice.json()["detail"]) == (409, "Importen er allerede fortrudt.")


async def test_a_new_box_gets_its_code_once(here: Office) -> None:
    planner = await here.as_("planner")

    done = (await planner.post("/imports", content=file(row(1, boks="ny")))).json()
    shown = (await planner.get(f"/imports/{done['id']}")).json()

    assert done["boxes"][0]["code"].startswith(f"{ADDRESS}/")
    assert shown["boxes"] == []
    undone = await planner.post(f"/imports/{done['id']}/undo")
    assert undone.json() == {"changes": 6}


async def test_nobody_brings_anything_into_a_foreign_district_or_changes_what_is_there(
    here: Office,
) -> None:
    whole, north = await here.as_("planner"), await here.as_("planner", districts=["Nord"])
    await whole.post("/imports", content=file(row(1, distrikt="Syd")))
    before = await everything(here)

    same_home = await north.post("/imports", content=file(row(1)))
    same_device = await north.post("/imports", content=file(row(2, enhed="A4:C1:38:00:01:01")))
    south = await north.post("/imports", content=file(row(3, distrikt="Syd")))

    for answer in (same_home, same_device, south):
        assert (answer.status_code, answer.json()["refused"]) == (200, 1)
    assert same_home.json()["rows"][0]["reason"] == same_device.json()["rows"][0]["reason"]
    assert "kendte distrikter: Nord" in south.json()["rows"][0]["reason"]
    assert await everything(here) == before
    assert (await north.get("/register.csv")).content.decode("utf-8-sig").split() == [
        ";".join(COLUMNS)
    ]


async def test_another_municipality_sees_nothing_of_an_import(here: Office) -> None:
    done = await (await here.as_("planner")).post("/imports", content=file(row(1)))
    stranger = await here.as_("administrator", within="Slagelse")

    for answer in (
        await stranger.get(f"/imports/{done.json()['id']}"),
        await stranger.post(f"/imports/{done.json()['id']}/undo"),
    ):
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("body", "status"), [(b"\x00", 422), (b"farve\n", 422), (b" " * 2_200_000, 413)]
)
async def test_a_file_that_cannot_be_read_is_a_problem(
    here: Office, body: bytes, status: int
) -> None:
    answer = await (await here.as_("planner")).post("/imports", content=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("role", ["staff", "technician", "leader", "auditor", "robot"])
async def test_only_who_may_write_names_brings_a_register_in(here: Office, role: str) -> None:
    someone = await here.as_(role)  # pyright: ignore[reportArgumentType] - one of the roles

    assert (await someone.post("/imports", content=file(row(1)))).status_code == 403
    assert (await someone.get("/register.csv")).status_code == 403


async def things(here: Office) -> dict[str, dict[str, object]]:
    """Of each kind one, by path, as it is written."""
    administrator = await here.as_("administrator")
    district = (await administrator.get("/districts")).json()["districts"][0]["id"]
    home = await administrator.post(
        "/homes", json={"district": "Nord", "citizens": [{"name": "Bo"}]}
    )
    return {
        "districts": {"name": "Øst"},
        "teams": {"name": "Aftenholdet", "district": district},
        "people": {"login": "anna", "name": "Anna Å", "phone": "12 34 56 78"},
        "citizens": {
            "home": home.json()["id"],
            "reference": "K9",
            "name": "Inger Holm",
            "address": "Skovvej 4",
            "phone": "12 34 56 78",
            "entry": "Nøgleboks",
            "relatives": "Datter: Anne",
        },
    }


@pytest.mark.parametrize("path", ["districts", "teams", "people", "citizens"])
async def test_of_two_who_edit_the_same_the_second_is_told(here: Office, path: str) -> None:
    said = (await things(here))[path]
    first, second = await here.as_("administrator"), await here.as_("administrator")

    added = await first.post(f"/{path}", json=said)
    where = added.headers["location"]
    read = await second.get(where)
    changed = {name: value for name, value in said.items() if name != "login"} | {"name": "Ny"}
    forgot = await first.put(where, json=changed)
    done = await first.put(where, json=changed, headers={"If-Match": added.headers["etag"]})
    late = await second.put(where, json=changed, headers={"If-Match": read.headers["etag"]})
    odd = await second.put(where, json=changed, headers={"If-Match": "W/x"})
    anyhow = await second.put(where, json=changed, headers={"If-Match": "*"})
    nowhere = await second.put(f"/{path}/{UUID(int=1)}", json=changed, headers={"If-Match": '"1"'})

    assert (added.status_code, read.status_code) == (201, 200)
    assert said.items() <= added.json().items()
    assert read.json() == added.json()
    assert [one.status_code for one in (forgot, done, late, odd, anyhow, nowhere)] == [
        428,
        200,
        412,
        400,
        200,
        404,
    ]
    assert done.json()["name"] == "Ny"
    listed = (await second.get(f"/{path}?limit=200")).json()[path]
    assert anyhow.json() in listed


async def test_who_lives_in_a_home_goes_with_it_to_another_district(here: Office) -> None:
    planner = await here.as_("planner")
    await planner.post("/imports", content=file(row(1)))
    districts = (await planner.get("/districts")).json()["districts"]
    south = next(one["id"] for one in districts if one["name"] == "Syd")
    home = (await planner.get("/homes")).json()["homes"][0]["id"]
    read = await planner.get(f"/homes/{home}")

    moved = await planner.put(
        f"/homes/{home}",
        json={"district": south, "reference": "B1"},
        headers={"If-Match": read.headers["etag"]},
    )

    assert (moved.status_code, moved.json()["district"]) == (200, south)
    assert (
        len((await (await here.as_("planner", districts=["Syd"])).get("/homes")).json()["homes"])
        == 1
    )


async def test_a_cpr_number_is_kept_nowhere(here: Office) -> None:
    administrator, said = await here.as_("administrator"), await things(here)

    for path, name in (("citizens", "relatives"), ("people", "name"), ("districts", "name")):
        answer = await administrator.post(f"/{path}", json=said[path] | {name: "010150-1234"})
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/like-cpr")
        assert "010150" not in answer.text


@pytest.mark.parametrize("blank", ["", "  ", "\x85", "\u2003", "a\x07b"])
async def test_a_district_has_a_name_that_can_be_seen(here: Office, blank: str) -> None:
    administrator = await here.as_("administrator")

    refused = await administrator.post("/districts", json={"name": blank})

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "#/name"


async def test_two_districts_do_not_have_the_same_name(here: Office) -> None:
    administrator = await here.as_("administrator")

    assert (await administrator.post("/districts", json={"name": "Nord"})).status_code == 409

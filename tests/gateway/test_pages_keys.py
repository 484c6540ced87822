"""The administrators' pages: API keys, and which claim of the provider gives which role."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.runtime.services import OneDatabase
from tests.gateway.desks import Desk, desk
from tests.gateway.test_board import Page


@pytest.fixture
async def here(emptied: OneDatabase, tmp_path: Path) -> AsyncGenerator[Desk]:
    async with desk(emptied, tmp_path) as made:
        yield made


def secret(page: Page) -> str:
    return next(one["value"] for one in page.all("input") if "data-copy" in one)


async def test_a_key_is_made_shown_once_renewed_and_ended(here: Desk) -> None:
    await here.here.district("Nord", within=here.town)
    administrator = await here.person("administrator")
    page = await administrator.opens("/noegler")

    status, made = await administrator.sends(
        page,
        "/noegler",
        name="Vagtplan",
        districts=["Nord"],
        classes=["home"],
        purpose="planning",
        days="30",
    )
    key = secret(made)
    program = here.here.client(headers={"Authorization": f"Bearer {key}"})
    answers = [(await program.get(path)).status_code for path in ("/homes", "/alerts")]
    again = await administrator.opens("/noegler")
    row = await here.here.owner.fetchval("SELECT public FROM api_key ORDER BY id DESC LIMIT 1")
    renewed, second = await administrator.sends(again, f"/noegler/{row}/rotate")
    both = here.here.client(headers={"Authorization": f"Bearer {secret(second)}"})
    opens = [(await one.get("/homes")).status_code for one in (program, both)]
    _, ended = await administrator.sends(second, f"/noegler/{row}/end")
    closed = [(await one.get("/homes")).status_code for one in (program, both)]

    assert (status, answers) == (201, [200, 403])
    assert "Udløber 01.04.2026" in again.text
    assert "Distrikter: Nord. Data: Hjem. Formål: Planlægning." in again.texts
    assert key not in again.text + str(again.elements)
    assert (renewed, opens, closed) == (201, [200, 200], [401, 401])
    assert "Afsluttet 02.03.2026" in ended.text


async def test_what_is_wrong_with_a_key_stands_beside_its_field(here: Desk) -> None:
    administrator = await here.person("administrator")
    page = await administrator.opens("/noegler")

    status, refused = await administrator.sends(
        page, "/noegler", name=" ", days="500", districts=["Intetsteds"], classes=["key"]
    )

    assert status == 422
    wrong = {
        one["id"]
        for one in (*refused.all("input"), *refused.all("fieldset"))
        if one.get("aria-invalid")
    }
    assert wrong == {"name", "days", "classes"}
    assert "Skriv et tal fra 1 til 400." in refused.texts
    status, refused = await administrator.sends(
        page, "/noegler", name="Vagtplan", districts=["Intetsteds"]
    )
    assert (status, "Vælg fra listen." in refused.texts) == (422, True)
    for move in ("rotate", "end"):
        answer = await administrator.client.post(
            f"/noegler/{uuid4()}/{move}", data={"csrf": page.all("input")[0]["value"]}
        )
        assert answer.status_code == 404


async def test_nobody_elses_keys_are_shown_or_ended(here: Desk) -> None:
    await (other := Desk(here.here)).here.key(within=other.town)
    theirs = await here.here.owner.fetchval("SELECT public FROM api_key ORDER BY id DESC LIMIT 1")
    administrator = await here.person("administrator")
    page = await administrator.opens("/noegler")

    answer = await administrator.client.post(
        f"/noegler/{theirs}/end", data={"csrf": page.all("input")[0]["value"]}
    )

    assert answer.status_code == 404
    assert "Ingen endnu." in page.texts


async def test_a_line_that_gives_a_role_is_added_and_removed_with_its_warning(here: Desk) -> None:
    await here.here.district("Nord", within=here.town)
    administrator = await here.person("administrator")
    page = await administrator.opens("/login-roller")

    status, refused = await administrator.sends(page, "/login-roller", claim="", value="x")
    assert status == 422
    assert {"Skriv oplysningens navn.", "Vælg en rolle."} <= set(refused.texts)
    for role, districts in (("staff", ["Nord"]), ("administrator", [])):
        _, page = await administrator.sends(
            page,
            "/login-roller",
            claim="groups",
            value=f"tg-{role}",
            role=role,
            districts=districts,
        )

    assert "når »groups« er »tg-staff«" in page.texts
    assert page.text.count("Det er den sidste linje, der gør nogen til administrator.") == 1
    assert "højst 12 timer" in page.text
    lines = [form["action"] for form in page.all("form") if form["action"].endswith("/remove")]
    status, page = await administrator.sends(page, lines[0])
    assert status == 200
    assert "»tg-administrator«" not in page.text
    assert (await administrator.client.post(lines[0], data={"csrf": "x"})).status_code == 403


async def test_an_administrator_of_some_districts_changes_no_way_in(here: Desk) -> None:
    all_ = await here.person("administrator")
    await all_.sends(
        await all_.opens("/login-roller"),
        "/login-roller",
        claim="groups",
        value="tg",
        role="leader",
    )
    some = await here.person("administrator", "Nord")
    page = await some.opens("/login-roller")
    word = {"csrf": page.all("input")[0]["value"]}
    line = await here.here.owner.fetchval("SELECT public FROM oidc_mapping ORDER BY id DESC")

    added = await some.client.post(
        "/login-roller", data={**word, "claim": "a", "value": "b", "role": "staff"}
    )
    removed = await some.client.post(f"/login-roller/{line}/remove", data=word)

    assert "Kun en administrator af hele kommunen ændrer" in page.text
    assert added.status_code == 403
    assert removed.status_code in {403, 404}
    assert await here.here.owner.fetchval(
        "SELECT count(*) FROM oidc_mapping WHERE public = $1", line
    )

"""Where each role lands, what its menu offers, and what a person is told instead of a page."""

from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.api.rights import RIGHTS
from gateway.store.caller import Role
from gateway.web.menu import PLACES
from tests.gateway.desks import HTML, Desk, desk, links
from tests.gateway.test_board import Page

STARTS: Mapping[Role, str] = {
    "staff": "/",
    "planner": "/",
    "leader": "/",
    "clinical_owner": "/",
    "technician": "/bokse",
    "auditor": "/hvem-har-set",
}


@pytest.fixture
async def here(emptied: OneDatabase, tmp_path: Path) -> AsyncGenerator[Desk]:
    async with desk(emptied, tmp_path) as made:
        yield made


@pytest.mark.parametrize("role", STARTS)
async def test_each_role_lands_where_its_work_is(here: Desk, role: Role) -> None:
    person = await here.person(role, "Nord")

    assert await person.lands() == STARTS[role]


async def test_an_administrator_lands_where_a_system_is_set_up_or_else_at_their_account(
    here: Desk,
) -> None:
    expected = "/opsaetning" if "GET /opsaetning" in RIGHTS else "/konto"

    assert await (await here.person("administrator")).lands() == expected


async def test_a_menu_leads_only_to_pages_that_open_and_to_all_of_them(here: Desk) -> None:
    for role in (*STARTS, "administrator"):
        person = await here.person(role, *(["Nord"] if role != "administrator" else []))
        page = await person.opens("/konto")

        offered = [address for address in links(page) if address != "/login"]
        for _, _, way in PLACES:
            address = way.removeprefix("GET ").replace("/board/alerts", "/")
            status = (await person.client.get(address, follow_redirects=False)).status_code
            assert (status == 200) == (address in offered), (role, address, status)
        current = [link["href"] for link in page.all("a") if link.get("aria-current") == "page"]
        assert current == ["/konto"]
        assert "/logout" in [form["action"] for form in page.all("form")]


async def test_a_page_that_is_not_the_roles_says_so_and_leads_on(here: Desk) -> None:
    technician = await here.person("technician")

    for path in ("/noegler", "/login-roller", "/board/alerts", "/keys"):
        page = await technician.opens(path, 403)
        assert "Det må din rolle ikke" in page.texts
        assert "Du handler som tekniker." in page.text
        assert "/bokse" in links(page)
        assert "/noegler" not in links(page)


async def test_what_is_not_there_is_said_in_danish_to_people_and_as_a_document_to_programs(
    here: Desk,
) -> None:
    anna = await here.person("staff")

    page = await anna.opens("/findes-ikke", 404)
    program = await anna.client.get("/findes-ikke", headers={"Accept": "application/json"})

    assert "Siden er her ikke" in page.texts
    assert page.all("html")[0]["lang"] == "da"
    assert "/" in links(page)
    assert program.headers["content-type"] == "application/problem+json"


async def test_a_form_that_is_too_old_says_that_nothing_was_changed(here: Desk) -> None:
    anna = await here.person("staff")

    answer = await anna.client.post("/konto/role", data={"csrf": "old", "role": "staff"})

    assert answer.status_code == 403
    assert "Intet er ændret." in Page(answer.text).text


async def test_who_asks_too_often_is_told_how_long_to_wait(
    emptied: OneDatabase, tmp_path: Path
) -> None:
    async with desk(emptied, tmp_path, requests_a_minute=2) as here:
        anna = await here.person("staff")
        for _ in range(2):
            await anna.opens("/konto")

        answer = await anna.client.get("/konto")

        assert answer.status_code == 429
        assert answer.headers["retry-after"]
        assert "Prøv igen om 31 sekunder." in Page(answer.text).texts


async def test_what_breaks_here_is_told_without_its_reason(here: Desk) -> None:
    @here.here.desk_app.get("/healthz/broken")
    async def broken() -> None:
        raise RuntimeError("a secret of the inside")

    here.here.desk_app.router.routes[-1].path = "/healthz"  # type: ignore[attr-defined] # a route with a right
    here.here.desk_app.router.routes.insert(0, here.here.desk_app.router.routes.pop())
    client = here.here.client(headers=HTML)
    client._transport.raise_app_exceptions = False  # type: ignore[attr-defined] # noqa: SLF001
    answer = await client.get("/healthz/broken")

    assert answer.status_code == 500
    assert "Noget gik galt" in Page(answer.text).texts
    assert "secret" not in answer.text


async def test_a_technician_sees_boxes_and_devices_and_no_name(here: Desk) -> None:
    flat = await here.flat()
    now, where = here.here.clock.now(), flat.municipality
    for name, home, joined in (
        ("aa-lost-1", flat.home, now),
        ("bb-well-1", flat.home, now),
        ("cc-new-1", None, None),
    ):
        await here.here.owner.execute(
            "INSERT INTO edge (municipality, name, home, joined) VALUES ($1, $2, $3, $4)",
            where,
            f"{name}-{where}",
            home,
            joined,
        )
    for name, end in (("aa-lost-1", now - timedelta(minutes=9)), ("bb-well-1", None)):
        await here.here.owner.execute(
            'INSERT INTO contact (municipality, edge, "from", "to", ended_by) '
            "SELECT $1, id, $3, $4, CASE WHEN $4::timestamptz IS NOT NULL THEN 'lost' END "
            "FROM edge WHERE municipality = $1 AND name = $2",
            where,
            f"{name}-{where}",
            now - timedelta(hours=2),
            end,
        )
    device = await here.here.device(within=here.town, address=f"A4:C1:38:AA:{where % 100:02}:01")
    await here.here.owner.execute(
        'INSERT INTO placement (municipality, device, citizen, role, room, "from") '
        "VALUES ($1, $2, $3, 'door', 'Entré', $4)",
        where,
        device["id"],
        flat.citizen,
        now - timedelta(days=1),
    )
    technician = await here.person("technician", "Nord")

    page = await technician.opens("/bokse")

    assert "Se efter: Ingen kontakt siden kl. 20:51" in page.text
    assert "Kontakt siden kl. 19:00" in page.texts
    assert "dør, Entré" in page.texts
    assert page.text.index("aa-lost-1") < page.text.index("bb-well-1")
    for name in ("Inger", "Holm", "Skovvej", "Nøgleboks"):
        assert name not in page.text
    assert ("devices.listed", flat.citizen) in await here.logged()

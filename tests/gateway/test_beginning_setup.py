"""The page "Kom i gang": each step is done there, said to be done, and refused where it must be."""

import re
from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus
from pathlib import Path

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.caller import Role
from gateway.web.board import pages
from tests.gateway.office import ADDRESS, PASSWORD, Office, office

pytestmark = pytest.mark.timeout(120)  # whoever comes first starts the database

PAGE = "/opsaetning"
HEAD = "distrikt;bolig;borger;navn;adresse;boks;enhed;rolle;rum;hjemmel\n"


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


class Browser:
    """A person at the page, who sees the page that was answered last."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self.text = ""

    async def look(self) -> str:
        answer = await self._client.get(PAGE)
        assert answer.status_code == HTTPStatus.OK, answer.text
        self.text = answer.text
        return self.text

    async def send(self, form: str, **fields: str) -> int:
        token = re.findall(r'name="csrf" value="([0-9a-f]+)"', self.text)[0]
        answer = await self._client.post(f"{PAGE}/{form}", data={"csrf": token, **fields})
        if answer.status_code == HTTPStatus.SEE_OTHER:
            await self.look()
        else:
            self.text = answer.text
        return answer.status_code

    async def upload(self, file: str) -> int:
        token = re.findall(r'name="csrf" value="([0-9a-f]+)"', self.text)[0]
        answer = await self._client.post(
            f"{PAGE}/fil",
            data={"csrf": token},
            files={"file": ("boliger.csv", file.encode(), "text/csv")},
        )
        self.text = answer.text
        return answer.status_code

    def option(self, label: str, of: str = "") -> str:
        """The value of the choice that is shown so, among those of the field `of`."""
        shown = self.text.partition(f'<select id="{of}')[2]
        found = re.search(rf'<option value="([^"]*)"[^>]*>{re.escape(label)}', shown)
        assert found is not None, label
        return found[1]

    @property
    def done(self) -> list[str]:
        found = re.findall(r'<li class="step done[^"]*"[^>]*>\s*<h2>\d\. ([^<]+)</h2>', self.text)
        return [each.strip() for each in found]

    def field(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]+)"', self.text)
        assert found is not None, name
        return found[1]


async def browser(here: Office, role: Role = "administrator", login: str = "birthe") -> Browser:
    await here.login(login, role)
    client = here.client(headers={"Sec-Fetch-Site": "same-origin"})
    done = await client.post("/login", data={"login": login, "password": PASSWORD})
    assert done.status_code == HTTPStatus.SEE_OTHER
    made = Browser(client)
    await made.look()
    return made


async def settled(here: Office) -> Browser:
    """An administrator whose municipality has a district and its first citizen."""
    made = await browser(here)
    await made.send("distrikter", districts="Nord\nSyd")
    await made.send("borger", name="Elna Holm", address="Skovvej 4", district=made.option("Nord"))
    return made


async def a_colleague_comes_in(here: Office, at: Browser) -> None:
    """With the password that the page shows, once."""
    assert await at.send("kollega", name="Bo Ib", login="Bo", role="staff", district="") == 200
    password = re.search(r"Adgangskode:</p><p><code[^>]*>([^<]+)", at.text)
    assert password is not None
    await at.look()
    assert password[1] not in at.text
    colleague = here.client(headers={"Sec-Fetch-Site": "same-origin"})
    entry = {"login": "bo", "password": password[1]}
    assert (await colleague.post("/login", data=entry)).status_code == HTTPStatus.SEE_OTHER
    assert (await colleague.get("/")).status_code == HTTPStatus.OK


async def test_the_steps_are_done_one_after_the_other_at_the_page(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    async with office(fresh_database, tmp_path, pages) as here:
        at = await browser(here)
        assert at.done == ["Administrator", "Kommunen"]
        assert "Skriv de distrikter" in at.text
        assert await at.send("distrikter", districts="Nord\nSyd\nNord") == HTTPStatus.SEE_OTHER
        assert await at.send("hold", name="Aften", district=at.option("Nord")) == 303
        await a_colleague_comes_in(here, at)

        elna = {"name": "Elna Holm", "address": "Skovvej 4", "phone": "", "entry": "Nøgleboks"}
        assert await at.send("borger", **elna, district=at.option("Nord")) == 303
        assert await at.send("boks", home=at.option("Elna Holm, Skovvej 4")) == 200
        assert f"edge join {ADDRESS}/" in at.text
        assert await at.send("boks", home=str(await here.owner.fetchval("SELECT public FROM home")))
        assert "Boligen har allerede en boks" in at.text
        device = {"device": "a4c138000001", "role": "nødkald", "room": "Stue", "basis": "samtykke"}
        elna_id = at.option("Elna Holm", "enhed-citizen")
        sent = await at.send("enhed", citizen=elna_id, model="bthome", key="0f" * 16, **device)
        assert sent == 303, at.text

        assert at.done == [
            "Administrator",
            "Kommunen",
            "Distrikter",
            "Et hold",
            "En kollega, der tager alarmer",
            "Den første borger",
            "Den første enhed",
        ]
        assert "edge join KODE" in at.text
        placed = await here.owner.fetchrow("SELECT role, room, legal_basis FROM placement")
        assert placed is not None
        assert tuple(placed) == ("call", "Stue", "consent")
        assert await here.owner.fetchval("SELECT count(*) FROM device_secret") == 1


async def test_a_box_whose_code_is_lost_is_undone_and_made_again(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    async with office(fresh_database, tmp_path, pages) as here:
        at = await settled(here)
        await at.send("boks", home=at.option("Elna Holm, Skovvej 4"))

        assert await at.send("fortryd", **{"import": at.field("import")}) == 303

        assert await at.send("boks", home=at.option("Elna Holm, Skovvej 4")) == 200
        assert await here.owner.fetchval("SELECT count(*) FROM edge") == 1


async def test_without_an_authority_no_box_is_made_and_the_page_says_why(here: Office) -> None:
    at = await settled(here)
    await here.owner.execute("DELETE FROM authority")

    assert await at.send("boks", home=at.option("Elna Holm, Skovvej 4")) == 422
    assert "gateway authority begin" in at.text
    assert await here.owner.fetchval("SELECT count(*) FROM edge") == 0


WRONG: Sequence[tuple[str, dict[str, str], str, str]] = [
    ("distrikter", {"districts": ""}, "distrikter-districts", "Skriv mindst ét distrikt."),
    ("hold", {"name": "Aften"}, "hold-district", "Vælg et distrikt."),
    ("kollega", {"name": "Bo", "login": "birthe", "role": "staff"}, "kollega-login", "i brug"),
    ("kollega", {"name": "Bo", "login": "bo", "role": "robot"}, "kollega-role", "Vælg"),
    ("borger", {"name": "010203-1234", "address": "Skovvej 4"}, "borger-name", "CPR"),
    ("enhed", {"device": "A4:C1:38:00:00:01"}, "enhed-citizen", "Vælg en borger."),
]
"""A form, what is sent, the field that is wrong, and what is said there."""


async def test_what_is_wrong_stands_beside_the_field(here: Office) -> None:
    at = await settled(here)

    for form, fields, beside, told in WRONG:
        assert await at.send(form, **fields) == 422, form
        assert re.search(rf'id="{beside}-error">[^<]*{told}', at.text), form
        assert f'href="#{beside}"' in at.text


async def test_the_registers_own_rules_hold_for_a_device(here: Office) -> None:
    at = await settled(here)
    fields = {
        "citizen": at.option("Elna Holm", "enhed-citizen"),
        "role": "nødkald",
        "basis": "samtykke",
    }

    assert await at.send("enhed", **fields, device="ikke en adresse") == 422
    assert "ikke en adresse som" in at.text
    assert await at.send("enhed", **fields, device="A4:C1:38:00:00:01") == 303
    await at.send("borger", name="Aage Lund", address="Skovvej 6", district=at.option("Syd"))
    fields["citizen"] = at.option("Aage Lund", "enhed-citizen")
    assert await at.send("enhed", **fields, device="A4:C1:38:00:00:01") == 422
    assert "placeret hos en anden borger" in at.text


async def test_a_planner_registers_but_gives_no_roles_and_others_do_not_come_in(
    here: Office,
) -> None:
    await settled(here)
    at = await browser(here, "planner", "pia")

    assert "Det gør en administrator." in at.text
    assert "/opsaetning/kollega" not in at.text
    assert await at.send("hold", name="Aften", district="") == HTTPStatus.FORBIDDEN
    for role in ("staff", "technician", "auditor", "robot"):
        answer = await (await here.as_(role)).get(PAGE)
        assert answer.status_code == HTTPStatus.FORBIDDEN, role


async def test_nothing_of_another_municipality_is_shown_or_used(here: Office) -> None:
    await settled(here)
    foreign = await here.flat(within="Odense", name="Fremmed Frida")
    at = Browser(await here.as_("administrator"))
    at = await browser(here, "administrator", "anden")

    assert "Fremmed" not in at.text
    device = {"device": "A4:C1:38:00:00:09", "role": "nødkald", "basis": "samtykke"}
    assert await at.send("enhed", citizen=str(foreign.citizen_public), **device) == 422
    assert await at.send("boks", home=str(foreign.home_public)) == 422
    assert await here.owner.fetchval("SELECT count(*) FROM placement") == 0


def twenty() -> str:
    """Homes with one citizen and one call button each, and five mistakes."""
    rows = [
        f"Nord;B{n};C{n};Borger {n};Skovvej {n};;A4:C1:38:00:01:{n:02X};nødkald;Stue;samtykke"
        for n in range(1, 21)
    ]
    rows[3] = rows[3].replace("Nord;", "Nrod;")
    rows[7] = rows[7].replace("Borger 8", "010203-1234")
    rows[11] = rows[11].replace("A4:C1:38:00:01:0C", "A4:C1:38")
    rows[15] = rows[15].replace("samtykke", "måske")
    rows[19] = rows[19].replace("A4:C1:38:00:01:14", "A4:C1:38:00:01:01")
    return HEAD + "\n".join(rows) + "\n"


async def test_twenty_homes_with_five_mistakes_are_fifteen_homes_and_five_reasons(
    here: Office,
) -> None:
    at = await settled(here)

    assert await at.upload(twenty()) == 200
    assert "Det ville ske" in at.text
    assert "15 nye, 0 ændrede, 0 uændrede, 5 afviste" in at.text
    assert await here.owner.fetchval("SELECT count(*) FROM placement") == 0
    reasons = re.findall(
        r'<th scope="row">(\d+)</th><td>[^<]*</td><td class="refused">([^<]+)', at.text
    )
    assert [line for line, _ in reasons] == ["5", "9", "13", "17", "21"]
    for (_, said), word in zip(
        reasons, ("kendte distrikter", "CPR", "adresse som", "måske", "linje 2"), strict=True
    ):
        assert word in said or "placeret hos en anden" in said, said
    assert "010203-1234" not in at.text
    content = at.field("content")
    assert await at.send("fil", content=content) == 200
    assert "Det er sket" in at.text
    assert await here.owner.fetchval("SELECT count(*) FROM placement") == 15
    import_ = re.search(r'name="import" value="([^"]+)">\s*<button[^>]*>Fortryd det hele', at.text)
    assert import_ is not None

    await at.upload(twenty())
    assert "0 nye, 0 ændrede, 15 uændrede, 5 afviste" in at.text
    assert "Der er intet at bringe ind." in at.text
    assert await here.owner.fetchval("SELECT count(*) FROM placement") == 15

    assert await at.send("fortryd", **{"import": import_[1]}) == 303
    assert await here.owner.fetchval("SELECT count(*) FROM placement") == 0
    assert await here.owner.fetchval("SELECT count(*) FROM citizen") == 1


async def test_a_file_that_is_none_is_refused_beside_its_field(here: Office) -> None:
    at = await settled(here)

    assert await at.upload("navn;cpr\nBo;1\n") == 422
    assert re.search(r'id="fil-file-error">[^<]*CPR-numre', at.text)
    assert await at.send("fil", content="%%%") == 422
    assert await at.send("fortryd", **{"import": "00000000-0000-4000-8000-000000000000"}) == 422


STAFF = "login;navn;rolle;distrikt\nanna;Anna Å;plejepersonale;Nord\nib;Ib;ukendt;Nord\n"


async def test_colleagues_come_by_file_for_who_gives_roles_and_for_nobody_else(
    here: Office,
) -> None:
    at = await settled(here)
    planner = await browser(here, "planner", "pia")

    assert await planner.upload(STAFF) == 422
    assert "Din rolle eller dit distrikt giver ikke lov" in planner.text
    assert await at.upload(STAFF) == 200
    assert "1 nye, 0 ændrede, 0 uændrede, 1 afviste" in at.text
    assert "anna · Anna Å" in at.text
    assert await at.send("fil", content=at.field("content")) == 200
    roles = "SELECT count(*) FROM access a JOIN person p ON p.id = a.person WHERE p.login = 'anna'"
    assert await here.owner.fetchval(roles) == 1
    assert await at.send("fortryd", **{"import": at.field("import")}) == 303
    assert await here.owner.fetchval(roles) == 0


async def test_placements_without_a_legal_basis_are_counted_and_given_one(here: Office) -> None:
    at = await settled(here)
    assert "mangler hjemmel" not in at.text
    for address in ("A4:C1:38:00:00:01", "A4:C1:38:00:00:02"):
        fields = {"citizen": at.option("Elna Holm", "enhed-citizen"), "device": address}
        assert await at.send("enhed", **fields, role="nødkald", basis="samtykke") == 303
    await here.owner.execute("UPDATE placement SET legal_basis = NULL, room = 'Stue'")

    await at.look()
    assert "2 placeringer mangler hjemmel" in at.text
    first = at.option("Elna Holm: nødkald, Stue, A4:C1:38:00:00:01", "hjemmel-placement")
    assert await at.send("hjemmel", placement=first, basis="") == 422
    assert await at.send("hjemmel", placement=first, basis="sel-128a") == 303

    assert "1 placering mangler hjemmel" in at.text
    assert await at.send("hjemmel", placement=first, basis="samtykke") == 422
    kept = await here.owner.fetch("SELECT legal_basis, version FROM placement ORDER BY id")
    assert [row["legal_basis"] for row in kept] == ["sel_128a", None]

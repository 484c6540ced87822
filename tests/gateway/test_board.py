"""The board: Danish, escaped, readable, and complete without any script."""

import re
from collections.abc import AsyncGenerator, Iterator
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.alerts import words
from gateway.alerts.alert import KINDS, MOVES, OUTCOMES, STATES
from gateway.web import board as board_module
from gateway.web.board import pages
from gateway.web.words import GROUP, LEVEL
from tests.gateway.office import PASSWORD, Office, office

WEB = Path(board_module.__file__).parent
VOID = {"meta", "link", "input", "br", "hr", "img"}


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, and its visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.unclosed: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and not {"script", "style"} & set(self.unclosed):
            self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.texts)


class Browser:
    """A person at a browser without script: follows links, fills in forms."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def opens(self, path: str = "/") -> Page:
        answer = await self.client.get(path, follow_redirects=True)
        assert answer.status_code == 200
        return Page(answer.text)

    async def submits(self, page: Page, action: str, **more: str) -> tuple[int, Page]:
        """Submits the page's form with that action, its hidden fields included."""
        assert action in [form["action"] for form in page.all("form")]
        hidden = {one["name"]: one["value"] for one in page.all("input") if one["type"] == "hidden"}
        answer = await self.client.post(action, data={**hidden, **more}, follow_redirects=True)
        return answer.status_code, Page(answer.text)


async def signed_in(here: Office, login: str) -> Browser:
    await here.login(login)
    client = here.client(headers={"Accept": "text/html"})
    await client.post("/login", data={"login": login, "password": PASSWORD})
    return Browser(client)


async def test_an_alert_is_taken_driven_to_and_closed_without_any_script(here: Office) -> None:
    alert = await here.alert(await here.flat())
    anna = await signed_in(here, "anna")
    path = f"/board/alerts/{alert}"

    for move, heading in (("take", "Taget"), ("set_out", "På vej"), ("arrive", "Hos borgeren")):
        status, page = await anna.submits(await anna.opens(), f"{path}/{move}")
        assert status == 200
        assert heading in page.texts
        assert "Du har den" in page.texts
    form = await anna.opens(f"{path}/close")
    status, refused = await anna.submits(form, f"{path}/close", outcome="other")
    assert (status, "Skriv en tekst" in refused.text) == (409, True)
    status, refused = await anna.submits(form, f"{path}/close")
    assert (status, "Vælg et udfald." in refused.text) == (409, True)
    status, page = await anna.submits(form, f"{path}/close", outcome="helped", text="Faldet")

    assert status == 200
    assert "Ingen åbne alarmer" in page.texts
    assert "Borgeren fik hjælp: Faldet" in page.text
    assert "Afsluttet af Anna 1: Borgeren fik hjælp, »Faldet«" in page.text
    status, page = await anna.submits(page, f"{path}/reopen")
    assert page.texts[page.texts.index("Nye") + 1] == "1"


async def test_the_second_is_told_who_has_it_and_nothing_is_lost(here: Office) -> None:
    alert = await here.alert(await here.flat())
    anna, bo = await signed_in(here, "anna"), await signed_in(here, "bo")
    seen = await bo.opens()

    await anna.submits(await anna.opens(), f"/board/alerts/{alert}/take")
    status, page = await bo.submits(seen, f"/board/alerts/{alert}/take")

    assert status == 409
    assert "Anna 1 har allerede taget alarmen." in page.texts
    assert "Anna 1 har den" in page.texts


async def test_nobody_closes_what_they_have_not_seen(here: Office) -> None:
    alert = await here.alert(await here.flat())
    anna = await signed_in(here, "anna")
    form = await anna.opens(f"/board/alerts/{alert}/close")
    await here.owner.execute("UPDATE alert SET version = version + 1")

    status, page = await anna.submits(form, f"/board/alerts/{alert}/close", outcome="helped")

    assert status == 409
    assert "Der er kommet nyt, siden du så alarmen." in page.text
    assert await here.owner.fetchval("SELECT state FROM alert") == "new"


async def test_a_foreign_alert_is_not_here(here: Office) -> None:
    foreign = await here.alert(await here.flat(within="Odense"))
    anna = await signed_in(here, "anna")
    page = await anna.opens()

    for public in (foreign, uuid4()):
        closing = await anna.client.get(f"/board/alerts/{public}/close")
        word = page.all("input")[0]["value"]
        taking = await anna.client.post(f"/board/alerts/{public}/take", data={"csrf": word})
        assert (closing.status_code, taking.status_code) == (404, 404)
        assert "Alarmen findes ikke længere her." in Page(taking.text).texts
    assert "Inger" not in page.text


async def whole_board(here: Office) -> list[Page]:
    """Every kind in every state, and every page that there is."""
    flat = await here.flat(name="Åse <script>alert(1)</script> & Søn")
    alert = uuid4()
    for kind, state in zip(KINDS, STATES, strict=True):
        alert = await here.alert(flat, kind=kind, reason="Fordi <b>nu</b>", late=True)
        await here.owner.execute(
            "UPDATE alert SET state = $2, outcome = CASE $2 WHEN 'closed' THEN 'technical' END, "
            "ended = raised WHERE public = $1",
            alert,
            state,
        )
    anna = await signed_in(here, "anna")
    return [
        Page((await here.client().get("/login")).text),
        await anna.opens(),
        await anna.opens("/board/alerts"),
        await anna.opens(f"/board/alerts/{alert}/close"),
    ]


async def test_every_word_on_every_page_is_danish_and_none_is_a_code(here: Office) -> None:
    codes = {*KINDS, *STATES, *MOVES, *OUTCOMES, "holds", "unknown", "ended"}
    pages_ = await whole_board(here)
    board = pages_[1]

    for page in pages_:
        found = codes & set(re.findall(r"[a-z_]+", page.text))
        assert not found
        assert "None" not in page.text
    for kind in KINDS:
        assert words.KIND[kind] in board.texts
    for level in LEVEL.values():
        assert level.capitalize() in board.texts
    for heading in GROUP.values():
        assert heading in board.texts
    for text in words.OUTCOME.values():
        assert text in pages_[3].texts
    assert words.LATE in board.texts


async def test_what_people_wrote_is_shown_not_run(here: Office) -> None:
    for page in await whole_board(here):
        assert page.all("b") == []
        assert all(script.get("src", "").startswith("/static/") for script in page.all("script"))
        assert page.all("style") == []
        for _, attributes in page.elements:
            assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert "Åse <script>alert(1)</script> & Søn" in (await whole_board_again(here)).text


async def whole_board_again(here: Office) -> Page:
    return await (await signed_in(here, "bo")).opens()


async def test_every_page_can_be_used_by_those_who_do_not_see_it(here: Office) -> None:
    for page in await whole_board(here):
        labels = {label.get("for") for label in page.all("label")}
        for one in page.all("input") + page.all("textarea"):
            assert one.get("type") in {"hidden", "radio"} or one["id"] in labels
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        for _, attributes in page.elements:
            assert attributes.get("aria-labelledby", ids[0] if ids else "") in [
                *ids,
                "close-heading",
            ]
        for form in page.all("form"):
            assert form["method"] == "post"
            assert form["action"].startswith("/")
        if page.all("html"):
            assert page.all("html")[0]["lang"] == "da"
            assert len(page.all("h1")) == 1
            assert page.all("main")
            assert page.all("meta")[1]["content"] == "width=device-width, initial-scale=1"


async def test_the_empty_board_says_when_it_looked(here: Office) -> None:
    page = await (await signed_in(here, "anna")).opens()

    assert "Ingen åbne alarmer" in page.texts
    assert page.texts[page.texts.index("Sidst tjekket kl.") + 1] == "21:00:00"


async def test_a_call_stands_above_every_newer_warning(here: Office) -> None:
    flat = await here.flat()
    await here.alert(flat, minutes_ago=90)
    for minutes in range(210):
        await here.alert(flat, kind="box_silent", minutes_ago=minutes / 10)

    page = await (await signed_in(here, "anna")).opens()

    kinds = [text for text in page.texts if text in ("Nødkald", "Boksen har ingen kontakt")]
    assert kinds[0] == "Nødkald"
    assert len(kinds) == 201


async def test_times_are_the_homes_own(here: Office) -> None:
    flat = await here.flat()
    for minutes in (0.5, 3, 125, 60 * 22, 60 * 24 * 3):
        await here.alert(flat, minutes_ago=minutes)
    anna = await signed_in(here, "anna")

    danish = (await anna.opens()).text
    await here.owner.execute("UPDATE home SET zone = 'America/Godthab'")
    nuuk = (await anna.opens()).text

    for expected in (
        "lige nu · kl. 20:59",
        "for 3 min siden · kl. 20:57",
        "for 2 t 5 min siden · kl. 18:55",
        "for 22 t siden · i går kl. 23:00",
        "for 3 dage siden · 27. februar kl. 21:00",
    ):
        assert expected in danish
    assert "for 3 min siden · kl. 17:57" in nuuk


async def test_a_phone_number_can_be_called_and_a_missing_one_not(here: Office) -> None:
    await here.alert(await here.flat())
    anna = await signed_in(here, "anna")

    with_phone = await anna.opens()
    await here.owner.execute("UPDATE identity.citizen SET phone = ''")
    without = await anna.opens()

    assert "tel:+4512345678" in [link.get("href") for link in with_phone.all("a")]
    assert not [link for link in without.all("a") if link.get("href", "").startswith("tel:")]


async def test_those_who_only_read_get_no_buttons(here: Office) -> None:
    alert = await here.alert(await here.flat())
    await here.login("klara", "clinical_owner")
    client = here.client(headers={"Accept": "text/html"})
    await client.post("/login", data={"login": "klara", "password": PASSWORD})

    page = await Browser(client).opens()

    assert [form["action"] for form in page.all("form")] == ["/logout"]
    assert (await client.get(f"/board/alerts/{alert}/close")).status_code == 403


async def test_static_files_may_be_kept_for_ever_and_nothing_else_is_served(here: Office) -> None:
    page = Page((await here.client().get("/login")).text)
    anyone = here.client()

    for link in page.all("link"):
        answer = await anyone.get(link["href"])
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    for name in ("..%2fboard.py", "%2e%2e", "nothing.css", "board.py"):
        assert (await anyone.get(f"/static/{name}")).status_code == 404


def test_the_script_and_the_templates_know_the_same_names() -> None:
    script = (WEB / "static" / "board.js").read_text()
    templates = "".join(path.read_text() for path in (WEB / "templates").iterdir())

    for name in set(re.findall(r'\$\("([a-z-]+)"\)', script)):
        assert f'id="{name}"' in templates
    for name in set(re.findall(r"\[data-([a-z]+)\]", script)):
        assert f"data-{name}" in templates


# ---------------------------------------------------------------- contrast, WCAG 2.1 AA

ON: dict[str, tuple[str, ...]] = {
    "ink": ("page", "paper", "alarm-paper", "advarsel-paper"),
    "soft": ("page", "paper", "alarm-paper", "advarsel-paper"),
    "main": ("page", "paper", "alarm-paper", "advarsel-paper"),
    "alarm": ("paper", "alarm-paper"),
    "advarsel": ("paper", "advarsel-paper"),
    "on-main": ("main",),
    "on-banner": ("banner",),
    "page": ("ink",),
}
"""Which text stands on which ground."""


def palettes() -> Iterator[dict[str, str]]:
    style = (WEB / "static" / "board.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light))
    yield colours
    yield colours | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark))


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", list(palettes()), ids=["light", "dark"])
def test_every_text_can_be_read_on_its_ground(palette: dict[str, str]) -> None:
    for text, grounds in ON.items():
        for ground in grounds:
            high, low = sorted((luminance(palette[text]), luminance(palette[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} on {ground}"

"""The pages in a real browser: a phone's width, a thumb, a keyboard, both themes, no script."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from playwright.async_api import Page, async_playwright

from deploy.runtime.services import OneDatabase, free_port
from gateway.store.caller import Role
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, Office, office
from tests.gateway.test_api_stream import served
from tests.gateway.test_board_browser import CHROMIUM, OPTIONS

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt: chromium)"),
]

TEST = UUID(int=7)
"""A walk test that runs."""
OPENS: dict[Role, tuple[str, ...]] = {
    "staff": ("/", "/noedaabning", "/konto", "/hvem-har-set", "/noegler", "/findes-ikke"),
    "technician": ("/bokse", "/bokse/box-1", f"/bokse/box-1/proeve/{TEST}"),
    "leader": ("/noedaabning",),
    "administrator": ("/noegler", "/login-roller", "/rettigheder"),
}
UNLABELLED = """
    [...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
        .filter(one => !one.labels || !one.labels.length).map(one => one.outerHTML)
"""
UNNAMED = """
    [...document.querySelectorAll("a, button, summary")]
        .filter(one => !one.textContent.trim()).map(one => one.outerHTML)
"""
SMALL = """
    [...document.querySelectorAll("button, a.button, summary, nav a, .choice")]
        .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 44)
        .map(one => one.outerHTML)
"""
PALE = """
    (() => {
        const parts = colour => (colour.match(/[0-9.]+/g) || []).map(Number);
        const light = colour => {
            const [r, g, b] = parts(colour).map(part => part / 255)
                .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = one => {
            for (let at = one; at; at = at.parentElement) {
                const [r, g, b, a = 1] = parts(getComputedStyle(at).backgroundColor);
                if (a > 0) return getComputedStyle(at).backgroundColor;
            }
            return "rgb(255, 255, 255)";
        };
        return [...document.querySelectorAll("body *")]
            .filter(one => one.checkVisibility())
            .filter(one => [...one.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
            .filter(one => {
                const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
                return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
            }).map(one => one.outerHTML.slice(0, 120));
    })()
"""
"""Text of less than 4.5 to 1 against what is behind it (WCAG 2.1, relative luminance)."""

_A_BOX = """
    WITH box AS (
        INSERT INTO edge (municipality, name, home)
        SELECT municipality, 'box-1', id FROM home ORDER BY id LIMIT 1 RETURNING *)
    INSERT INTO box_event (municipality, edge, occurred, received, clock, word)
    SELECT municipality, id, $1, $1, 0, word FROM box, unnest('{radio.silent,a.b}'::text[]) AS word
"""
_A_TEST = """
    WITH test AS (
        INSERT INTO walk_test (municipality, public, edge, home, started, until)
        SELECT municipality, $2, id, home, $1::timestamptz, $1::timestamptz + interval '30 minutes'
        FROM edge WHERE name = 'box-1' RETURNING *),
    placed AS (
        INSERT INTO placement (municipality, device, citizen, role, room, "from")
        SELECT t.municipality, d.id, c.id, 'call', 'Stue', $1 FROM test t
        JOIN citizen c ON c.home = t.home, (SELECT max(id) AS id FROM device) d RETURNING *)
    INSERT INTO walk_device SELECT t.municipality, t.id, p.id, '', role, room FROM placed p, test t
"""
_PRESSED = """
    INSERT INTO walk_heard (municipality, test, placement, edge, kind, active, occurred, stored,
                            clock, rssi)
    SELECT t.municipality, t.id, d.placement, t.edge, 7, true, $1::timestamptz,
           $1::timestamptz + interval '84 ms', 0, -88
    FROM walk_test t JOIN walk_device d ON d.test = t.id WHERE d.role = 'call'
"""


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    listen = f"127.0.0.1:{free_port()}"
    async with office(fresh_database, tmp_path, pages, http_listen=listen) as made:
        for role in OPENS:
            await made.login(role, role, districts=["Nord"] if role == "staff" else [])
        await made.alert(await made.flat())
        await made.alert(await made.flat(district="Syd", name="Ingrid Holm"))
        await made.device()
        await made.owner.execute(_A_BOX, made.clock.now())
        await made.owner.execute(_A_TEST, made.clock.now(), TEST)
        yield made


@asynccontextmanager
async def browser(theme: Literal["light", "dark"] = "light", **more: Any) -> AsyncGenerator[Page]:
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        context = await opened.new_context(
            viewport={"width": 360, "height": 640}, color_scheme=theme, locale="da-DK", **more
        )
        yield await context.new_page()
        await opened.close()


async def enter(phone: Page, address: str, login: str) -> None:
    await phone.context.clear_cookies()
    await phone.goto(f"{address}/login")
    await phone.fill("#login", login)
    await phone.fill("#password", PASSWORD)
    await phone.press("#password", "Enter")
    await phone.wait_for_url(lambda url: not url.endswith("/login"))


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_page_fits_a_phone_and_is_read_and_used_by_everybody(
    here: Office, theme: Literal["light", "dark"]
) -> None:
    found: list[str] = []
    async with served(here) as address, browser(theme) as phone:
        for role, paths in OPENS.items():
            await enter(phone, address, role)
            for path in paths:
                await phone.goto(address + path)
                await phone.evaluate(
                    "document.querySelectorAll('details').forEach(d => d.open = true)"
                )
                for name, asked in (
                    ("no label", UNLABELLED),
                    ("no name", UNNAMED),
                    ("small", SMALL),
                    ("pale", PALE),
                ):
                    found += [
                        f"{role} {path}: {name}: {one}" for one in await phone.evaluate(asked)
                    ]
                if await phone.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    found.append(f"{role} {path}: wider than the screen")
                if await phone.locator("h1").count() != 1:
                    found.append(f"{role} {path}: not one heading")
    assert not found, "\n".join(found)


async def test_the_first_alert_stands_whole_on_a_phones_first_screen(here: Office) -> None:
    async with served(here) as address, browser() as phone:
        await enter(phone, address, "staff")
        box = await phone.locator("article.card").first.bounding_box()
    assert box
    assert box["y"] + box["height"] <= 640


async def test_a_keyboard_goes_from_the_skip_link_through_the_menu_and_opens_a_page(
    here: Office,
) -> None:
    async with served(here) as address, browser(java_script_enabled=False) as phone:
        await enter(phone, address, "staff")
        await phone.keyboard.press("Tab")
        skip = await phone.locator(":focus").inner_text()
        await phone.keyboard.press("Tab")
        await phone.keyboard.press("Enter")
        names: list[str] = []
        for _ in range(4):
            await phone.keyboard.press("Tab")
            names.append(await phone.locator(":focus").inner_text())
            if names[-1] == "Nødåbning":
                break
        await phone.keyboard.press("Enter")
        await phone.wait_for_url("**/noedaabning")
        heading = await phone.locator("h1").inner_text()
    assert (skip, names, heading) == ("Gå til indhold", ["Alarmer", "Nødåbning"], "Nødåbning")


async def test_without_script_a_citizen_is_opened_and_a_key_can_be_marked(here: Office) -> None:
    async with served(here) as address, browser(java_script_enabled=False) as phone:
        await enter(phone, address, "staff")
        await phone.goto(f"{address}/noedaabning")
        await phone.fill("#name", "Ingrid")
        await phone.fill("#address", "Skovvej 4")
        await phone.fill("#reason", "Vagten i Syd svarer ikke")
        await phone.click("text=Åbn i 60 minutter")
        opened = await phone.locator(".opened > h3").inner_text()
        await enter(phone, address, "administrator")
        await phone.goto(f"{address}/noegler")
        await phone.fill("#name", "Vagtplan")
        await phone.click("text=Lav nøglen")
        secret = await phone.input_value("#secret")
    assert opened == "Ingrid Holm"
    assert secret.startswith("tg_")


async def test_a_walk_test_shows_a_press_without_a_reload_and_its_end(here: Office) -> None:
    async with served(here) as address, browser("dark") as phone:
        await enter(phone, address, "technician")
        await phone.goto(f"{address}/bokse/box-1/proeve/{TEST}")
        assert await phone.locator(".walk .waits").count() >= 1
        assert "Tryk på knappen." in await phone.inner_text("#walk")
        kept = await phone.evaluate("window.kept = 1")

        await phone.fill("#bemaerkning", "Kommer i morgen")
        await here.owner.execute(_PRESSED, here.clock.now())
        await phone.wait_for_selector(".walk .ok")

        told = await phone.inner_text(".walk .ok")
        assert "svagt signal: flyt boksen nærmere (-88 dBm), nået frem på 84 ms" in told
        assert await phone.evaluate("window.kept") == kept
        assert await phone.input_value("#bemaerkning") == "Kommer i morgen"
        here.clock.pass_(minutes=31)
        await phone.wait_for_selector("text=sluttede af sig selv")

"""The board in a real browser, on a phone: live, moved with a thumb, and never silently dead."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from deploy.runtime.services import OneDatabase, free_port
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, Office, office
from tests.gateway.test_api_stream import served

CHROMIUM = shutil.which("chromium")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt: chromium)"),
]


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    listen = f"127.0.0.1:{free_port()}"
    async with office(fresh_database, tmp_path, pages, http_listen=listen) as made:
        await made.login("anna")
        yield made


@pytest.fixture
async def phone() -> AsyncGenerator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = await browser.new_page(viewport={"width": 320, "height": 640}, locale="da-DK")
        yield page
        await browser.close()


async def enter(phone: Page, address: str) -> None:
    await phone.goto(address)
    await phone.fill("#login", "anna")
    await phone.fill("#password", PASSWORD)
    await phone.click("text=Log ind >> nth=-1")
    await expect(phone.locator("#connection-text")).to_have_text("forbundet")


async def test_an_alert_comes_by_itself_and_is_taken_and_closed_by_thumb(
    here: Office, phone: Page
) -> None:
    complaints: list[str] = []
    phone.on("pageerror", lambda error: complaints.append(str(error)))
    phone.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    async with served(here) as address:
        await enter(phone, address)
        await expect(phone.locator(".empty")).to_have_text("Ingen åbne alarmer")

        await here.alert(await here.flat())
        await expect(phone.locator("#news")).to_have_text("Alarm: Nødkald, Inger Holm")
        await expect(phone).to_have_title("(1) Alarmer – Trygport")  # noqa: RUF001 - Danish
        await phone.click("text=Forløb")
        await phone.click("text=Tag alarmen")
        await expect(phone.locator(".holder")).to_have_text("Du har den")
        await expect(phone.locator(".story")).to_be_visible()  # what was open stays open
        await phone.click("text=Afslut >> nth=0")
        await phone.check("text=Andet")
        await phone.click("text=Afslut alarmen")
        await expect(phone.locator("dialog .message")).to_contain_text("Skriv en tekst")
        await phone.fill("#text", "Naboen ringede")
        await phone.click("text=Afslut alarmen")
        await expect(phone.locator(".empty")).to_be_visible()
        await expect(phone.locator("dialog")).not_to_be_visible()

        wide = await phone.evaluate("document.documentElement.scrollWidth - innerWidth")
        said = [text for text in complaints if "409" not in text]  # the refused closing
    assert wide == 0
    assert said == []


async def test_everything_for_a_thumb_is_large_enough(here: Office, phone: Page) -> None:
    flat = await here.flat()
    for kind in ("call_pressed", "dose_missed", "box_silent"):
        await here.alert(flat, kind=kind)
    async with served(here) as address:
        await enter(phone, address)
        small = await phone.evaluate(
            "[...document.querySelectorAll('button, a.button, summary')]"
            ".filter(one => one.offsetParent && one.getBoundingClientRect().height < 44)"
            ".map(one => one.textContent)"
        )
    assert small == []


async def test_a_board_without_its_gateway_says_so_and_comes_back(
    here: Office, phone: Page
) -> None:
    async with served(here) as address:
        await enter(phone, address)
    await expect(phone.locator("#banner")).to_contain_text("Ingen forbindelse", timeout=40_000)
    await expect(phone.locator("#connection-text")).to_contain_text("ingen forbindelse siden kl.")

    async with served(here):
        await expect(phone.locator("#connection-text")).to_have_text("forbundet", timeout=30_000)
        await expect(phone.locator("#banner")).to_be_hidden()
        await here.alert(await here.flat())
        await expect(phone.locator("h3")).to_have_text("Nødkald")


async def test_a_board_whose_session_ended_says_so(here: Office, phone: Page) -> None:
    async with served(here) as address:
        await enter(phone, address)
        await here.owner.execute("DELETE FROM session")
        await here.alert(await here.flat())
        await expect(phone.locator("#banner")).to_contain_text("Du er logget ud", timeout=20_000)
        await phone.click("text=Log ind igen")
        await expect(phone.locator("h1")).to_have_text("Log ind")

"""The first hour: an empty database, real parts, and an alert that somebody has taken."""

import argparse
import asyncio
import base64
import contextlib
import io
import json
import re
import subprocess
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from deploy.runtime.database import Database
from deploy.runtime.paths import PYTHON
from deploy.world.home import EmulatedHome
from deploy.world.stack import Stack, clean_environment
from edge.clock import clock_from
from gateway import beginning
from gateway.store.totp import code_at, step_at
from tests.acceptance.home import eventually, soon
from tests.gateway.test_beginning_setup import twenty
from tests.gateway.test_board_browser import CHROMIUM, OPTIONS

pytestmark = pytest.mark.slow
PASSWORD = "correct horse battery"  # noqa: S105 - of a municipality that lives for one test
CITIZEN = "Elna Holm"


class Took:
    """How long each step took; printed, for a machine that is busy says nothing about people."""

    def __init__(self, way: str) -> None:
        self._way, self._begun, self._last = way, time.monotonic(), time.monotonic()

    def step(self, name: str) -> None:
        now = time.monotonic()
        print(f"{self._way}: {name} {now - self._last:.1f} s ({now - self._begun:.1f} s)")  # noqa: T201
        self._last = now


@asynccontextmanager
async def empty(database: Database, folder: Path, **settings: str) -> AsyncGenerator[Stack]:
    """A gateway whose schema is there and nothing else."""
    made = await asyncio.to_thread(
        lambda: Stack.start(folder / "centre", database=database, settings=settings)
    )
    try:
        await asyncio.to_thread(made.start_gateway)
        yield made
    finally:
        await asyncio.to_thread(made.stop)


@asynccontextmanager
async def unjoined(folder: Path) -> AsyncGenerator[EmulatedHome]:
    clock = clock_from("wall")
    now = lambda: clock.now_ms() / 1000  # noqa: E731 - seconds for the dispenser
    async with EmulatedHome(folder / "home", clock="wall", now=now) as home:
        yield home


async def hears(home: EmulatedHome) -> None:
    """The box is told of the button."""
    config, address = home.folder / "config.json", home.devices.button.address
    await soon(lambda: config.exists() and address in config.read_text(), "the box is told")


def code_of(otpauth: str) -> str:
    """What a phone shows that has read this."""
    found = re.search(r"secret=([A-Z2-7]+)", otpauth)
    assert found is not None, otpauth
    return code_at(base64.b32decode(found[1]), step_at(datetime.now(UTC)))


# ---------------------------------------------------------------- by page


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt: chromium)")
async def test_the_first_hour_by_page(database: Database, tmp_path: Path) -> None:
    took = Took("by page")
    async with (
        empty(database, tmp_path, production="true") as stack,
        unjoined(tmp_path) as home,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        desk = await browser.new_context(ignore_https_errors=True, locale="da-DK")
        page = await desk.new_page()
        took.step("started")
        await begun(page, stack)
        took.step("administrator, municipality, districts")
        nurse = await team_and_colleague(page)
        await citizen_and_box(page, home)
        took.step("team, colleague, citizen, box joined")
        await placed(page, home)
        took.step("device placed")
        phone = await browser.new_context(
            ignore_https_errors=True, viewport={"width": 360, "height": 740}
        )
        board = await signed_in(phone, stack, nurse)
        home.devices.button.press()
        await until(page, "Den første alarm", "Alarmen er modtaget")
        took.step("alert received")
        await expect(board.locator(".card .name")).to_have_text(CITIZEN, timeout=20_000)
        await board.click("text=Tag alarmen")
        await expect(board.locator(".holder")).to_have_text("Du har den")
        await page.reload()
        await expect(page.locator("#fremgang")).to_contain_text("9 af 9 trin er klar")
        took.step("alert on the board, taken")
        await twenty_homes(page, tmp_path)
        took.step("twenty homes from a file")
        await browser.close()
        assert stack.complaints() == []


async def begun(page: Page, stack: Stack) -> None:
    log = stack.folder / "gateway.log"
    await soon(lambda: "/begynd?kode=" in log.read_text(), "the link is printed")
    link = re.search(r"https://\S+/begynd\?kode=\S+", log.read_text())
    assert link is not None
    await page.goto(link[0])
    assert "kode=" not in page.url
    await page.fill("#municipality", "Kalundborg")
    await page.fill("#districts", "Nord\nSyd")
    await page.fill("#name", "Birthe Skov")
    await page.fill("#login", "birthe")
    await page.fill("#password", PASSWORD)
    await page.fill("#code", code_of(await page.locator("#otpauth").text_content() or ""))
    await page.click("text=Opret kommunen og log ind")
    await expect(page.locator("#fremgang")).to_contain_text("3 af 9 trin er klar")


async def team_and_colleague(page: Page) -> tuple[str, str, str]:
    """The nurse's login, password and what their phone reads."""
    await page.fill("#hold-name", "Aften")
    await page.select_option("#hold-district", label="Nord")
    await page.click("text=Opret holdet")
    await page.fill("#kollega-name", "Bo Ib")
    await page.fill("#kollega-login", "bo")
    await page.select_option("#kollega-role", "staff")
    await page.click("text=Opret kollegaen")
    told = await page.locator("#givet code").all_text_contents()
    assert len(told) == 3, told
    return told[0], told[1], told[2]


async def citizen_and_box(page: Page, home: EmulatedHome) -> None:
    await page.fill("#borger-name", CITIZEN)
    await page.fill("#borger-address", "Skovvej 4")
    await page.select_option("#borger-district", label="Nord")
    await page.click("text=Opret borgeren")
    await page.select_option("#boks-home", label=f"{CITIZEN}, Skovvej 4")
    await page.click("button:has-text('Lav en boks')")
    (join,) = await page.locator("#givet code").all_text_contents()
    await asyncio.to_thread(home.join, join.removeprefix("edge join "))
    home.start_box()
    await until(page, "Den første enhed", "Næste trin")


async def placed(page: Page, home: EmulatedHome) -> None:
    await page.select_option("#enhed-citizen", label=f"{CITIZEN}, Skovvej 4")
    await page.fill("#enhed-device", home.devices.button.address)
    await page.select_option("#enhed-model", "call_button")
    await page.select_option("#enhed-role", "nødkald")
    await page.fill("#enhed-room", "Halssmykke")
    await page.select_option("#enhed-basis", "samtykke")
    await page.click("text=Placér enheden")
    await expect(page.locator("#fremgang")).to_contain_text("8 af 9 trin er klar")
    await hears(home)


async def signed_in(phone: BrowserContext, stack: Stack, nurse: tuple[str, str, str]) -> Page:
    """The board on the nurse's phone."""
    login, password, otpauth = nurse
    page = await phone.new_page()
    await page.goto(f"https://{stack.environment['public_address']}/login")
    await page.fill("#login", login)
    await page.fill("#password", password)
    await page.fill("#code", code_of(otpauth))
    await page.click("text=Log ind >> nth=-1")
    await expect(page.locator("#connection-text")).to_have_text("forbundet")
    return page


async def twenty_homes(page: Page, folder: Path) -> None:
    """Five mistakes are five refusals, fifteen are placed, and again nothing changes."""
    file = folder / "boliger.csv"
    file.write_text(twenty())

    async def tried() -> None:
        await page.set_input_files("#fil-file", file)
        await page.click("text=Se, hvad der ville ske")

    await tried()
    await expect(page.locator("#fil td.refused")).to_have_count(5)
    await page.click("text=Bring rækkerne ind")
    await expect(page.locator("#fil [role=status]").first).to_contain_text("15 nye")
    await tried()
    await expect(page.locator("#fil [role=status]").first).to_contain_text("15 uændrede, 5 afviste")


async def until(page: Page, step: str, state: str) -> None:
    """Look at the page again until the step is in that state."""

    async def seen() -> bool:
        await page.reload()
        card = page.locator(".step", has=page.locator("h2", has_text=step))
        return state in (await card.first.text_content() or "")

    await eventually(seen, f"{step}: {state}")


# ---------------------------------------------------------------- by command


class Shell:
    """An operator's terminal: `gateway …` with the settings of this stack."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        commands = folder / "bin"
        commands.mkdir()
        gateway = commands / "gateway"
        gateway.write_text(f'#!/bin/sh\nexec {PYTHON} -P -m gateway.main "$@"\n')
        gateway.chmod(0o755)
        told = {f"GATEWAY_{name.upper()}": value for name, value in stack.environment.items()}
        root = str(Path(__file__).parents[2])
        path = f"{commands}:/usr/bin:/bin"
        self._environment = {**clean_environment(), **told, "PATH": path, "PYTHONPATH": root}
        self._folder, self._settings = folder, stack.settings()

    async def run(self, line: str) -> tuple[int, str]:
        """What is typed, word for word; the exit code and what was printed."""
        done = await asyncio.to_thread(
            subprocess.run,
            ["/bin/sh", "-c", line],
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    async def missing(self) -> tuple[str | None, str]:
        """The first step that is missing, and the next command."""
        parser, said = argparse.ArgumentParser(), io.StringIO()
        beginning.add_arguments(parser.add_subparsers())
        with contextlib.redirect_stdout(said):  # a process of its own only for what is typed
            arguments = parser.parse_args(["begin", "--json"])
            code = await beginning.run(arguments, self._settings)
        told: Mapping[str, Any] = json.loads(said.getvalue())
        (one,) = told["municipalities"]
        assert (code == 0) == (one["missing"] is None)
        return one["missing"], one["next"]

    async def follow(self, step: str, words: Mapping[str, str]) -> str:
        """Type the next command with the operator's own words in it; what it printed."""
        missing, line = await self.missing()
        assert missing == step, line
        for name, word in words.items():
            assert name in line, line
            line = line.replace(name, word)
        code, said = await self.run(line)
        assert code == 0 or line.startswith("gateway begin"), said
        return said.strip()


async def test_the_first_hour_by_command(database: Database, tmp_path: Path) -> None:
    took = Took("by command")
    async with empty(database, tmp_path) as stack, unjoined(tmp_path) as home:
        shell = Shell(stack, tmp_path)
        took.step("started")
        first = {"KOMMUNE": "Kalundborg", "DISTRICT": "Nord", "LOGIN": "birthe"}
        await shell.follow("administrator", {**first, "NAME": "'Birthe Skov'"})
        await shell.follow("team", {"TEAM": "Aften"})
        password = await shell.follow("people", {"LOGIN": "bo", "NAME": "'Bo Ib'"})
        took.step("administrator, municipality, district, team, colleague")
        words = {"HOME": "B1", "CITIZEN": "C1", "NAME": CITIZEN, "ADDRESS": "Skovvej 4"}
        await shell.follow("citizen", words)
        join = (await shell.follow("box", {})).splitlines()[1]
        assert "edge join CODE" in (await shell.missing())[1]
        await asyncio.to_thread(home.join, join)
        home.start_box()
        await eventually(lambda: _reached(shell, "device"), "the box has contact")
        took.step("citizen, box joined")
        address = home.devices.button.address
        await shell.follow("device", {"A4:C1:38:00:00:01": address, "ROOM": "Halssmykke"})
        await hears(home)
        took.step("device placed")
        home.devices.button.press()
        await eventually(lambda: _received(shell), "an alert")
        await _take(stack, password)
        assert await shell.missing() == (None, "")
        code, said = await shell.run("gateway begin")
        assert (code, said.splitlines()[-1]) == (0, "everything is there")
        took.step("alert received and taken")


async def _reached(shell: Shell, step: str) -> bool:
    return (await shell.missing())[0] == step


async def _received(shell: Shell) -> bool:
    return "Tag alarmen" in (await shell.missing())[1]


async def _take(stack: Stack, password: str) -> None:
    """As the colleague's browser does."""
    async with httpx2.AsyncClient(base_url=stack.address) as browser:
        await browser.post("/login", data={"login": "bo", "password": password})
        board = (await browser.get("/")).text
        assert CITIZEN in board
        take = re.search(r'action="(/board/alerts/[^/]+/take)"', board)
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', board)
        assert take is not None
        assert token is not None
        done = await browser.post(take[1], data={"csrf": token[1]})
    assert done.status_code == HTTPStatus.SEE_OTHER

"""An office whose people sign in by a provider, which runs as a process of its own."""

import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from deploy.runtime.paths import ROOT
from deploy.runtime.ports import answers
from deploy.runtime.services import Guarded, OneDatabase, free_port
from gateway.web.board import pages
from tests.gateway.office import Office, office

CLIENT, SECRET = "trygport", "a secret: & more"
REDIRECT = "http://gateway/login/back"
NURSE = {"groups": ["nurses", "canteen"], "name": "Anna Holm", "preferred_username": "Anna"}


class Provided:
    """The provider process, as a test sees it."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    def settings(self) -> dict[str, Any]:
        """The gateway's settings for it."""
        return {
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_redirect": REDIRECT,
            "oidc_municipality": "Kalundborg",
        }

    async def world(self, **world: Any) -> None:
        """Who signs in, and what is wrong with the tokens: see deploy/world/provider.py."""
        async with httpx2.AsyncClient(verify=False) as http:
            (await http.put(f"{self.issuer}/world", json=world)).raise_for_status()

    async def rotate(self) -> None:
        async with httpx2.AsyncClient(verify=False) as http:
            (await http.post(f"{self.issuer}/world/rotate")).raise_for_status()

    async def asked_for_keys(self) -> int:
        async with httpx2.AsyncClient(verify=False) as http:
            answer = await http.get(f"{self.issuer}/world")
        return int(answer.json()["asked_for_keys"])


@contextmanager
def provider(folder: Path) -> Generator[Provided]:
    """The provider, started and stopped."""
    port = free_port()
    command = [sys.executable, "-m", "deploy.world.provider", "--port", str(port)]
    command += ["--client", CLIENT, "--secret", SECRET, "--redirect", REDIRECT]
    started = Guarded.start(
        ["env", f"PYTHONPATH={ROOT}", *command], log=folder / "provider.log", grace=3
    )
    try:
        started.wait_until(lambda: answers(port))
        yield Provided(f"http://127.0.0.1:{port}")
    finally:
        started.stop()


@asynccontextmanager
async def office_at(there: Provided, database: OneDatabase, folder: Path) -> AsyncGenerator[Office]:
    """An office at that provider, where nurses are staff of the district Nord."""
    async with office(database, folder, pages, **there.settings()) as made:
        made.clock.moment = datetime.now(UTC)
        await mapped(made, "nurses", "staff", "Nord")
        yield made


async def left(browser: httpx2.AsyncClient) -> str:
    """The browser leaves for the provider: the address that it is sent to."""
    answer = await browser.get("/login/provider")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def at_provider(address: str) -> dict[str, str]:
    """What the provider sends the browser back with."""
    async with httpx2.AsyncClient(verify=False) as http:
        answer = await http.get(address)
    assert answer.status_code == 303, answer.text
    return {
        name: one[0] for name, one in parse_qs(urlsplit(answer.headers["location"]).query).items()
    }


async def signed_in(browser: httpx2.AsyncClient) -> httpx2.Response:
    """The whole way there and back; the gateway's answer to the browser that comes back."""
    back = await at_provider(await left(browser))
    return await browser.get("/login/back", params=back)


async def is_in(browser: httpx2.AsyncClient) -> bool:
    return (await browser.get("/session")).status_code == 200


async def refused(here: Office) -> str:
    """Somebody tries to come in, and does not: the page that they are shown."""
    browser = here.client()
    before = await here.owner.fetchval("SELECT count(*) FROM session")
    answer = await signed_in(browser)
    assert answer.status_code == 401
    assert not await is_in(browser)
    assert await here.owner.fetchval("SELECT count(*) FROM session") == before
    return answer.text


async def mapped(here: Office, value: str, role: str, *districts: str) -> None:
    """Whoever has this value among their groups has this role in Kalundborg."""
    where = await here.municipality()
    numbers = [await here.district(name) for name in districts]
    await here.owner.execute(
        "INSERT INTO oidc_mapping (municipality, claim, value, role, districts) "
        "VALUES ($1, 'groups', $2, $3, $4)",
        where,
        value,
        role,
        numbers or None,
    )


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was logged: on standard output, or as a command's log on standard error."""
    return "".join(capsys.readouterr())

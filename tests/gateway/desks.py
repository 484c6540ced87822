"""People at a browser, each in an office of a municipality of their own in one shared database."""

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from deploy.runtime.services import OneDatabase
from gateway.store.caller import Role
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, Office, office
from tests.gateway.test_board import Page

HTML: Mapping[str, str] = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


class Desk:
    """One municipality among others; its people sign in and open pages."""

    def __init__(self, here: Office) -> None:
        self.here = here
        self.town = f"By {secrets.token_hex(4)}"

    async def person(self, role: Role, *districts: str) -> "Person":
        """Signed in, at a browser without script."""
        login = f"{role}-{secrets.token_hex(4)}"
        await self.here.login(login, role, within=self.town, districts=districts)
        client = self.here.client(headers=HTML)
        await client.post("/login", data={"login": login, "password": PASSWORD})
        return Person(client, login)

    async def flat(self, district: str = "Nord", name: str = "Inger Holm") -> Any:
        return await self.here.flat(within=self.town, district=district, name=name)

    async def logged(self) -> list[Any]:
        """What stands in this municipality's access log beside signing in."""
        where = await self.here.municipality(self.town)
        rows = await self.here.owner.fetch(
            "SELECT what, citizen FROM access_log WHERE municipality = $1 ORDER BY id", where
        )
        return [(row["what"], row["citizen"]) for row in rows if "signed" not in row["what"]]


class Person:
    """Somebody at a browser."""

    def __init__(self, client: httpx2.AsyncClient, login: str) -> None:
        self.client = client
        self.login = login

    async def opens(self, path: str, status: int = 200) -> Page:
        answer = await self.client.get(path, follow_redirects=True)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("text/html")
        return Page(answer.text)

    async def lands(self) -> str:
        """The path of the page that the start page leads to."""
        answer = await self.client.get("/", follow_redirects=True)
        assert answer.status_code == 200
        return answer.url.path

    async def sends(self, page: Page, action: str, **fields: Any) -> tuple[int, Page]:
        """The form with that action, as the page's own word allows."""
        assert action in [form["action"] for form in page.all("form")]
        words = [one["value"] for one in page.all("input") if one.get("name") == "csrf"]
        answer = await self.client.post(
            action, data={"csrf": words[0], **fields}, follow_redirects=True
        )
        return answer.status_code, Page(answer.text)


def links(page: Page) -> list[str]:
    """Where the menu leads."""
    return [link["href"] for link in page.all("a") if link.get("href", "").startswith("/")]


@asynccontextmanager
async def desk(database: OneDatabase, folder: Path, **settings: Any) -> AsyncGenerator[Desk]:
    async with office(database, folder, pages, **settings) as here:
        yield Desk(here)

"""The API does what it says of itself for a planner too, and for who alone may ask for more."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase, free_port
from gateway.api.rights import RIGHTS
from gateway.store.caller import ROLES, Role
from gateway.web.board import pages
from tests.gateway.asked import asker, may
from tests.gateway.described import held_to_its_word, serving, shown
from tests.gateway.office import Office, office

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    listen = f"127.0.0.1:{free_port()}"
    async with office(fresh_database, tmp_path, pages, http_listen=listen) as made:
        yield made


async def test_whatever_a_planner_asks_the_api_does_what_it_says_of_itself(here: Office) -> None:
    asks = await asker(here, "planner")
    again = [way for way in RIGHTS if may("administrator", way)]  # test_described covers these
    async with serving(here, pages) as address:
        tally = await held_to_its_word(here, asks, address, most=4, sparing=again)

    shown(tally, asks.role)


@pytest.mark.parametrize("role", ["staff", "leader"])
async def test_what_only_others_may_ask_does_what_it_says_too(here: Office, role: Role) -> None:
    asks = await asker(here, role)
    only = [way for way in RIGHTS if may(role, way) and not _before(way)]
    async with serving(here, pages) as address:
        tally = await held_to_its_word(here, asks, address, most=10, only=only)

    shown(tally, role)


def _before(way: str) -> bool:
    return may("administrator", way) or may("planner", way)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", ROLES)
async def test_every_role_asks_for_long(here: Office, role: Role) -> None:
    asks = await asker(here, role)
    async with serving(here, pages) as address:
        tally = await held_to_its_word(here, asks, address, most=200)

    shown(tally, role)

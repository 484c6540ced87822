"""A board that is open already hears of a citizen opened in an emergency, and then no more."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from deploy.runtime.services import OneDatabase, free_port
from gateway.web.board import pages
from tests.gateway.office import Flat, Office, office
from tests.gateway.test_api_stream import Told, alert_of, board, served
from tests.gateway.test_emergencies import opened


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(
        fresh_database, tmp_path, pages, http_listen=f"127.0.0.1:{free_port()}"
    ) as made:
        yield made


async def hears_nothing_of(here: Office, told: Told, strange: Flat, own: Flat) -> None:
    """What is told next is of `own`, though `strange` called before."""
    await here.alert(strange)
    alert = await here.alert(own)
    assert await alert_of(told) == str(alert)


async def staff(here: Office, *districts: str) -> tuple[str, httpx2.AsyncClient]:
    key = await here.key("staff", districts=districts)
    return key, here.client(headers={"Authorization": f"Bearer {key}"})


async def test_an_open_board_hears_of_an_opened_citizen_for_an_hour_and_nobody_else_does(
    here: Office,
) -> None:
    north, south = await here.flat(), await here.flat(district="Syd")
    (anna, asks), (bo, _) = await staff(here, "Nord"), await staff(here, "Nord")

    async with served(here) as address, board(address, anna) as her, board(address, bo) as his:
        await hears_nothing_of(here, her, south, north)
        assert (await opened(asks, south)).status_code == 201
        assert await her.next() == ("reload", {}), "there may be alerts of the citizen already"
        during = await here.alert(south)
        assert await alert_of(her) == str(during)
        here.clock.pass_(minutes=59, seconds=59)
        last = await here.alert(south)
        assert await alert_of(her) == str(last)
        here.clock.pass_(seconds=1)
        assert await her.next() == ("reload", {}), "what was seen is to be seen no more"
        await hears_nothing_of(here, her, south, north)
        heard = [await alert_of(his), await alert_of(his)]

    assert not {str(during), str(last)} & set(heard)


async def test_the_hour_has_ended_also_before_the_board_is_told_so(here: Office) -> None:
    north, south = await here.flat(), await here.flat(district="Syd")
    anna, asks = await staff(here, "Nord")

    async with served(here) as address, board(address, anna) as told:
        await opened(asks, south)
        assert await told.next() == ("reload", {})
        alert = await here.alert(south)
        assert await alert_of(told) == str(alert)
        here.clock.pass_(minutes=60)
        await here.alert(south)
        await here.alert(north)
        seen = [await told.next(), await told.next()]

    names = sorted(event[0] for event in seen if event)
    assert names == ["alert", "reload"], "the one alert is of the own district"


async def test_a_board_that_is_opened_after_the_citizen_hears_too(
    here: Office,
) -> None:
    south = await here.flat(district="Syd")
    anna, asks = await staff(here, "Nord")
    await opened(asks, south)

    async with served(here) as address, board(address, anna) as told:
        alert = await here.alert(south)
        assert await alert_of(told) == str(alert)


async def test_a_second_opening_goes_on_where_the_first_ends(here: Office) -> None:
    south = await here.flat(district="Syd")
    anna, asks = await staff(here, "Nord")

    async with served(here) as address, board(address, anna) as told:
        for minutes in (0, 40):
            here.clock.pass_(minutes=minutes)
            await opened(asks, south)
            assert await told.next() == ("reload", {})
        here.clock.pass_(minutes=50)
        await asyncio.sleep(1.2)  # the look at what is over, which must not end this one
        alert = await here.alert(south)
        assert await alert_of(told) == str(alert)

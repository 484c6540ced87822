"""Many at once on few connections: what one may see never reaches another."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from deploy.runtime.services import OneDatabase
from gateway.reads import homes
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.pool import Connection, Pool
from tests.gateway.office import Office, office
from tests.gateway.strangers import nobody, place
from tests.gateway.throng import five_connections

pytestmark = pytest.mark.slow

MANY = 2_000
FORGOTTEN = 10
"""Of so many requests one forgets to say for whom it asks."""
Begin = Callable[[Pool, Caller], AbstractAsyncContextManager[Connection]]


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


@asynccontextmanager
async def saying_it_for_the_session(pool: Pool, caller: Caller) -> AsyncGenerator[Connection]:
    """The sabotage: settings that do not end with the transaction."""
    async with pool.acquire() as db, db.transaction():
        await db.execute(
            "SELECT set_config('trygport.municipality', $1, false), "
            "set_config('trygport.person', $2, false), set_config('trygport.role', $3, false)",
            str(caller.municipality),
            str(caller.person),
            caller.role,
        )
        yield db


def staff_of(municipality: int) -> Caller:
    return Caller(municipality=municipality, person=1, public=UUID(int=0), name="", role="staff")


async def crossings(here: Office, database: OneDatabase, begin: Begin) -> list[str]:
    """Rows that reached somebody whose they are not, of MANY requests of two municipalities."""
    await here.login("anna", within="Kalundborg")
    await here.login("bo", within="Odense")
    places = [
        await place(here, within="Kalundborg", district="Nord", name="Ingrid"),
        await place(here, within="Odense", district="Midt", name="Gudrun"),
    ]
    crossed: list[str] = []

    async def one(pool: Pool, number: int) -> None:
        mine, other = places[number % 2], places[1 - number % 2]
        caller, forgets = staff_of(mine.flat.municipality), number % FORGOTTEN == 0
        other_caller = staff_of(other.flat.municipality)
        async with nobody(pool) if forgets else begin(pool, caller) as db:
            # the forgetful one has no filter of its own either
            for asked in (caller, other_caller) if forgets else (caller,):
                found = await homes.homes(db, asked, after=None, limit=50)
                expected = [] if forgets else [mine.flat.home_public]
                if [home.public for home in found] != expected:
                    crossed.append(f"request {number} of {mine.district} saw {found}")

    async with five_connections(database) as pool, asyncio.TaskGroup() as group:
        for number in range(MANY):
            group.create_task(one(pool, number))
    return crossed


async def test_two_thousand_requests_of_two_municipalities_cross_no_row(
    here: Office, fresh_database: OneDatabase
) -> None:
    assert await crossings(here, fresh_database, asking) == []


async def test_words_that_stay_with_the_connection_are_seen_to_cross(
    here: Office, fresh_database: OneDatabase
) -> None:
    assert await crossings(here, fresh_database, saying_it_for_the_session) != []

"""Hand-made SQL as the API's own role puts nothing in the access log that harms it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from asyncpg.exceptions import CheckViolationError

from deploy.runtime.services import OneDatabase
from gateway.store.asking import NotAllowed, asking
from gateway.store.caller import Caller
from gateway.store.chain import link
from gateway.store.looks import changed
from gateway.store.sessions import caller_by_key
from tests.gateway.office import Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncIterator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def staff(here: Office) -> Caller:
    found = await caller_by_key(here.pool, await here.key("staff"), here.clock.now())
    assert found is not None
    return found


async def test_nobody_says_which_number_a_row_of_the_log_has(here: Office) -> None:
    caller = await staff(here)

    with pytest.raises(NotAllowed):
        async with asking(here.pool, caller) as db:
            await db.execute(
                "INSERT INTO access_log (municipality, id, at, person, role, what) "
                "OVERRIDING SYSTEM VALUE VALUES ($1, 2, $2, $3, 'staff', 'alert.seen')",
                caller.municipality,
                here.clock.now(),
                caller.person,
            )


async def test_nobody_says_that_they_looked_in_a_role_that_is_not_the_one_they_act_in(
    here: Office,
) -> None:
    caller = await staff(here)

    with pytest.raises(NotAllowed):
        async with asking(here.pool, caller) as db:
            await db.execute(
                "INSERT INTO access_log (municipality, at, person, role, what) "
                "VALUES ($1, $2, $3, 'administrator', 'alert.seen')",
                caller.municipality,
                here.clock.now(),
                caller.person,
            )


@pytest.mark.parametrize("at", ["infinity", "-infinity"])
async def test_no_time_without_an_end_stops_the_chain(here: Office, at: str) -> None:
    caller = await staff(here)

    with pytest.raises(CheckViolationError):
        async with asking(here.pool, caller) as db:
            await db.execute(
                "INSERT INTO access_log (municipality, at, person, role, what) "
                "VALUES ($1, $2::text::timestamptz, $3, 'staff', 'alert.seen')",
                caller.municipality,
                at,
                caller.person,
            )

    async with asking(here.pool, caller) as db:
        await changed(db, caller, "alert.take", None, here.clock.now())
    assert await link(here.pool) == 1

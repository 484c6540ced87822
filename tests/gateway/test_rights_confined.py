"""An administrator of one district gives nobody more than that district, by SQL either."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.asking import NotAllowed, asking
from gateway.store.caller import Caller
from tests.gateway.office import Office, office

_GIVE = "INSERT INTO access (municipality, person, role, districts) VALUES ($1, $2, 'staff', $3)"


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def confined(here: Office) -> tuple[Caller, int, int]:
    """The administrator of Nord, the number of Nord and of Syd."""
    await here.login("anna")
    nord, syd = await here.district("Nord"), await here.district("Syd")
    row = await here.owner.fetchrow("SELECT municipality, id FROM person WHERE login = 'anna'")
    assert row is not None
    caller = Caller(
        municipality=row["municipality"],
        person=row["id"],
        public=uuid4(),
        name="Anna",
        role="administrator",
        districts=frozenset({nord}),
    )
    return caller, nord, syd


@pytest.mark.parametrize("wanted", ["all", "another", "own and another"])
async def test_nobody_is_given_more_than_one_has(here: Office, wanted: str) -> None:
    caller, nord, syd = await confined(here)
    districts = {"all": None, "another": [syd], "own and another": [nord, syd]}[wanted]

    with pytest.raises(NotAllowed):
        async with asking(here.pool, caller) as db:
            await db.execute(_GIVE, caller.municipality, caller.person, districts)


async def test_what_one_has_may_be_given_and_never_widened(here: Office) -> None:
    caller, nord, syd = await confined(here)
    await here.owner.execute("DELETE FROM session; DELETE FROM access")
    async with asking(here.pool, caller) as db:
        await db.execute(_GIVE, caller.municipality, caller.person, [nord])

    for wider in (None, [nord, syd]):
        with pytest.raises(NotAllowed):
            async with asking(here.pool, caller) as db:
                await db.execute("UPDATE access SET districts = $1", wider)

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


async def test_nobody_makes_a_key_that_acts_as_a_colleague(here: Office) -> None:
    caller, nord, _ = await confined(here)
    await here.login("bo", "staff", districts=["Nord"])
    access = await here.owner.fetchval(
        "SELECT id FROM access WHERE role = 'staff' AND person <> $1", caller.person
    )

    with pytest.raises(NotAllowed):
        async with asking(here.pool, caller) as db:
            await db.execute(
                "INSERT INTO api_key (municipality, access, hash, districts, expires) "
                "VALUES ($1, $2, 'abc', $3, $4)",
                caller.municipality,
                access,
                [nord],
                here.clock.now(),
            )


async def test_whether_another_municipalitys_device_has_spoken_is_told_to_nobody(
    here: Office,
) -> None:
    caller, _, _ = await confined(here)
    spoke, quiet = await here.device(within="Odense"), await here.device(within="Odense")
    await here.owner.execute(
        "INSERT INTO observation VALUES ($1, 1, $2, $2, 0, 1.0, NULL, 0, 1)",
        spoke["id"],
        here.clock.now(),
    )

    async with asking(here.pool, caller) as db:
        told = [
            await db.fetchval("SELECT never_used('device', $1)", one["id"])
            for one in (spoke, quiet)
        ]

    assert told[0] == told[1]

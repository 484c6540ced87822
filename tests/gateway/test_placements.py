"""A placement is never ended in a way that leaves a call for help unheard or disowned."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from gateway.store.pool import connect_to
from tests.gateway.office import Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def a_button(here: Office, role: str = "call") -> Any:
    """A device placed half an hour ago."""
    flat, device = await here.flat(), await here.device()
    answer = await (await here.as_("technician")).post(
        f"/devices/{device['public']}/placements",
        json={"citizen": str(flat.citizen_public), "role": role, "legal_basis": "samtykke"},
    )
    assert answer.status_code == 201
    here.clock.pass_(minutes=30)
    return answer.json()


async def pressed(here: Office, minutes_ago: float, kind: Kind) -> None:
    await here.owner.execute(
        "INSERT INTO observation SELECT id, $1, $2, $2, 0, 1.0, NULL, 0, 1 FROM device",
        kind,
        here.clock.now() - timedelta(minutes=minutes_ago),
    )


async def end(here: Office, placement: Any, *, minutes_ago: float) -> Any:
    at = here.clock.now() - timedelta(minutes=minutes_ago)
    technician = await here.as_("technician")
    return await technician.post(f"/placements/{placement['id']}/end", json={"at": at.isoformat()})


async def test_an_end_to_come_is_refused_and_the_box_goes_on_hearing(here: Office) -> None:
    placement = await a_button(here)

    refused = await end(here, placement, minutes_ago=-60)

    assert refused.status_code == 422
    assert refused.json()["type"] == "/problems/not-yet"
    assert here.clock.now().isoformat() in refused.json()["detail"]
    assert await here.owner.fetchval('SELECT "to" FROM placement') is None


async def test_a_beginning_to_come_is_refused_for_it_could_not_be_ended(here: Office) -> None:
    flat, device = await here.flat(), await here.device()
    later = here.clock.now() + timedelta(days=1)

    refused = await (await here.as_("technician")).post(
        f"/devices/{device['public']}/placements",
        json={
            "citizen": str(flat.citizen_public),
            "role": "call",
            "legal_basis": "samtykke",
            "from": later.isoformat(),
        },
    )

    assert refused.status_code == 422
    assert await here.owner.fetchval("SELECT count(*) FROM placement") == 0


@pytest.mark.parametrize("kind", [Kind.CALL_PRESSED, Kind.BUTTON])
async def test_no_end_is_put_before_a_call_that_was_heard(here: Office, kind: Kind) -> None:
    placement = await a_button(here)
    await pressed(here, 20, kind)
    await pressed(here, 10, kind)
    called = here.clock.now() - timedelta(minutes=10)

    before = await end(here, placement, minutes_ago=15)
    with_it = await end(here, placement, minutes_ago=10)
    after = await end(here, placement, minutes_ago=9)

    assert (before.status_code, with_it.status_code, after.status_code) == (409, 409, 200)
    assert called.isoformat() in before.json()["detail"]


async def test_what_is_no_call_does_not_stand_in_the_way(here: Office) -> None:
    door = await a_button(here, "door")
    await pressed(here, 10, Kind.BUTTON)

    assert (await end(here, door, minutes_ago=15)).status_code == 200


async def test_an_end_waits_for_whoever_has_the_device(
    here: Office, fresh_database: OneDatabase
) -> None:
    placement = await a_button(here)

    async with connect_to(fresh_database.dsn()) as db:
        async with db.transaction():
            await db.execute("SELECT FROM device FOR UPDATE")
            ending = asyncio.create_task(end(here, placement, minutes_ago=15))
            await asyncio.wait([ending], timeout=0.5)
            waited = not ending.done()
            await pressed(here, 10, Kind.CALL_PRESSED)
        refused = await ending

    assert waited
    assert refused.status_code == 409

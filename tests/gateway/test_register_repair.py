"""The wrong citizen was placed: what the device said goes to the right one, and leaves a trace."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.home import Citizen
from gateway.store.pool import Pool
from tests.gateway.house import House
from tests.gateway.office import Office, office
from tests.gateway.watching import MINUTE, TEN, press, until_quiet, watching

WHY = "Enhederne blev byttet om ved opsætningen."


@pytest.fixture
async def here(home: House, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(home.where, tmp_path) as made:
        made.clock.moment = TEN
        yield made


async def publics(home: House, citizen: Citizen, device: int) -> tuple[UUID, UUID]:
    return (
        await home.db.fetchval("SELECT public FROM citizen WHERE id = $1", citizen.number),
        await home.db.fetchval("SELECT public FROM placement WHERE device = $1", device),
    )


async def repaired(here: Office, placement: UUID, citizen: UUID, **more: Any) -> Any:
    planner = await here.as_("planner", within="Kommune")
    body = {"citizen": str(citizen), "reason": WHY, **more}
    return await planner.post(
        f"/placements/{placement}/repair", json=body, headers={"If-Match": "*"}
    )


async def test_a_call_is_withdrawn_from_the_wrong_citizen_and_told_of_the_right_one(
    home: House, pool: Pool, here: Office
) -> None:
    wrong, right = await home.citizen(), await home.citizen()
    button = await home.placed(wrong, "call")
    watch, clock = watching(pool)
    await home.deliver([wrong], [press(button)])
    await until_quiet(watch)
    clock.at += 20 * MINUTE
    public, placement = await publics(home, right, button)

    answer = await repaired(here, placement, public)
    await until_quiet(watch)

    assert (answer.status_code, answer.json()["citizen"]["id"]) == (200, str(public))
    first, second = await home.alerts()
    assert (first["citizen"], second["citizen"]) == (wrong.number, right.number)
    assert first["reason"].endswith("Senere oplysninger viser, at det ikke passer.")
    assert (second["kind"], second["since"], second["late"]) == ("call_pressed", TEN, True)
    states = await home.rows("SELECT citizen, state FROM finding ORDER BY id")
    assert [one["state"] for one in states] == ["withdrawn", "ended"]
    (trace,) = await home.rows("SELECT was, became, reason FROM placement_repair")
    assert trace == {"was": wrong.number, "became": right.number, "reason": WHY}
    logged = await home.rows("SELECT citizen FROM access_log WHERE what LIKE 'placement.rep%'")
    assert {one["citizen"] for one in logged} == {wrong.number, right.number}
    versions = await home.rows("SELECT config_version FROM edge")
    assert [one["config_version"] for one in versions] == [2, 2]


async def test_a_repair_that_cannot_be_is_refused(home: House, here: Office) -> None:
    wrong, right = await home.citizen(), await home.citizen()
    button = await home.placed(wrong, "call")
    public, placement = await publics(home, right, button)
    own, _ = await publics(home, wrong, button)
    stranger = await here.flat(within="Slagelse")

    answers = [
        await repaired(here, placement, own),
        await repaired(here, placement, stranger.citizen_public),
        await repaired(here, UUID(int=1), public),
        await repaired(here, placement, public, reason="kort"),
        await repaired(here, placement, public, reason="Det var 010150-1234 det var."),
    ]

    assert [one.status_code for one in answers] == [409, 404, 404, 422, 422]
    assert await home.db.fetchval("SELECT count(*) FROM placement_repair") == 0
    assert await home.db.fetchval("SELECT citizen FROM placement") == wrong.number

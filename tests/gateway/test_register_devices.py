"""Devices and placements that two people edit: the second is told; and why a placement may be."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from tests.gateway.office import Flat, Office, office

KEY = {"key": "0f" * 16}
PLAN = {"slots": [{"slot": 0, "at": "08:00", "window_minutes": 60}]}


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def placed(
    client: httpx2.AsyncClient, flat: Flat, address: str = "A4:C1:38:00:00:01", **more: Any
) -> tuple[str, Any]:
    device = (await client.post("/devices", json={"address": address})).json()["id"]
    wanted = {
        "citizen": str(flat.citizen_public),
        "role": "dispenser",
        "room": "Køkken",
        "legal_basis": "sel-128a",
        **more,
    }
    return device, await client.post(f"/devices/{device}/placements", json=wanted)


def at(answer: httpx2.Response) -> dict[str, str]:
    return {"If-Match": answer.headers["ETag"]}


async def test_of_two_who_edit_one_thing_the_second_is_told(here: Office) -> None:
    planner, flat = await here.as_("planner"), await here.flat()
    device, made = await placed(planner, flat)
    other = (await here.flat(name="Bo")).citizen_public
    placement = f"/placements/{made.json()['id']}"
    edits: list[tuple[str, str, str, Any]] = [
        (f"/devices/{device}", "PUT", "", {"model": "dispenser"}),
        (f"/devices/{device}", "PUT", "/key", KEY),
        (placement, "PUT", "", {"room": "Entré", "legal_basis": "samtykke"}),
        (placement, "PUT", "/dose-plan", PLAN),
        (placement, "POST", "/repair", {"citizen": str(other), "reason": "byttet om ved døren"}),
    ]

    for path, method, more, body in edits:
        read = await planner.get(path)
        without = await planner.request(method, path + more, json=body)
        first = await planner.request(method, path + more, json=body, headers=at(read))
        second = await planner.request(method, path + more, json=body, headers=at(read))

        codes = [one.status_code for one in (read, without, first, second)]
        assert codes == [200, 428, 200, 412], (path, more)
        assert first.headers["ETag"] != read.headers["ETag"], more
        assert first.json() == (await planner.get(path)).json()
        assert first.headers["ETag"] == f'"{first.json()["version"]}"'


async def test_an_end_needs_no_etag_but_holds_one_that_is_sent(here: Office) -> None:
    planner, flat = await here.as_("planner"), await here.flat()
    _, made = await placed(planner, flat)
    path = f"/placements/{made.json()['id']}"
    changed = {"room": "Entré", "legal_basis": "samtykke"}
    edited = await planner.put(path, json=changed, headers=at(made))
    here.clock.pass_(minutes=1)

    stale = await planner.post(f"{path}/end", headers=at(made))
    odd = await planner.post(f"{path}/end", headers={"If-Match": "W/1"})
    ended = await planner.post(f"{path}/end")

    assert [one.status_code for one in (edited, stale, odd, ended)] == [200, 412, 400, 200]


async def test_a_placement_says_why_it_may_be_and_how_long_it_was(here: Office) -> None:
    planner, flat = await here.as_("planner"), await here.flat()
    here.clock.pass_(days=2)
    period = {"from": "2026-03-02T21:00:00Z", "to": "2026-03-03T21:00:00Z"}
    device, past = await placed(planner, flat, dose_plan=PLAN, **period)
    wanted = {"citizen": str(flat.citizen_public), "role": "door", "legal_basis": "samtykke"}
    path = f"/devices/{device}/placements"

    why = await planner.post(path, json={key: wanted[key] for key in ("citizen", "role")})
    unknown = await planner.post(path, json={**wanted, "legal_basis": "vane"})
    within = await planner.post(path, json={**wanted, "from": "2026-03-03T12:00:00Z"})
    backwards = await planner.post(path, json={**wanted, "to": "2026-03-01T21:00:00Z"})
    to_come = await planner.post(path, json={**wanted, "to": "2026-03-09T21:00:00Z"})
    shown = await planner.get(f"/placements/{past.json()['id']}")

    assert past.json().items() >= {**period, "legal_basis": "sel-128a", "room": "Køkken"}.items()
    assert shown.json().items() <= past.json().items()
    refused = [one.status_code for one in (why, unknown, within, backwards, to_come)]
    assert refused == [422, 422, 409, 409, 422]
    ends = await here.owner.fetchrow('SELECT p."to" = d.valid_to FROM placement p, dose_plan d')
    assert ends is not None
    assert ends[0] is True
    assert await here.owner.fetchval("SELECT legal_basis FROM placement") == "sel_128a"


async def test_the_repair_and_the_file_keep_why_a_placement_may_be(here: Office) -> None:
    planner, flat = await here.as_("planner"), await here.flat()
    _, made = await placed(planner, flat, role="call", legal_basis="ældreloven")
    other = (await here.flat(name="Bo")).citizen_public
    body = {"citizen": str(other), "reason": "byttet om ved opsætningen"}

    moved = await planner.post(
        f"/placements/{made.json()['id']}/repair", json=body, headers=at(made)
    )
    file = await planner.get("/register.csv")

    assert (moved.json()["legal_basis"], moved.json()["citizen"]["id"]) == (
        "ældreloven",
        str(other),
    )
    assert ";ældreloven;" in file.text


async def test_what_an_import_changes_is_another_version(here: Office) -> None:
    planner, flat = await here.as_("planner"), await here.flat()
    _, made = await placed(planner, flat, role="call")
    file = (await planner.get("/register.csv")).text.replace("Køkken", "Stue")

    brought = await planner.post("/imports", content=file.encode())
    stale = await planner.put(
        f"/placements/{made.json()['id']}",
        json={"room": "Bad", "legal_basis": "samtykke"},
        headers=at(made),
    )

    assert (brought.json()["changed"], stale.status_code) == (1, 412)

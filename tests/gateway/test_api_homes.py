"""Homes, devices, placements and observations over HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from tests.gateway.office import Flat, Office, office

ANYHOW = {"If-Match": "*"}
SAMTYKKE = {"legal_basis": "samtykke"}
PLAN = {
    "slots": [
        {"slot": 0, "at": "08:00", "window_minutes": 60, "grace_minutes": 15},
        {"slot": 1, "at": "20:00", "window_minutes": 60, "grace_minutes": 15},
    ]
}


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def test_from_nothing_to_a_placed_dispenser_with_a_plan(here: Office) -> None:
    await here.district("Nord")
    planner = await here.as_("planner")

    home = await planner.post(
        "/homes", json={"district": "Nord", "citizens": [{"name": "Inger Holm"}]}
    )
    device = await planner.post(
        "/devices",
        json={"address": "a4:c1:38:00:00:01", "model": "dispenser", "key": "0f" * 16},
    )
    placed = await planner.post(
        f"/devices/{device.json()['id']}/placements",
        json={
            "citizen": home.json()["citizens"][0]["id"],
            "role": "dispenser",
            "legal_basis": "samtykke",
            "room": "Køkken",
            "dose_plan": PLAN,
        },
    )

    assert (home.status_code, device.status_code, placed.status_code) == (201, 201, 201)
    assert home.json()["zone"] == "Europe/Copenhagen"
    assert placed.json()["dose_plan"]["zone"] == "Europe/Copenhagen"
    assert [slot["at"] for slot in placed.json()["dose_plan"]["slots"]] == ["08:00", "20:00"]
    listed = (await planner.get("/devices")).json()["devices"]
    assert listed[0]["address"] == "A4:C1:38:00:00:01"
    assert listed[0]["placement"].items() <= placed.json().items()
    assert (listed[0]["keyed"], listed[0]["readable"], placed.json()["readable"]) == (True,) * 3
    assert (await planner.get("/homes")).json()["homes"] == [home.json()]
    assert (await here.owner.fetchval("SELECT key FROM device_secret")).startswith(b"sealed1:")


async def placed(here: Office, flat: Flat, role: str = "door", **more: Any) -> tuple[str, Any]:
    device = str((await here.device())["public"])
    answer = await (await here.as_("technician")).post(
        f"/devices/{device}/placements",
        json={"citizen": str(flat.citizen_public), "role": role, **SAMTYKKE, **more},
    )
    assert answer.status_code == 201, answer.text
    return device, answer.json()


async def test_a_placement_tells_the_boxes_and_watch(here: Office) -> None:
    flat = await here.flat()
    await here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, 'box-1', $2), ($1, 'box-2', NULL)",
        flat.municipality,
        flat.home,
    )
    rung: list[str] = []

    def ring(_db: object, _pid: int, channel: str, _payload: object) -> None:
        rung.append(channel)

    for channel in ("home", "config", "pending"):
        await here.owner.add_listener(channel, ring)

    await placed(here, flat)

    await here.owner.fetchval("SELECT 1")
    for channel in ("home", "config", "pending"):
        await here.owner.remove_listener(channel, ring)

    versions = await here.owner.fetch("SELECT config_version FROM edge ORDER BY name")
    assert [row["config_version"] for row in versions] == [2, 1]
    assert await here.owner.fetchval("SELECT due FROM deadline") == here.clock.now()
    assert sorted(rung) == ["config", "home", "pending"]


async def test_a_device_speaks_for_one_citizen_at_a_time(here: Office) -> None:
    first, second = await here.flat(), await here.flat(name="Bent")
    device, placement = await placed(here, first)
    technician = await here.as_("technician")
    wanted = {"citizen": str(second.citizen_public), "role": "door", **SAMTYKKE}

    again = await technician.post(f"/devices/{device}/placements", json=wanted)
    here.clock.pass_(minutes=5)
    ended = await technician.post(f"/placements/{placement['id']}/end")
    twice = await technician.post(f"/placements/{placement['id']}/end")
    before = here.clock.now() - timedelta(minutes=2)
    overlapping = await technician.post(
        f"/devices/{device}/placements", json={**wanted, "from": before.isoformat()}
    )
    moved = await technician.post(f"/devices/{device}/placements", json=wanted)

    assert (again.status_code, twice.status_code, overlapping.status_code) == (409, 409, 409)
    assert again.json()["detail"] == "the device is placed already; end that placement first"
    assert "last placement ended later" in overlapping.json()["detail"]
    assert ended.status_code == 200
    assert datetime.fromisoformat(ended.json()["to"]) == here.clock.now()
    assert moved.status_code == 201


async def test_of_many_who_place_a_device_at_once_one_does(here: Office) -> None:
    flat, device = await here.flat(), (await here.device())["public"]
    technician = await here.as_("technician")
    wanted = {"citizen": str(flat.citizen_public), "role": "motion", **SAMTYKKE}

    answers = await asyncio.gather(
        *(technician.post(f"/devices/{device}/placements", json=wanted) for _ in range(6))
    )

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5


async def test_a_new_dose_plan_ends_the_former_where_it_begins(here: Office) -> None:
    flat = await here.flat()
    _, placement = await placed(here, flat, "dispenser", dose_plan=PLAN)
    planner = await here.as_("planner")
    tomorrow = here.clock.now() + timedelta(days=1)
    later = {**PLAN, "valid_from": tomorrow.isoformat()}

    for plan in (later, {**later, "slots": []}):
        changed = await planner.put(
            f"/placements/{placement['id']}/dose-plan", json=plan, headers=ANYHOW
        )
        assert changed.status_code == 200

    rows = await here.owner.fetch("SELECT version, valid_from, valid_to FROM dose_plan ORDER BY 1")
    assert [tuple(row) for row in rows] == [
        (1, here.clock.now(), tomorrow),
        (2, tomorrow, tomorrow),
        (3, tomorrow, None),
    ]
    assert changed.json()["dose_plan"] == {
        "version": 3,
        "zone": "Europe/Copenhagen",
        "valid_from": tomorrow.isoformat().replace("+00:00", "Z"),
        "slots": [],
    }


async def test_only_a_dispenser_has_doses_and_an_end_ends_them(here: Office) -> None:
    flat = await here.flat()
    _, door = await placed(here, flat)
    _, dispenser = await placed(here, flat, "dispenser", dose_plan=PLAN)
    planner = await here.as_("planner")
    here.clock.pass_(hours=1)

    refused = await planner.put(f"/placements/{door['id']}/dose-plan", json=PLAN, headers=ANYHOW)
    await planner.post(f"/placements/{dispenser['id']}/end")
    gone = await planner.put(f"/placements/{dispenser['id']}/dose-plan", json=PLAN, headers=ANYHOW)

    assert (refused.status_code, gone.status_code) == (409, 409)
    assert await here.owner.fetchval("SELECT valid_to FROM dose_plan") == here.clock.now()


async def test_what_lies_elsewhere_does_not_exist(here: Office) -> None:
    flat, away = await here.flat(), await here.flat(within="Odense")
    south = await here.flat(district="Syd")
    _, there = await placed(here, south, "dispenser")
    foreign = (await here.device(within="Odense"))["public"]
    ours = (await here.device())["public"]
    planner = await here.as_("planner", districts=["Nord"])
    door = {"role": "door", **SAMTYKKE}

    answers = [
        await planner.post(
            f"/devices/{ours}/placements", json={**door, "citizen": str(away.citizen_public)}
        ),
        await planner.post(
            f"/devices/{ours}/placements", json={**door, "citizen": str(south.citizen_public)}
        ),
        await planner.post(
            f"/devices/{foreign}/placements", json={**door, "citizen": str(flat.citizen_public)}
        ),
        await planner.post(f"/placements/{there['id']}/end"),
        await planner.put(f"/placements/{there['id']}/dose-plan", json=PLAN, headers=ANYHOW),
        await planner.post("/homes", json={"district": "Syd", "citizens": [{"name": "Inger"}]}),
        await planner.post(f"/placements/{uuid4()}/end"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert [home["id"] for home in (await planner.get("/homes")).json()["homes"]] == [
        str(flat.home_public)
    ]
    assert [one["id"] for one in (await planner.get("/devices")).json()["devices"]] == [str(ours)]


async def test_staff_see_no_depot_and_technicians_no_names(here: Office) -> None:
    flat = await here.flat()
    device, _ = await placed(here, flat)
    await here.device()

    staff = (await (await here.as_("staff")).get("/devices")).json()["devices"]
    technician = await here.as_("technician")

    assert [one["id"] for one in staff] == [device]
    assert staff[0]["placement"]["citizen"]["name"] == "Inger Holm"
    assert len((await technician.get("/devices")).json()["devices"]) == 2
    for path in ("/devices", "/homes", "/edges"):
        assert "Inger" not in (await technician.get(path)).text


async def test_a_device_is_registered_once(here: Office) -> None:
    planner = await here.as_("planner")

    first = await planner.post("/devices", json={"address": "A4:C1:38:00:00:01"})
    second = await planner.post("/devices", json={"address": "a4:c1:38:00:00:01"})

    assert (first.status_code, second.status_code) == (201, 409)


async def heard(here: Office, device: str, minutes: list[float], kind: Kind = Kind.DOOR) -> None:
    number = await here.owner.fetchval("SELECT id FROM device WHERE public = $1", device)
    await here.owner.executemany(
        "INSERT INTO observation VALUES ($1, $2, $3, $3, 0, 1.0, NULL, 0, 1)",
        [(number, kind, here.clock.now() + timedelta(minutes=minute)) for minute in minutes],
    )


async def test_observations_belong_to_the_placement_not_to_the_device(here: Office) -> None:
    first, second = await here.flat(), await here.flat(district="Syd", name="Bent")
    device, placement = await placed(here, first)
    technician = await here.as_("technician")
    await heard(here, device, [-5, 5, 15, 25])
    here.clock.pass_(minutes=10)
    await technician.post(f"/placements/{placement['id']}/end")
    here.clock.pass_(minutes=10)
    await technician.post(
        f"/devices/{device}/placements",
        json={"citizen": str(second.citizen_public), "role": "door", **SAMTYKKE},
    )
    here.clock.pass_(minutes=10)
    north = await here.as_("staff", districts=["Nord"])
    everywhere, odense = await here.as_("staff"), await here.as_("staff", within="Odense")

    answers = [
        await caller.get(f"/devices/{device}/observations") for caller in (north, everywhere)
    ]

    assert [len(answer.json()["observations"]) for answer in answers] == [1, 2]
    one = answers[0].json()["observations"][0]
    assert (one["kind"], one["value"], one["clock"], one["quality"]) == (
        "door",
        1.0,
        "synchronised",
        "good",
    )
    assert (await odense.get(f"/devices/{device}/observations")).status_code == 404


async def test_a_long_list_goes_on_where_it_stopped_also_in_the_middle_of_a_moment(
    here: Office,
) -> None:
    device, _ = await placed(here, await here.flat())
    await heard(here, device, [1, 1, 1, 2, 2, 3, 3, 3, 3, 4])
    await heard(here, device, [1, 5], Kind.BATTERY)
    here.clock.pass_(minutes=10)
    carer = await here.as_("staff")
    path, query = f"/devices/{device}/observations", {"limit": 2, "kind": "door"}

    seen, page = [], (await carer.get(path, params=query)).json()
    while True:
        seen += page["observations"]
        if page["next"] is None:
            break
        page = (await carer.get(path, params={**query, "after": page["next"]})).json()

    whole = (await carer.get(path, params={"kind": "door"})).json()["observations"]
    assert seen == whole
    assert len(whole) == 10
    half = {"from": (here.clock.now() - timedelta(minutes=8)).isoformat()}
    assert len((await carer.get(path, params=half)).json()["observations"]) == 8


@pytest.mark.parametrize("after", ["x", "YQ==", "MjAyNiAx", "æ", "LTEg" * 20])
async def test_a_made_up_continuation_is_refused(here: Office, after: str) -> None:
    device, _ = await placed(here, await here.flat())
    carer = await here.as_("staff")

    answer = await carer.get(f"/devices/{device}/observations", params={"after": after})

    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/not-a-continuation"

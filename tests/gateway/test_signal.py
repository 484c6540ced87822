"""Who looks after devices sees that they live and how their batteries fare, and nothing else."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, START, Flat, Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


async def placed(here: Office, flat: Flat, *, role: str = "motion", days: float = 30) -> Any:
    device = await here.device(within="Kalundborg")
    await here.owner.execute(
        'INSERT INTO placement (municipality, device, citizen, role, room, "from") '
        "VALUES ($1, $2, $3, $4, 'Stue', $5)",
        flat.municipality,
        device["id"],
        flat.citizen,
        role,
        START - timedelta(days=days),
    )
    return device


async def said(here: Office, device: Any, kind: Kind, value: float, at: datetime) -> None:
    await here.owner.execute(
        "INSERT INTO observation VALUES ($1, $2, $3, $3, 0, $4, NULL, 0, 1)",
        device["id"],
        int(kind),
        at,
        value,
    )


async def told(here: Office, role: Any, device: Any, **whose: Any) -> Any:
    client = await here.as_(role, **whose)
    answer = await client.get(f"/devices/{device['public']}")
    return answer.json().get("signal")


async def test_a_technician_sees_the_hour_and_the_battery_and_no_observation(here: Office) -> None:
    flat = await here.flat()
    device = await placed(here, flat)
    await said(here, device, Kind.BATTERY, 71.0, START - timedelta(hours=5, minutes=17))
    await said(here, device, Kind.BATTERY, 82.0, START - timedelta(days=3))
    await said(here, device, Kind.MOTION, 1.0, START - timedelta(minutes=17))

    signal = await told(here, "technician", device)

    assert signal == {
        "heard": "2026-03-02T19:00:00Z",
        "battery": {"percent": 71.0, "volts": None, "low": False, "said": "2026-03-02T14:00:00Z"},
    }
    client = await here.as_("technician")
    assert (await client.get("/devices")).json()["devices"][0]["signal"] == signal
    assert (await client.get(f"/devices/{device['public']}/observations")).status_code == 403


async def test_who_has_no_right_to_signals_is_told_none(here: Office) -> None:
    flat = await here.flat()
    device = await placed(here, flat)
    await said(here, device, Kind.BATTERY, 71.0, START - timedelta(hours=5))

    assert await told(here, "staff", device) is None
    assert await told(here, "technician", device, districts=["Syd"]) is None
    assert await told(here, "technician", device, within="Næstved") is None
    assert await told(here, "technician", device, districts=["Nord"]) is not None


@pytest.mark.parametrize(
    ("where", "role", "districts", "rows"),
    [
        ("Kalundborg", "technician", "", 1),
        ("Kalundborg", "technician", "Syd", 0),
        ("Kalundborg", "staff", "", 0),
        ("Næstved", "technician", "", 0),
        ("", "", "", 0),
    ],
)
async def test_hand_made_sql_is_told_no_more(
    here: Office, where: str, role: str, districts: str, rows: int
) -> None:
    flat = await here.flat()
    device = await placed(here, flat)
    await said(here, device, Kind.BATTERY, 71.0, START - timedelta(hours=5))
    within = str(await here.municipality(where)) if where else ""
    part = f"{{{await here.district(districts)}}}" if districts else ""

    async with here.pool.acquire() as db, db.transaction():
        for name, value in (
            ("municipality", within),
            ("role", role),
            ("districts", part),
            ("now", START.isoformat()),
        ):
            await db.execute("SELECT set_config($1, $2, true)", f"trygport.{name}", value)
        found = await db.fetch("SELECT * FROM device_signal($1)", [device["id"]])

    assert len(found) == rows


async def test_what_a_device_said_at_another_citizens_is_not_told(here: Office) -> None:
    flat = await here.flat()
    device = await placed(here, flat, days=2)
    await said(here, device, Kind.BATTERY, 71.0, START - timedelta(days=3))

    assert await told(here, "technician", device) is None


async def test_a_battery_that_called_itself_low_is_low_until_it_says_a_level(here: Office) -> None:
    flat = await here.flat()
    warned, changed, empty = [await placed(here, flat) for _ in range(3)]
    for device in (warned, changed):
        await said(here, device, Kind.BATTERY_LOW, 1.0, START - timedelta(days=4))
    await said(here, changed, Kind.BATTERY, 100.0, START - timedelta(days=2))
    await said(here, empty, Kind.BATTERY, 9.0, START - timedelta(days=2))

    low = [
        (await told(here, "technician", device))["battery"]["low"]
        for device in (warned, changed, empty)
    ]

    assert low == [True, False, True]


async def test_the_page_puts_low_batteries_first(here: Office) -> None:
    flat = await here.flat()
    well, low, mute = [await placed(here, flat) for _ in range(3)]
    await said(here, well, Kind.BATTERY, 90.0, START - timedelta(hours=2))
    await said(here, low, Kind.BATTERY, 8.0, START - timedelta(hours=2))
    addresses = [
        await here.owner.fetchval("SELECT address FROM device WHERE id = $1", one["id"])
        for one in (well, low, mute)
    ]
    await here.login("tom", "technician")
    browser = here.client(headers={"Sec-Fetch-Site": "same-origin"})
    await browser.post("/login", data={"login": "tom", "password": PASSWORD})

    page = (await browser.get("/bokse")).text

    assert page.index(addresses[1]) < page.index(addresses[0])
    assert page.index(addresses[1]) < page.index(addresses[2])
    for words in (
        "batteri 8 %",
        "batteri 90 %",
        "Lavt batteri: skift det",
        "Ikke hørt i de sidste",
    ):
        assert words in page
    assert "i timen fra kl. 19:00" in page


@pytest.mark.parametrize(("digits", "status"), [(24, 201), (32, 201), (28, 422), (30, 422)])
async def test_a_key_has_sixteen_bytes_or_the_twelve_of_an_older_xiaomi(
    here: Office, digits: int, status: int
) -> None:
    planner = await here.as_("planner")

    answer = await planner.post(
        "/devices", json={"address": "A4:C1:38:00:00:77", "key": "ab" * (digits // 2)}
    )

    assert answer.status_code == status

"""What happened to a box is told to who mends it, and of a device no more than the hour."""

import json
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.caller import Role
from tests.gateway.office import START, Flat, Office, office

PLACED, NEIGHBOUR = "A4:C1:38:00:00:01", "A4:C1:38:00:00:02"
AT = datetime.fromisoformat("2026-03-02T18:47:12Z")


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def a_box(here: Office, name: str = "box-1") -> Flat:
    flat = await here.flat()
    await here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, $2, $3)",
        flat.municipality,
        name,
        flat.home,
    )
    return flat


async def happened(here: Office, word: str, at: datetime = AT, **details: Any) -> None:
    await here.owner.execute(
        """
        INSERT INTO box_event (municipality, edge, occurred, received, clock, word, details)
        SELECT municipality, id, $1, $1::timestamptz + interval '7 minutes', 0, $2, $3::text::jsonb
        FROM edge WHERE name = 'box-1'
        """,
        at,
        word,
        json.dumps(details),
    )


async def placed(here: Office, flat: Flat, address: str) -> None:
    device = await here.device(address=address)
    await here.owner.execute(
        'INSERT INTO placement (municipality, device, citizen, role, "from") '
        "VALUES ($1, $2, $3, 'door', $4)",
        flat.municipality,
        device["id"],
        flat.citizen,
        START - timedelta(days=1),
    )


async def test_the_history_is_told_newest_first_and_in_pages(here: Office) -> None:
    await a_box(here)
    for number in range(5):
        await happened(here, "radio.rescanned", AT + timedelta(minutes=number), number=number)
    technician, pages, after = await here.as_("technician"), list[list[int]](), {}

    while after is not None:
        answer = await technician.get("/edges/box-1/events", params={"limit": 2, **after})
        told = answer.json()
        pages.append([one["details"]["number"] for one in told["events"]])
        after = {"after": told["next"]} if told["next"] else None

    assert pages == [[4, 3], [2, 1], [0]]


async def test_what_happened_to_the_box_is_told_to_the_second(here: Office) -> None:
    await a_box(here)
    await happened(here, "storage.failed", trouble="storage_failed", why="disk I/O error")

    [event] = (await (await here.as_("technician")).get("/edges/box-1/events")).json()["events"]

    assert event == {
        "occurred": "2026-03-02T18:47:12Z",
        "received": "2026-03-02T18:54:12Z",
        "clock": "synchronised",
        "word": "storage.failed",
        "details": {"trouble": "storage_failed", "why": "disk I/O error"},
    }


async def test_of_a_device_only_the_hour_is_told_and_of_a_neighbours_no_address(
    here: Office,
) -> None:
    flat = await a_box(here)
    await placed(here, flat, PLACED)
    await happened(here, "device.silent", device=PLACED, silent_seconds=9000)
    await happened(here, "device.heard", device=NEIGHBOUR)
    await happened(here, "of.tomorrow", why=f"saw {NEIGHBOUR.lower()} and {PLACED}")

    answer = await (await here.as_("technician")).get("/edges/box-1/events")

    odd, heard, silent = answer.json()["events"]
    assert silent["details"] == {"device": PLACED, "silent_seconds": 9000}
    assert (heard["occurred"], heard["received"]) == ("2026-03-02T18:00:00Z",) * 2
    assert (heard["details"], odd["details"]) == ({"device": "…"}, {"why": f"saw … and {PLACED}"})


WHO: Sequence[tuple[Role, dict[str, Any], int]] = (
    ("technician", {}, 200),
    ("technician", {"districts": ["Nord"]}, 200),
    ("administrator", {}, 200),
    ("technician", {"districts": ["Syd"]}, 404),
    ("technician", {"within": "Odense"}, 404),
    ("planner", {}, 403),
    ("staff", {}, 403),
    ("robot", {}, 403),
)


async def test_only_who_mends_boxes_there_is_told(here: Office) -> None:
    await a_box(here)
    await happened(here, "radio.silent")

    for role, whose, status in WHO:
        answer = await (await here.as_(role, **whose)).get("/edges/box-1/events")
        assert answer.status_code == status, (role, whose)


async def test_a_place_that_is_none_is_refused(here: Office) -> None:
    await a_box(here)
    technician = await here.as_("technician")

    for after in ("of another list", "AAAA", "LTE=", "MA=="):
        answer = await technician.get("/edges/box-1/events", params={"after": after})
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/not-a-continuation")

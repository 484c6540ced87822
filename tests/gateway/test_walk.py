"""A walk test is begun by who may, followed and signed off; its record tells what was heard."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.web.board import pages
from tests.gateway.office import Office, office

BOX = "box-walk"
TESTS = f"/edges/{BOX}/walk-tests"


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


async def furnished(here: Office, **rooms: str) -> Any:
    """A home with a box and a device for each room and role; the first is the button's."""
    flat = await here.flat()
    await here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, $2, $3)",
        *(flat.municipality, BOX, flat.home),
    )
    for place, (room, role) in enumerate(rooms.items()):
        await here.owner.execute(
            "WITH d AS (INSERT INTO device (municipality, address) VALUES ($1, $2) RETURNING id)"
            ' INSERT INTO placement (municipality, device, citizen, role, room, "from")'
            " SELECT $1, d.id, $3, $4, $5, $6 FROM d",
            *(flat.municipality, f"C0:00:00:00:00:0{place}", flat.citizen, role, room),
            here.clock.now(),
        )
    return flat


async def hear(here: Office, room: str, kind: int, *, clock: int = 0, active: bool = True) -> None:
    """What ingest writes: heard a moment ago, 84 ms before it was stored."""
    await here.owner.execute(
        "INSERT INTO walk_heard (municipality, test, placement, edge, kind, active, occurred,"
        " stored, clock, rssi)"
        " SELECT d.municipality, d.test, d.placement, t.edge, $2, $3,"
        " $4::timestamptz - interval '84 ms', $4, $5, -62"
        " FROM walk_device d JOIN walk_test t ON t.id = d.test WHERE d.room = $1",
        *(room, kind, active, here.clock.now(), clock),
    )


async def begins(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(TESTS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_what_is_heard_is_told_with_room_signal_and_milliseconds(here: Office) -> None:
    await furnished(here, stue="call", entre="motion", bad="climate")
    async with await here.as_("technician", districts=["Nord"]) as technician:
        made = await begins(technician)
        assert [one["heard"] for one in made["devices"]] == [False, False, False]
        await hear(here, "stue", 9)  # its battery: nobody pressed it yet
        await hear(here, "entre", 1, active=False)
        await hear(here, "bad", 11)
        half = (await technician.get(f"{TESTS}/{made['id']}")).json()
        await hear(here, "stue", 7)
        await hear(here, "entre", 1)
        whole = (await technician.get(f"{TESTS}/{made['id']}")).json()

    seen = {one["room"]: (one["heard"], one["alive"]) for one in half["devices"]}
    assert seen == {"stue": (False, True), "entre": (False, True), "bad": (True, True)}
    button = next(one for one in whole["devices"] if one["role"] == "call")
    assert (button["rssi"], button["signal"], button["milliseconds"]) == (-62, "strong", 84)
    assert whole["missing"] == []


async def test_a_press_by_a_clock_that_is_not_sure_is_not_heard_and_says_so(here: Office) -> None:
    await furnished(here, stue="call")
    async with await here.as_("technician", districts=["Nord"]) as technician:
        made = await begins(technician)
        await hear(here, "stue", 7, clock=2)
        (button,) = (await technician.get(f"{TESTS}/{made['id']}")).json()["devices"]

    assert (button["heard"], button["unsure"]) == (False, True)


async def test_who_signs_says_why_something_was_not_heard_and_the_record_names_it(
    here: Office,
) -> None:
    flat = await furnished(here, stue="call", bad="climate")
    async with await here.as_("technician", districts=["Nord"]) as technician:
        made = await begins(technician)
        await hear(here, "stue", 7)
        end = f"{TESTS}/{made['id']}/end"
        bare = await technician.post(end, json={})
        done = await technician.post(end, json={"remark": "Kommer i morgen"})
        again = await technician.post(end, json={"remark": "Om igen"})
        (record,) = (await technician.get(TESTS)).json()["tests"]

    assert (bare.status_code, bare.json()["type"]) == (409, "/problems/remark-missing")
    assert (done.status_code, again.status_code) == (200, 409)
    assert (record["runs"], record["ended_by"]) == (False, "person")
    assert record["missing"] == ["C0:00:00:00:00:01"]
    assert record["remark"] == "Kommer i morgen"
    logged = await here.owner.fetch("SELECT what, citizen FROM access_log WHERE what LIKE 'walk.%'")
    assert {(one["what"], one["citizen"]) for one in logged} == {
        ("walk.begun", flat.citizen),
        ("walk.ended", flat.citizen),
        ("walk.seen", flat.citizen),
    }
    assert await here.owner.fetchval("SELECT count(*) FROM deadline") == 1


@pytest.mark.parametrize("role", ["staff", "planner", "leader", "clinical_owner", "auditor"])
async def test_only_who_mends_boxes_may_begin_one(here: Office, role: Any) -> None:
    await furnished(here, stue="call")
    async with await here.as_(role) as other:
        assert (await other.post(TESTS, json={})).status_code == 403
    assert await here.owner.fetchval("SELECT count(*) FROM walk_test") == 0


async def test_a_technician_of_another_district_finds_no_such_box(here: Office) -> None:
    await furnished(here, stue="call")
    await here.district("Syd")
    async with await here.as_("technician", districts=["Syd"]) as other:
        assert (await other.post(TESTS, json={})).status_code == 404


async def test_one_runs_at_a_time_and_together_they_have_half_an_hour(here: Office) -> None:
    await furnished(here, stue="call")
    async with await here.as_("technician", districts=["Nord"]) as technician:
        first = await begins(technician)
        running = await technician.post(TESTS, json={})
        here.clock.pass_(minutes=20)
        signed = {"remark": "En pause"}
        await technician.post(f"{TESTS}/{first['id']}/end", json=signed)
        here.clock.pass_(minutes=5)
        second = await begins(technician)
        here.clock.pass_(minutes=6)
        late = await technician.post(TESTS, json={})
        here.clock.pass_(minutes=10)
        third = await begins(technician)

    assert running.json()["type"] == "/problems/test-runs"
    assert second["until"] == first["until"]
    assert late.json()["type"] == "/problems/too-soon"
    assert third["until"] > late.json()["at"]


async def test_one_that_nobody_ends_says_that_it_ended_by_itself(here: Office) -> None:
    await furnished(here, stue="call")
    async with await here.as_("technician", districts=["Nord"]) as technician:
        made = await begins(technician, minutes=2)
        here.clock.pass_(minutes=3)
        record = (await technician.get(f"{TESTS}/{made['id']}")).json()
        late = await technician.post(f"{TESTS}/{made['id']}/end", json={"remark": "For sent"})

    assert (record["runs"], record["ended_by"], record["ended"]) == (False, "time", made["until"])
    assert late.status_code == 409


async def test_only_some_devices_may_be_tried_and_none_of_another_home(here: Office) -> None:
    flat = await furnished(here, stue="call", bad="call")
    own = await here.owner.fetchval("SELECT public FROM placement WHERE room = 'bad'")
    other = await here.flat(name="Bo")
    foreign = await here.owner.fetchval(
        "WITH d AS (INSERT INTO device (municipality, address) VALUES ($1, 'C1') RETURNING id)"
        ' INSERT INTO placement (municipality, device, citizen, role, "from")'
        " SELECT $1, d.id, $2, 'call', $3 FROM d RETURNING public",
        *(flat.municipality, other.citizen, here.clock.now()),
    )
    async with await here.as_("technician", districts=["Nord"]) as technician:
        refused = await technician.post(TESTS, json={"placements": [str(foreign)]})
        made = await begins(technician, placements=[str(own), str(foreign)])

    assert refused.json()["type"] == "/problems/nothing-placed"
    assert [one["room"] for one in made["devices"]] == ["bad"]


async def test_staff_see_on_the_board_whose_button_is_under_test(here: Office) -> None:
    await furnished(here, stue="call")
    async with await here.as_("technician", districts=["Nord"]) as technician:
        await begins(technician)
    async with await here.as_("staff", districts=["Nord"]) as staff:
        during = await staff.get("/board/alerts")
        here.clock.pass_(minutes=31)
        after = await staff.get("/board/alerts")
    async with await here.as_("staff", districts=[await _syd(here)]) as stranger:
        here.clock.pass_(minutes=-31)
        elsewhere = await stranger.get("/board/alerts")

    assert "Prøvekald i gang hos" in during.text
    assert "Prøvekald i gang" not in after.text
    assert "Prøvekald i gang" not in elsewhere.text


async def _syd(here: Office) -> str:
    await here.district("Syd")
    return "Syd"

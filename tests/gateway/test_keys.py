"""A device that nobody can read is seen, and its key given, before it is needed."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from adapters.frame import Frame
from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from deploy.world.payloads import bthome_encrypted, button_object
from gateway.reads.devices import LATELY
from tests.frames import NOON, batch, frame
from tests.gateway.ingest_home import Parts, parts
from tests.gateway.office import Office, office

ADDRESS = "A4:C1:38:00:00:0A"
ANYHOW = {"If-Match": "*"}
KEY, WRONG = "231d39c1d7cc1ab1aee224cd096db932", "00" * 16


@pytest.fixture
async def ingest(fresh_database: OneDatabase) -> AsyncGenerator[Parts]:
    async with parts(fresh_database) as made:
        yield made


@pytest.fixture
async def here(
    ingest: Parts, fresh_database: OneDatabase, tmp_path: Path
) -> AsyncGenerator[Office]:
    del ingest  # it furnishes the house first
    async with office(fresh_database, tmp_path) as made:
        made.clock.moment = datetime.fromtimestamp(NOON / 1_000, UTC)
        yield made


def pressed(counter: int) -> Frame:
    payload = bthome_encrypted(
        [button_object()], counter, key=bytes.fromhex(KEY), address=ADDRESS, counter=counter
    )
    return frame(device=ADDRESS, data={"fcd2": payload})


async def a_button(technician: httpx2.AsyncClient, **more: Any) -> str:
    answer = await technician.post("/devices", json={"address": ADDRESS, **more})
    assert answer.status_code == 201
    return answer.json()["id"]


async def place(here: Office, technician: httpx2.AsyncClient, device: str) -> Any:
    citizen = await here.owner.fetchval("SELECT public FROM citizen")
    answer = await technician.post(
        f"/devices/{device}/placements",
        json={"citizen": str(citizen), "role": "call", "legal_basis": "samtykke"},
    )
    assert answer.status_code == 201
    return answer.json()


async def seen(technician: httpx2.AsyncClient, device: str) -> Any:
    """The device as it is told alone; the list says the same of it."""
    one = (await technician.get(f"/devices/{device}")).json()
    listed = (await technician.get("/devices")).json()["devices"]
    assert one in listed
    return one


async def test_an_encrypted_button_without_its_key_is_seen_and_then_read(
    here: Office, ingest: Parts
) -> None:
    technician = await here.as_("technician", within="Testby")
    device = await a_button(technician)
    placed = await place(here, technician, device)
    silent = await seen(technician, device)

    await ingest.store(batch([pressed(1), pressed(2)]))
    unread = await seen(technician, device)
    keyed = await technician.put(f"/devices/{device}/key", json={"key": KEY}, headers=ANYHOW)
    here.clock.pass_(seconds=1)
    await ingest.store(batch([pressed(3)]))

    assert (placed["readable"], silent["readable"], silent["keyed"]) == (True, True, False)
    assert unread["readable"] is False
    assert unread["set_aside"] == {
        "count": 2,
        "last": datetime.fromtimestamp(NOON / 1_000, UTC).isoformat().replace("+00:00", "Z"),
        "reason": "missing_key",
    }
    assert (keyed.status_code, keyed.json()["readable"], keyed.json()["keyed"]) == (200, True, True)
    assert (await seen(technician, device))["readable"] is True
    kinds = await ingest.rows("SELECT kind FROM observation")
    assert [row["kind"] for row in kinds] == [Kind.BUTTON]


async def test_a_new_placement_warns_of_what_was_not_understood(
    here: Office, ingest: Parts
) -> None:
    technician = await here.as_("technician", within="Testby")
    device = await a_button(technician, key=WRONG)
    here.clock.pass_(seconds=1)
    ingest.clock.at = here.clock.now()
    await ingest.store(batch([pressed(1)]))

    warned = await place(here, technician, device)
    here.clock.moment += LATELY
    later = await seen(technician, device)

    assert (warned["readable"], warned["set_aside"]["reason"]) == (False, "missing_key")
    assert later["readable"] is True


async def test_giving_a_key_is_written_down_and_told_to_ingest(here: Office) -> None:
    technician = await here.as_("technician", within="Testby")
    device = await a_button(technician, key=WRONG)
    await place(here, technician, device)
    rung: list[str] = []

    def ring(_db: object, _pid: int, channel: str, _payload: object) -> None:
        rung.append(channel)

    await here.owner.add_listener("home", ring)
    answer = await technician.put(f"/devices/{device}/key", json={"key": KEY}, headers=ANYHOW)
    await here.owner.fetchval("SELECT 1")
    await here.owner.remove_listener("home", ring)

    assert answer.status_code == 200
    assert KEY not in answer.text
    assert rung == ["home"]
    kept = await here.owner.fetchval("SELECT key FROM device_secret")
    assert kept.startswith(b"sealed1:")
    assert KEY.encode() not in kept
    row = await here.owner.fetchrow("SELECT * FROM access_log ORDER BY id DESC LIMIT 1")
    assert row is not None
    assert row["what"] == f"device.key_given {device}"
    assert (row["role"], row["citizen"]) == ("technician", 1)


async def test_a_key_is_refused_where_it_does_not_belong(here: Office) -> None:
    technician = await here.as_("technician", within="Testby")
    device = await a_button(technician)
    await place(here, technician, device)
    away = await here.as_("technician", within="Testby", districts=["Syd"])
    staff = await here.as_("staff", within="Testby")
    path = f"/devices/{device}/key"

    short = await technician.put(path, json={"key": "00"}, headers=ANYHOW)
    elsewhere = await away.put(path, json={"key": KEY}, headers=ANYHOW)
    unseen = await away.get(f"/devices/{device}")
    not_theirs = await staff.put(path, json={"key": KEY}, headers=ANYHOW)

    codes = [one.status_code for one in (short, elsewhere, unseen, not_theirs)]
    assert codes == [422, 404, 404, 403]
    assert await here.owner.fetchval("SELECT count(*) FROM device_secret") == 0

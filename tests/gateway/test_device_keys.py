"""Keys of devices are sealed where they are kept, and ingest reads all the same."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from deploy.world.payloads import bthome_payload, button_object
from gateway.ingest.again import Again, Counts
from gateway.ingest.known import Known
from gateway.store.device_keys import DeviceKeys, place
from gateway.store.reread import Wanted
from gateway.store.seal import NO_KEYS, Place, Seal, Unsealable, new_line, parse
from gateway.store.sealing import seal_all
from tests.frames import NOON, batch, door, frame
from tests.gateway import test_keys
from tests.gateway.ingest_home import SEAL, Parts, parts
from tests.gateway.office import Office, office
from tests.gateway.test_keys import ADDRESS, KEY, a_button, pressed, seen

OTHER = parse(new_line())


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


async def a_placed_button(here: Office) -> str:
    technician = await here.as_("technician", within="Testby")
    device = await a_button(technician, key=KEY)
    await test_keys.place(here, technician, device)
    return device


async def kinds(ingest: Parts) -> list[Kind]:
    return [Kind(row["kind"]) for row in await ingest.rows("SELECT kind FROM observation")]


async def aside(ingest: Parts) -> list[str]:
    rows = await ingest.rows("SELECT reason FROM quarantine ORDER BY id")
    return [row["reason"] for row in rows]


async def kept(here: Office) -> bytes:
    return await here.owner.fetchval("SELECT key FROM device_secret")


async def test_a_call_is_read_with_a_key_that_the_database_keeps_sealed(
    here: Office, ingest: Parts
) -> None:
    await a_placed_button(here)

    await ingest.store(batch([pressed(1)]))

    assert (await kept(here)).startswith(b"sealed1:")
    assert bytes.fromhex(KEY) not in await kept(here)
    assert await kinds(ingest) == [Kind.BUTTON]


async def test_a_key_that_does_not_open_stops_nothing_and_is_told(
    here: Office, ingest: Parts
) -> None:
    device = await a_placed_button(here)
    here.clock.pass_(seconds=1)
    ingest.clock.at = here.clock.now()
    ingest.known = Known(ingest.pool, OTHER)

    others = door()
    await ingest.store(batch([pressed(1), others, pressed(2)]))
    told = await seen(await here.as_("technician", within="Testby"), device)
    before = await kinds(ingest)
    counts = Counts()
    async for page in Again(ingest.pool, ingest.clock, SEAL).run(Wanted()):
        counts.add(page)

    assert before, "the other device of the same message"
    assert Kind.BUTTON not in before
    assert told["set_aside"]["reason"] == "sealed_key"
    assert counts.read == {"sealed_key": 2}
    assert (await kinds(ingest)).count(Kind.BUTTON) == 2


@pytest.mark.parametrize("seal", [OTHER, NO_KEYS], ids=["another key", "no key"])
async def test_a_plain_press_is_no_reading_of_a_device_whose_key_does_not_open(
    here: Office, ingest: Parts, seal: Seal
) -> None:
    await a_placed_button(here)
    ingest.known = Known(ingest.pool, seal)

    forged = frame(device=ADDRESS, data={"fcd2": bthome_payload([button_object()], 7)})
    await ingest.store(batch([forged]))

    assert await aside(ingest) == ["unreadable"], "as with its key: told, and kept aside"


async def test_a_key_copied_to_another_device_does_not_open(here: Office, ingest: Parts) -> None:
    await a_placed_button(here)
    await ingest.rows(
        "UPDATE device_secret SET key = $1 RETURNING device",
        SEAL.seal_bytes(bytes.fromhex(KEY), place(1, 999)),
    )

    await ingest.store(batch([pressed(1)]))

    assert await aside(ingest) == ["sealed_key"]


async def test_sealing_takes_plain_keys_once_and_goes_over_to_a_new_one(
    here: Office, ingest: Parts
) -> None:
    await a_placed_button(here)
    await ingest.rows("UPDATE device_secret SET key = $1 RETURNING device", bytes.fromhex(KEY))
    await ingest.store(batch([pressed(1)]))
    both = Seal(OTHER.current, {**OTHER.keys, **SEAL.keys})

    first, again = await seal_all(here.owner, SEAL), await seal_all(here.owner, SEAL)
    old = await kept(here)
    over, done = await seal_all(here.owner, both), await seal_all(here.owner, OTHER)
    ingest.known = Known(ingest.pool, OTHER)
    await ingest.store(batch([pressed(2)], first=2))

    assert (first > 0, again, over > 0, done) == (True, 0, True, 0)
    assert old != await kept(here)
    assert await kinds(ingest) == [Kind.BUTTON, Kind.BUTTON], "plain, and sealed anew"
    with pytest.raises(Unsealable):
        SEAL.open_bytes(
            await kept(here),
            place(1, await here.owner.fetchval("SELECT device FROM device_secret")),
        )


async def test_a_second_factor_goes_over_to_a_new_key_too(here: Office) -> None:
    await here.login("anna", "administrator", within="Testby")
    person = await here.owner.fetchval("SELECT id FROM person WHERE login = 'anna'")
    where = Place(1, "second_factor", person, "secret")
    await here.owner.execute(
        "INSERT INTO second_factor (municipality, person, secret) VALUES (1, $1, $2)",
        person,
        SEAL.seal_bytes(b"twenty bytes of luck", where),
    )

    await seal_all(here.owner, Seal(OTHER.current, {**OTHER.keys, **SEAL.keys}))

    found = await here.owner.fetchval("SELECT secret FROM second_factor")
    assert OTHER.open_bytes(found, where) == b"twenty bytes of luck"


@dataclass(frozen=True)
class Counting(Seal):
    """Notes what it was asked to open."""

    opened: list[Place] = field(default_factory=list[Place])

    def open_bytes(self, kept: bytes, place: Place) -> bytes:
        self.opened.append(place)
        return super().open_bytes(kept, place)


async def test_a_key_is_opened_once_however_often_it_is_looked_up() -> None:
    seal = Counting(SEAL.current, SEAL.keys)
    keys, key = DeviceKeys(seal), bytes.fromhex(KEY)
    sealed, changed = (seal.seal_bytes(one, place(1, 7)) for one in (key, b"\1" * 16))

    found = [keys.open(1, 7, sealed) for _ in range(100)]
    later = keys.open(1, 7, changed)

    assert (set(found), later) == ({key}, b"\1" * 16)
    assert len(seal.opened) == 2

"""A box renews with the certificate that it has, in time or months late; nobody else does."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.edges.authority import begin
from gateway.store import boxes
from tests.gateway.boxes_door import Box, Doorway, doorway, leaf
from tests.gateway.office import Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


@pytest.fixture
async def door(here: Office, tmp_path: Path) -> AsyncGenerator[Doorway]:
    async with doorway(here, tmp_path) as made:
        yield made


@pytest.mark.parametrize("days", [0, 60, 89, 91, 400], ids=lambda days: f"after {days} days")
async def test_a_box_renews_in_time_and_however_late(door: Doorway, days: int) -> None:
    name, box = await door.a_box()
    door.here.clock.pass_(days=days)
    fresh = Box()

    answer = await door.renew(box.renewing(fresh))

    told = answer.json()
    certificate = leaf(told["certificate"])
    assert answer.status_code == 200, answer.text
    assert certificate.public_key() == fresh.key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={name}"
    now = door.here.clock.now()
    assert told["renew"] == int((now + timedelta(days=60)).timestamp())
    assert await door.here.owner.fetchval("SELECT count(*) FROM certificate") == 2
    assert await door.here.owner.fetchval("SELECT count(pem) FROM certificate") == 1
    assert door.counted("renew", "granted") == 1


async def test_who_lost_the_answer_is_given_the_same(door: Doorway) -> None:
    _, box = await door.a_box()
    fresh = Box()

    first = await door.renew(box.renewing(fresh))
    again = await asyncio.gather(*(door.renew(box.renewing(fresh)) for _ in range(50)))

    assert {answer.text for answer in again} == {first.text}
    assert await door.here.owner.fetchval("SELECT count(*) FROM certificate") == 2


async def test_a_box_renews_for_years(door: Doorway) -> None:
    name, box = await door.a_box()
    for _ in range(12):
        door.here.clock.pass_(days=60)
        fresh = Box()
        answer = await door.renew(box.renewing(fresh))
        assert answer.status_code == 200
        fresh.certificate = answer.json()["certificate"]
        box = fresh

    assert await door.here.owner.fetchval("SELECT count(*) FROM certificate") == 13
    assert leaf(box.certificate).subject.rfc4514_string() == f"CN={name}"


@pytest.mark.parametrize("late", [0, 200])
async def test_after_it_was_shut_out_nothing_renews(door: Doorway, late: int) -> None:
    name, box = await door.a_box()
    await boxes.revoke_box(door.here.owner, name, door.here.clock.now(), "stolen", None)
    door.here.clock.pass_(days=late)

    answer = await door.renew(box.renewing(Box()))

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/cannot-renew")
    assert await door.here.owner.fetchval("SELECT count(*) FROM certificate") == 1
    assert door.counted("renew", "cannot-renew") == 1


async def test_a_box_that_was_replaced_renews_nothing(door: Doorway) -> None:
    name, box = await door.a_box()
    await boxes.replace_box(door.here.owner, name, door.here.clock.now(), None)

    assert (await door.renew(box.renewing(Box()))).status_code == 403


async def test_a_certificate_that_was_only_seen_renews_nothing(door: Doorway) -> None:
    """It goes over the wire at every connection: its key alone is the proof."""
    _, box = await door.a_box()
    thief, wanted = Box(certificate=box.certificate), Box()

    with_own_key = await door.renew(thief.renewing(wanted))
    of_another_request = await door.renew(box.renewing(Box(), request=wanted.request()))

    assert (with_own_key.status_code, of_another_request.status_code) == (422, 422)
    assert door.counted("renew", "bad-request") == 2


async def test_a_certificate_that_we_did_not_record_renews_nothing(door: Doorway) -> None:
    """Signed with our own stolen issuer key, or lost in a restore: nobody invited that box."""
    name, _ = await door.a_box()
    forged = Box()
    forged.certificate = door.authority.certify_box(
        forged.request(), name, door.here.clock.now()
    ).pem

    answer = await door.renew(forged.renewing(Box()))

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/cannot-renew")


async def test_another_boxes_serial_under_its_own_name_renews_nothing(door: Doorway) -> None:
    first, _ = await door.a_box()
    second, box = await door.a_box()
    await door.here.owner.execute(
        "DELETE FROM certificate WHERE edge = (SELECT id FROM edge WHERE name = $1)", second
    )
    serial = f"{leaf(box.certificate).serial_number:x}"
    await door.here.owner.execute("UPDATE certificate SET serial = $1", serial)

    answer = await door.renew(box.renewing(Box()))

    assert first != second
    assert answer.status_code == 403


async def test_a_certificate_of_another_authority_renews_nothing(
    door: Doorway, tmp_path: Path
) -> None:
    name, box = await door.a_box()
    other = begin(tmp_path / "other", broker_names=[], edge_names=[], now=door.here.clock.now())
    box.certificate = other.certify_box(box.request(), name, door.here.clock.now()).pem

    answer = await door.renew(box.renewing(Box()))

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-request")


@pytest.mark.parametrize("name", ["gateway-urgent", "canary", "broker"])
async def test_the_gateways_own_certificates_are_no_boxes(door: Doorway, name: str) -> None:
    box = Box(certificate=(door.authority.folder / f"{name}.pem").read_text())

    assert (await door.renew(box.renewing(Box()))).status_code == 422


async def test_a_renewal_and_a_revocation_at_once_leave_nothing_valid(door: Doorway) -> None:
    for _ in range(10):
        name, box = await door.a_box()
        now = door.here.clock.now()

        await asyncio.gather(
            *(door.renew(box.renewing(Box())) for _ in range(4)),
            boxes.revoke_box(door.here.owner, name, now, "stolen", None),
        )

    left = await door.here.owner.fetchval("SELECT count(*) FROM certificate WHERE revoked IS NULL")
    assert left == 0

"""Who looks after boxes sees their contact, what is missing of them, and their memory cards."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.services import OneDatabase
from tests.gateway.office import Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> Any:
    async with office(fresh_database, tmp_path, backup_hours=48) as made:
        yield made


async def test_boxes_tell_their_contact(here: Office) -> None:
    flat = await here.flat()
    await here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, 'box-1', $2), ($1, 'box-2', $2)",
        flat.municipality,
        flat.home,
    )
    await here.owner.execute(
        """
        INSERT INTO contact (municipality, edge, "from", "to", ended_by)
        SELECT municipality, id, $1::timestamptz - interval '1 hour',
               CASE name WHEN 'box-2' THEN $1::timestamptz END,
               CASE name WHEN 'box-2' THEN 'lost' END FROM edge
        """,
        here.clock.now(),
    )
    technician = await here.as_("technician")

    first = (await technician.get("/edges", params={"limit": 1})).json()
    second = (await technician.get("/edges", params={"after": first["next"]})).json()

    assert first["edges"][0]["lost"] is None
    assert first["edges"][0]["contact"] is not None
    assert second["edges"][0]["contact"] is None
    assert second["edges"][0]["lost_by"] == "lost"
    assert second["next"] is None


async def a_box(here: Office) -> int:
    flat = await here.flat()
    number = await here.owner.fetchval(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, 'box-1', $2) RETURNING id",
        flat.municipality,
        flat.home,
    )
    return int(number)


async def seen(here: Office) -> dict[str, Any]:
    technician = await here.as_("technician")
    (box,) = (await technician.get("/edges")).json()["edges"]
    return dict(box)


async def test_what_has_not_come_and_what_never_will_is_counted(here: Office) -> None:
    number = await a_box(here)
    for lane, received, gone in (
        ("bulk", "{[3,10],[15,16]}", "{[4,5],[15,15]}"),
        ("urgent", "{[1,9]}", "{}"),
        ("urgent", "{}", "{}"),
    ):
        await here.owner.execute(
            "INSERT INTO stream (municipality, edge, uuid, lane, received, gone) "
            "SELECT municipality, id, gen_random_uuid(), $2, $3::text::int8multirange,"
            " $4::text::int8multirange FROM edge WHERE id = $1",
            number,
            lane,
            received,
            gone,
        )

    box = await seen(here)

    assert (box["missing"], box["holes"], box["given_up"]) == (2 + 4, 2, 3)
    assert (box["card"], box["faults"]) == (None, ["missing"])


@pytest.mark.parametrize(
    ("keep_days", "early", "given_up", "days_ago", "faults"),
    [
        (4.0, 0, 0, None, []),
        (3.0, 0, 0, None, ["keeps_too_short"]),
        (4.0, 7, 0, 3, ["let_go_early"]),
        (4.0, 7, 0, 5, []),
        (4.0, 7, 1, 5, ["gave_up"]),
        (None, 7, 1, 40, []),
    ],
)
async def test_a_box_that_keeps_too_little_for_a_restore_is_at_fault(
    here: Office,
    *,
    keep_days: float | None,
    early: int,
    given_up: int,
    days_ago: float | None,
    faults: list[str],
) -> None:
    """A backup every 48 hours: receipted frames must stay for four days."""
    now = here.clock.now()
    await here.owner.execute(
        "INSERT INTO edge_card (municipality, edge, at, keep_days, early, given_up, full_at) "
        "SELECT municipality, id, $2, $3, $4, $5, $6 FROM edge WHERE id = $1",
        await a_box(here),
        now,
        keep_days,
        early,
        given_up,
        None if days_ago is None else now - timedelta(days=days_ago),
    )

    box = await seen(here)

    assert box["faults"] == faults
    assert (box["card"]["early"], box["card"]["given_up"]) == (early, given_up)


FARES: Sequence[tuple[tuple[Any, ...], list[str]]] = (
    (("hearing", "active", 60, 1, None), []),
    (
        ("silent", "passive", 6, 2, "storage_failed"),
        ["trouble", "deaf", "second_path", "little_room"],
    ),
    (("of.tomorrow", "dozing", 7, 3, "of_tomorrow"), ["trouble", "second_path"]),
)


async def test_a_box_tells_how_its_radio_line_and_card_fare(here: Office) -> None:
    number, technician = await a_box(here), await here.as_("technician")

    for said, faults in FARES:
        await here.owner.execute("DELETE FROM edge_card")
        await here.owner.execute(
            "INSERT INTO edge_card (municipality, edge, at, reader, mode, room_days, path, trouble)"
            " SELECT municipality, id, $2, $3, $4, $5, $6, $7 FROM edge WHERE id = $1",
            number,
            here.clock.now(),
            *said,
        )
        box = await seen(here)
        told = tuple(box[name] for name in ("reader", "mode", "room_days", "path", "trouble"))
        assert (told, box["faults"]) == (said, faults)
        assert (await technician.get("/edges/box-1")).json() == box


async def test_a_box_that_is_not_there_or_not_ones_own_is_not_found(here: Office) -> None:
    await a_box(here)

    for within, name in (("Kalundborg", "box-2"), ("Odense", "box-1")):
        technician = await here.as_("technician", within=within)
        answer = await technician.get(f"/edges/{name}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_boxes_without_anything_stored_have_no_fault(here: Office) -> None:
    await a_box(here)

    box = await seen(here)

    assert (box["missing"], box["holes"], box["given_up"]) == (0, 0, 0)
    assert (box["card"], box["faults"]) == (None, [])

"""The page of the boxes tells a technician in plain Danish how they fare, whatever they say."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.services import OneDatabase
from gateway.reads.edges import Edge
from gateway.web.boxes import fares, faults
from tests.gateway.desks import Desk, desk

NOW = datetime(2026, 3, 2, 20, tzinfo=UTC)


@pytest.fixture
async def here(emptied: OneDatabase, tmp_path: Path) -> AsyncGenerator[Desk]:
    async with desk(emptied, tmp_path) as made:
        yield made


def box(**said: Any) -> Edge:
    nothing = dict[str, Any].fromkeys(Edge.__dataclass_fields__)
    numbers: dict[str, Any] = dict.fromkeys(
        ("missing", "holes", "given_up", "card_early", "card_given_up"), 0
    )
    fields: dict[str, Any] = nothing | {"name": "box-1"} | numbers | said
    return Edge(**fields)


@pytest.mark.parametrize(
    ("said", "well", "wrong"),
    [
        ({}, "", []),
        ({"reader": "hearing", "mode": "active", "room_days": 42}, "Plads til 42 dage", []),
        ({"mode": "passive", "room_days": 60}, "Lytter passivt, plads til 60 dage", []),
        ({"reader": "off"}, "Radioen er slået fra", []),
        ({"reader": "silent"}, "", ["radioen hører ingenting"]),
        ({"path": 2}, "", ["bruger reserveforbindelsen"]),
        ({"room_days": 1}, "Plads til 1 dag", ["kun plads til 1 dag"]),
        ({"trouble": "storage_failed"}, "", ["hukommelseskortet fejler: skift det"]),
        ({"trouble": "card_full"}, "", ["hukommelseskortet er fuldt"]),
        ({"trouble": "of_tomorrow"}, "", ["boksen melder fejl: of_tomorrow"]),
        ({"reader": "asleep", "mode": "dozing"}, "Radio: asleep, lytter: dozing", []),
    ],
)
def test_what_a_box_says_is_told_in_danish(
    said: dict[str, Any], well: str, wrong: list[str]
) -> None:
    assert (fares(box(**said)), faults(box(**said), NOW, 3)) == (well, wrong)


async def test_words_of_tomorrow_do_not_break_the_page(here: Desk) -> None:
    flat = await here.flat("Nord")
    await here.here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, 'box-odd', $2)",
        flat.municipality,
        flat.home,
    )
    await here.here.owner.execute(
        "INSERT INTO edge_card (municipality, edge, at, mode, room_days, path, trouble) "
        "SELECT municipality, id, $1, 'dozing', 3, 3, '<b>odd</b>' FROM edge",
        here.here.clock.now(),
    )
    technician = await here.person("technician", "Nord")

    page = await technician.opens("/bokse")

    assert "Boksen melder fejl: <b>odd</b>." in page.text
    assert "Bruger reserveforbindelsen." in page.text
    assert "Kun plads til 3 dage." in page.text

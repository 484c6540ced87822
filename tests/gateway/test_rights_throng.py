"""Two thousand requests of two municipalities over HTTP, on one small pool: no row crosses."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from deploy.runtime.services import OneDatabase
from tests.gateway.office import Office, office
from tests.gateway.strangers import Place, place
from tests.gateway.throng import Ask, SaysItForTheSession, Throng, five_connections, served

pytestmark = pytest.mark.slow

MANY, SOCKETS, FEW = 2_000, 400, 60
"""Requests, how many of them wait at the same time, and how many where a row crosses early."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One municipality: what is its own, and the keys of its people."""

    place: Place
    staff: str
    planner: str


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, requests_a_minute=100_000) as made:
        yield made


async def sides(here: Office) -> tuple[Side, Side]:
    made: list[Side] = []
    for within, district, name in (
        ("Kalundborg", "Nord", "Ingrid"),
        ("Odense", "Midt", "Gudrun"),
    ):
        await here.login(f"first-of-{district.lower()}", within=within)
        made.append(
            Side(
                place=await place(here, within=within, district=district, name=name),
                staff=await here.key("staff", within=within),
                planner=await here.key("planner", within=within),
            )
        )
    here.clock.pass_(minutes=1)  # what a device says now is shown a moment later
    return made[0], made[1]


def asks(mine: Side, other: Side) -> list[Ask]:
    """One of everything that a program of `mine` may ask for, and the other's things by id."""
    own, foreign, marks = mine.place.ids, other.place.ids, other.place.marks
    device, citizen = str(own["devices"]), str(own["citizens"])

    def ask(path: str, *must: str) -> Ask:
        return Ask(method="GET", path=path, key=mine.staff, own=must, foreign=marks)

    def refused(method: str, path: str, key: str) -> Ask:
        # the id that was asked for may come back in the refusal; whatever it leads to may not
        hidden = [mark for mark in marks if mark not in path]
        return Ask(method=method, path=path, key=key, status=404, foreign=hidden)

    return [
        ask("/alerts", str(own["alerts"]), citizen),
        ask(f"/alerts/{own['alerts']}", citizen),
        ask("/homes", str(own["homes"])),
        ask("/devices", device),
        ask(f"/devices/{device}", str(own["placements"])),
        ask(f"/devices/{device}/observations", f"Stue {_name(mine)}"),
        ask("/citizens", citizen),
        ask("/careless/filter", device, citizen, _name(mine), f"Stue {_name(mine)}"),
        ask("/careless/whom"),
        refused("GET", f"/alerts/{foreign['alerts']}", mine.staff),
        refused("GET", f"/devices/{foreign['devices']}", mine.staff),
        refused("GET", f"/devices/{foreign['devices']}/observations", mine.staff),
        refused("GET", f"/citizens/{foreign['citizens']}", mine.staff),
        refused("POST", f"/placements/{foreign['placements']}/end", mine.planner),
    ]


def _name(side: Side) -> str:
    return "Ingrid" if side.place.district == "Nord" else "Gudrun"


def mixed(one: Side, other: Side) -> Iterator[Ask]:
    """MANY requests, the two municipalities by turns, every kind after the other."""
    kinds = list(zip(asks(one, other), asks(other, one), strict=True))
    for number in range(MANY):
        yield kinds[number // 2 % len(kinds)][number % 2]


async def throng(
    here: Office,
    database: OneDatabase,
    kind: type = asyncpg.Connection,
    *,
    sockets: int = SOCKETS,
    sabotage: str = "",
) -> Throng:
    """What came of MANY requests, or of as many as it took until a row crossed."""
    both = await sides(here)
    if sabotage:
        await here.owner.execute(sabotage)
    async with five_connections(database, kind) as pool, served(here, pool) as port:
        made = Throng(port=port, faults=[])
        await made.ask(mixed(*both), sockets=sockets, enough=lambda: bool(crossed(made)))
    return made


def crossed(made: Throng) -> list[str]:
    return [fault for fault in made.faults if "CROSSED" in fault]


async def test_two_thousand_requests_over_http_cross_no_row(
    here: Office, fresh_database: OneDatabase
) -> None:
    made = await throng(here, fresh_database)

    assert made.faults == []
    assert made.asked == MANY
    assert made.most_at_once == SOCKETS, "so many had no answer yet at the same time"


async def test_words_that_stay_with_the_connection_are_seen_to_cross(
    here: Office, fresh_database: OneDatabase
) -> None:
    made = await throng(here, fresh_database, SaysItForTheSession, sockets=FEW)

    assert any("/careless/whom" in fault for fault in crossed(made))


@pytest.mark.parametrize(
    "sabotage",
    [
        "ALTER VIEW placed_observation OWNER TO CURRENT_USER",
        "ALTER TABLE identity.citizen DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE device DISABLE ROW LEVEL SECURITY",
    ],
)
async def test_a_superusers_view_and_a_table_without_its_policies_are_seen_to_cross(
    here: Office, fresh_database: OneDatabase, sabotage: str
) -> None:
    made = await throng(here, fresh_database, sockets=FEW, sabotage=sabotage)

    assert crossed(made) != []

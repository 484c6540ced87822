"""A walk test is over when its box leaves the home, and a press that came then calls as always."""

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store import boxes
from gateway.web.board import pages
from tests.gateway.joined import a_keeper
from tests.gateway.office import Office, office
from tests.gateway.test_walk import BOX, TESTS, begins, furnished


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made, a_keeper(made):
        yield made


@pytest.mark.parametrize(
    ("deed", "body"),
    [
        ("move", {"home": "{home}"}),
        ("replace", {}),
        ("revoke", {"reason": "Stjålet"}),
    ],
)
async def test_a_box_that_leaves_the_home_ends_its_test(
    here: Office, deed: str, body: Mapping[str, Any]
) -> None:
    await furnished(here, stue="call")
    other = await here.flat(name="Bo")
    body = {key: str(value).format(home=other.home_public) for key, value in body.items()}
    async with await here.as_("administrator") as technician:
        made = await begins(technician)
        here.clock.pass_(minutes=4)
        left = here.clock.now()
        answer = await technician.post(f"/edges/{BOX}/{deed}", json=body)
        record = (await technician.get(f"{TESTS}/{made['id']}")).json()
        page = await technician.get(f"/bokse/{BOX}/proeve/{made['id']}")

    assert answer.is_success, answer.text
    assert (record["runs"], record["ended_by"]) == (False, "box")
    assert record["ended_by_name"], "who moved, replaced or shut it out"
    assert record["ended"] == left.isoformat().replace("+00:00", "Z")
    assert "fordi boksen forlod boligen" in page.text
    assert await here.owner.fetchval("SELECT count(*) FROM deadline") > 0, "judged anew"


async def test_the_box_in_its_place_may_be_tried_at_once(here: Office) -> None:
    await furnished(here, stue="call")
    async with await here.as_("administrator") as technician:
        first = await begins(technician)
        here.clock.pass_(minutes=4)
        box = (await technician.post(f"/edges/{BOX}/replace", json={})).json()["edge"]
        second = await technician.post(f"/edges/{box}/walk-tests", json={})

    assert second.status_code == 201, second.text
    assert second.json()["until"] == first["until"], "together half an hour"


async def test_a_box_that_is_moved_to_where_it_stands_stays_under_test(here: Office) -> None:
    flat = await furnished(here, stue="call")
    async with await here.as_("technician", districts=["Nord"]) as technician:
        made = await begins(technician)
        await boxes.move_box(here.owner, BOX, flat.home_public, here.clock.now(), None)
        record = (await technician.get(f"{TESTS}/{made['id']}")).json()

    assert record["runs"]

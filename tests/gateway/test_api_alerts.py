"""Alerts over HTTP: who sees which, and what each move does."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.runtime.services import OneDatabase
from tests.gateway.office import Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def test_a_carer_sees_the_alerts_of_her_district_newest_first(here: Office) -> None:
    flat = await here.flat()
    older = await here.alert(flat, minutes_ago=10)
    newer = await here.alert(flat, kind="box_silent", minutes_ago=1)
    await here.alert(await here.flat(district="Syd"))
    carer = await here.as_("staff", districts=["Nord"])

    answer = await carer.get("/alerts")

    assert answer.status_code == 200
    assert [alert["id"] for alert in answer.json()["alerts"]] == [str(newer), str(older)]
    assert answer.json()["alerts"][0]["citizen"] == {
        "id": str(flat.citizen_public),
        "name": "Inger Holm",
    }
    assert answer.json()["alerts"][0]["findings"][0]["reason"] == "Trykket kl. 20.57 i stuen"


async def test_another_municipality_and_another_district_do_not_exist(here: Office) -> None:
    foreign = await here.alert(await here.flat(within="Odense"))
    south = await here.alert(await here.flat(district="Syd"))
    carer = await here.as_("staff", districts=["Nord"])

    answers = [await carer.get(f"/alerts/{public}") for public in (foreign, south, uuid4())]
    moves = [await carer.post(f"/alerts/{public}/take") for public in (foreign, south, uuid4())]

    assert (await carer.get("/alerts")).json()["alerts"] == []
    assert {answer.status_code for answer in (*answers, *moves)} == {404}
    assert len({answer.content for answer in (*answers, *moves)}) == 1
    assert answers[0].headers["content-type"] == "application/problem+json"


async def test_an_alert_goes_through_its_moves_and_each_is_written_down(here: Office) -> None:
    alert = await here.alert(await here.flat())
    carer = await here.as_("staff")

    for move in ("take", "set_out", "arrive"):
        assert (await carer.post(f"/alerts/{alert}/{move}")).status_code == 200
    closed = await carer.post(
        f"/alerts/{alert}/close", json={"outcome": "helped", "text": "Faldet, kom op igen"}
    )

    body = closed.json()
    assert (body["state"], body["outcome"], body["version"]) == ("closed", "helped", 5)
    assert [move["move"] for move in body["moves"]] == ["take", "set_out", "arrive", "close"]
    assert body["moves"][-1]["text"] == "Faldet, kom op igen"
    assert {move["person"]["name"] for move in body["moves"]} == {"Staff 1"}


async def test_the_second_to_take_an_alert_is_told_who_has_it(here: Office) -> None:
    alert = await here.alert(await here.flat())
    first, second = await here.as_("staff"), await here.as_("staff")

    await first.post(f"/alerts/{alert}/take")
    refused = await second.post(f"/alerts/{alert}/take")

    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/already-taken"
    assert refused.json()["holder"]["name"] == "Staff 1"
    assert refused.json()["moves"] == ["set_out", "arrive", "close", "hand_over"]


async def test_of_many_who_take_at_once_exactly_one_has_it(here: Office) -> None:
    alert = await here.alert(await here.flat())
    carers = [await here.as_("staff") for _ in range(8)]

    answers = await asyncio.gather(*(carer.post(f"/alerts/{alert}/take") for carer in carers))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    holder = next(a for a in answers if a.status_code == 200).json()["holder"]
    assert all(a.json()["holder"] == holder for a in answers)
    assert await here.owner.fetchval("SELECT count(*) FROM alert_move") == 1


async def test_a_thumb_that_presses_twice_moves_once(here: Office) -> None:
    alert = await here.alert(await here.flat())
    carer = await here.as_("staff")

    answers = await asyncio.gather(*(carer.post(f"/alerts/{alert}/take") for _ in range(3)))

    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.json()["version"] for answer in answers} == {2}


async def test_nobody_closes_what_they_have_not_seen(here: Office) -> None:
    alert = await here.alert(await here.flat())
    carer = await here.as_("staff")
    await here.owner.execute("UPDATE alert SET version = 2")

    refused = await carer.post(f"/alerts/{alert}/close", json={"outcome": "helped", "version": 1})

    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/version-passed"
    assert refused.json()["version"] == 2
    assert await here.owner.fetchval("SELECT state FROM alert") == "new"


@pytest.mark.parametrize(
    ("move", "body", "kind"),
    [
        ("close", {}, "outcome"),
        ("close", {"outcome": "other"}, "text-missing"),
        ("take", {"outcome": "helped"}, "outcome"),
        ("arrive", {}, "illegal-move"),
        ("reopen", {}, "illegal-move"),
    ],
)
async def test_a_move_that_cannot_be_made_says_why_and_changes_nothing(
    here: Office, move: str, body: dict[str, str], kind: str
) -> None:
    alert = await here.alert(await here.flat())
    carer = await here.as_("staff")

    refused = await carer.post(f"/alerts/{alert}/{move}", json=body)

    assert refused.status_code == 409
    assert refused.json()["type"] == f"/problems/{kind}"
    assert await here.owner.fetchval("SELECT version FROM alert") == 1


async def test_states_and_kinds_are_chosen_and_the_list_goes_on_where_it_stopped(
    here: Office,
) -> None:
    flat = await here.flat()
    carer = await here.as_("staff")
    made = [await here.alert(flat, minutes_ago=minute) for minute in range(7)]
    await here.alert(flat, kind="night_door")
    await carer.post(f"/alerts/{made[3]}/close", json={"outcome": "test_call"})
    query = {"state": "open", "kind": "call_pressed", "limit": 4}

    first = (await carer.get("/alerts", params=query)).json()
    second = (await carer.get("/alerts", params={**query, "after": first["next"]})).json()

    seen = [alert["id"] for alert in first["alerts"] + second["alerts"]]
    assert seen == [str(alert) for alert in made if alert != made[3]]
    assert second["next"] is None


async def test_a_robot_works_with_ids_and_sees_no_names(here: Office) -> None:
    flat = await here.flat()
    alert = await here.alert(flat)
    await (await here.as_("staff")).post(f"/alerts/{alert}/take")
    robot = await here.as_("robot")

    texts = [
        (await robot.get(path)).text
        for path in (f"/alerts/{alert}", "/alerts", "/homes", "/devices")
    ]

    assert str(flat.citizen_public) in texts[0]
    assert not any(word in text for text in texts for word in ("Inger", "Skovvej", "Staff", "+45"))
    assert (await robot.post(f"/alerts/{alert}/set_out")).status_code == 403


async def test_every_look_and_every_move_is_in_the_access_log(here: Office) -> None:
    flat = await here.flat()
    alert = await here.alert(flat)
    carer = await here.as_("staff")

    for _ in range(3):
        await carer.get("/alerts")
    await carer.get(f"/alerts/{alert}")
    await carer.post(f"/alerts/{alert}/take")
    here.clock.pass_(minutes=20)
    await carer.get("/alerts")

    rows = await here.owner.fetch("SELECT what, citizen, role FROM access_log ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("alerts.listed", flat.citizen, "staff"),
        ("alert.seen", flat.citizen, "staff"),
        ("alert.take", flat.citizen, "staff"),
        ("alerts.listed", flat.citizen, "staff"),
    ]

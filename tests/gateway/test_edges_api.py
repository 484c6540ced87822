"""Boxes over HTTP: added, invited, moved, replaced and shut out by who looks after them."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.runtime.services import OneDatabase
from gateway.edges.code import parse
from gateway.store import boxes
from gateway.store.asking import NotAllowed, asking
from gateway.store.caller import Caller, Role
from gateway.store.secrets import digest
from tests.gateway.joined import a_joined_box, a_keeper, home_of, logged
from tests.gateway.office import ADDRESS, Flat, Office, office

FOR = ("technician", "administrator")


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made, a_keeper(made):
        yield made


async def test_a_box_is_added_and_its_code_told_once(here: Office) -> None:
    flat, technician = await here.flat(), await here.as_("technician")

    made = await technician.post("/edges", json={"home": str(flat.home_public), "sticker": "TP-1"})

    told = made.json()
    assert made.status_code == 201, made.text
    code = parse(told["code"])
    assert (code.address, told["label"][:5]) == (ADDRESS, "<?xml")
    kept = await here.owner.fetchrow("SELECT * FROM edge")
    assert kept is not None
    assert (kept["claim"], kept["home"], kept["sticker"]) == (
        digest(code.secret),
        flat.home,
        "TP-1",
    )
    assert code.secret not in str(dict(kept))
    seen = (await technician.get(f"/edges/{told['edge']}")).json()
    assert (seen["sticker"], seen["code_until"], seen["joined"]) == ("TP-1", told["until"], None)
    assert told["code"] not in str(seen)
    assert ("box.added", flat.citizen) in await logged(here)


async def test_a_lost_code_is_made_anew_until_the_box_has_joined(here: Office) -> None:
    flat, technician = await here.flat(), await here.as_("technician")
    made = (await technician.post("/edges", json={})).json()
    joined, _ = await a_joined_box(here, flat)

    again = await technician.post(f"/edges/{made['edge']}/code")
    refused = await technician.post(f"/edges/{joined}/code")

    assert (again.status_code, refused.status_code) == (201, 409)
    assert again.json()["code"] != made["code"]
    claim = await here.owner.fetchval("SELECT claim FROM edge WHERE name = $1", made["edge"])
    assert claim == digest(parse(again.json()["code"]).secret)
    assert refused.json()["type"] == "/problems/in-use"


async def test_a_stolen_box_is_shut_out_and_again_is_the_same(here: Office) -> None:
    flat, technician = await here.flat(), await here.as_("technician")
    name, _ = await a_joined_box(here, flat)

    once = await technician.post(f"/edges/{name}/revoke", json={"reason": "stjålet"})
    twice = await technician.post(f"/edges/{name}/revoke")

    assert once.json() == twice.json() == {"edge": name, "broker_told": True}
    assert await here.owner.fetchval("SELECT reason FROM certificate") == "stjålet"
    seen = (await technician.get(f"/edges/{name}")).json()
    assert (seen["home"], seen["shut_out"] is None) == (None, False)
    assert ("box.shut_out", flat.citizen) in await logged(here)
    assert await here.owner.fetchval("SELECT citizen FROM deadline") == flat.citizen


async def test_a_box_is_replaced_and_its_home_kept(here: Office) -> None:
    flat, technician = await here.flat(), await here.as_("technician")
    name, _ = await a_joined_box(here, flat)

    swapped = await technician.post(f"/edges/{name}/replace", json={"sticker": "TP-2"})
    again = await technician.post(f"/edges/{name}/replace")

    told = swapped.json()
    assert (swapped.status_code, told["broker_told"]) == (201, True)
    assert again.status_code == 409
    assert await home_of(here.owner, told["edge"]) == flat.home_public
    assert await home_of(here.owner, name) is None
    assert ("box.replaced", flat.citizen) in await logged(here)


async def test_a_box_is_moved_and_both_homes_are_judged(here: Office) -> None:
    first, second = await here.flat(), await here.flat(name="Bo")
    technician = await here.as_("technician")
    name, _ = await a_joined_box(here, first)

    moved = await technician.post(f"/edges/{name}/move", json={"home": str(second.home_public)})
    nowhere = await technician.post(f"/edges/{name}/move", json={"home": str(uuid4())})

    assert moved.json() == {"edge": name, "home": str(second.home_public)}
    assert nowhere.status_code == 404
    judged = await here.owner.fetch("SELECT citizen FROM deadline ORDER BY 1")
    assert [row["citizen"] for row in judged] == [first.citizen, second.citizen]
    assert {("box.moved", first.citizen), ("box.moved", second.citizen)} <= set(await logged(here))


WAYS = ("code", "revoke", "replace", "move")


@pytest.mark.parametrize("role", ["staff", "planner", "clinical_owner", "leader", "robot"])
async def test_others_do_nothing_to_boxes(here: Office, role: Role) -> None:
    flat = await here.flat()
    name, _ = await a_joined_box(here, flat)
    other = await here.as_(role)

    body = {"home": str(flat.home_public)}
    answers = [await other.post(f"/edges/{name}/{way}", json=body) for way in WAYS]
    answers.append(await other.post("/edges", json=body))

    assert [one.status_code for one in answers] == [403] * 5


async def test_a_box_next_door_is_not_there(here: Office) -> None:
    flat = await here.flat(district="Nord")
    name, _ = await a_joined_box(here, flat)
    await here.district("Syd")
    next_door = await here.as_("technician", districts=["Syd"])
    elsewhere = await here.as_("technician", within="Odense")

    body = {"home": str(flat.home_public)}
    answers = [
        await who.post(f"/edges/{name}/{way}", json=body)
        for who in (next_door, elsewhere)
        for way in WAYS
    ]
    answers += [await who.post("/edges", json=body) for who in (next_door, elsewhere)]

    assert [one.status_code for one in answers] == [404] * 10
    assert await home_of(here.owner, name) == flat.home_public
    assert await here.owner.fetchval("SELECT count(*) FROM edge") == 1


@pytest.mark.parametrize("role", ["clinical_owner", "planner", "staff"])
async def test_the_functions_ask_for_the_right_themselves(here: Office, role: Role) -> None:
    """Hand-made SQL as the API's login: it may change a version, and must not shut a box out."""
    flat = await here.flat()
    name, _ = await a_joined_box(here, flat)

    async with asking(here.pool, as_(flat, role)) as db:
        number = await db.fetchval("SELECT id FROM edge WHERE name = $1", name)
        for statement in (
            "SELECT shut_out_my_edge($1, $2, now(), 'x')",
            "SELECT invite_my_edge($1, $2, '\\x00', now())",
        ):
            done = await db.fetchval(statement, flat.municipality, number)
            assert not done, statement
    row = await here.owner.fetchrow("SELECT shut_out, claimed FROM edge WHERE name = $1", name)
    assert row is not None
    assert (row["shut_out"], row["claimed"] is None) == (None, False)
    with pytest.raises((NotAllowed, LookupError)):
        async with asking(here.pool, as_(flat, role)) as db:
            await boxes.revoke_box(db, name, here.clock.now(), "x", as_(flat, role))


@pytest.mark.parametrize(
    "statement", ["shut_out_edge($1, 1, now(), 'x')", "invite_edge($1, 1, '', now())"]
)
async def test_the_owners_functions_are_the_owners_alone(here: Office, statement: str) -> None:
    flat = await here.flat()

    with pytest.raises(NotAllowed):
        async with asking(here.pool, as_(flat, "technician")) as db:
            await db.fetchval(f"SELECT {statement}", flat.municipality)


def as_(flat: Flat, role: Role) -> Caller:
    return Caller(
        municipality=flat.municipality,
        person=1,
        public=uuid4(),
        name="",
        role=role,
        districts=None,
        asked=None,
    )


async def test_without_an_authority_nothing_is_made_or_lost(here: Office) -> None:
    flat, technician = await here.flat(), await here.as_("technician")
    name, _ = await a_joined_box(here, flat)
    await here.owner.execute("DELETE FROM authority")

    answers = [
        await technician.post("/edges", json={}),
        await technician.post(f"/edges/{name}/replace"),
        await technician.post("/edges/import", content="mærkat\nTP-1\n".encode()),
    ]

    assert [one.status_code for one in answers] == [503] * 3
    assert answers[0].json()["type"] == "/problems/no-authority"
    assert await here.owner.fetchval("SELECT count(*) FROM edge WHERE shut_out IS NULL") == 1


async def test_a_technician_shuts_out_a_hundred_boxes_at_once(here: Office) -> None:
    flat, technician = await here.flat(), await here.as_("technician")
    names = [(await a_joined_box(here, flat))[0] for _ in range(20)]

    answers = await asyncio.gather(
        *(technician.post(f"/edges/{name}/revoke") for name in names for _ in range(5))
    )

    assert {one.status_code for one in answers} == {200}
    told = {one.json()["edge"] for one in answers if one.json()["broker_told"]}
    assert told == set(names), "of each the first that asked has waited for the broker"
    assert await here.owner.fetchval("SELECT count(*) FROM certificate WHERE revoked IS NULL") == 0

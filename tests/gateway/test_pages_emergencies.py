"""Emergency opening by what a voice says on the telephone, and what it never tells."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.asking import asking
from gateway.store.caller import ROLES, Caller
from gateway.store.sought import MOST, is_called, lives_at
from gateway.web.emergencies import NOBODY, SEEN, TOO_OFTEN
from tests.gateway.desks import Desk, Person, desk
from tests.gateway.test_board import Page

PATH = "/noedaabning"
SAID = {
    "name": "ingrid holm",
    "address": "skovvej 4",
    "reason": "Vagten i Syd svarer ikke, og hun har kaldt",
}


@pytest.fixture
async def here(emptied: OneDatabase, tmp_path: Path) -> AsyncGenerator[Desk]:
    async with desk(emptied, tmp_path) as made:
        yield made


async def seeks(person: Person, **said: str) -> tuple[int, Page]:
    return await person.sends(await person.opens(PATH), PATH, **{**SAID, **said})


async def test_a_citizen_next_door_is_found_by_voice_opened_for_an_hour_and_shown_with_alerts(
    here: Desk,
) -> None:
    ingrid = await here.flat("Syd", "Ingrid Margrethe Holm")
    await here.flat("Syd", "Bent Holm")
    alert = await here.here.alert(ingrid)
    anna = await here.person("staff", "Nord")

    status, page = await seeks(anna)
    here.here.clock.pass_(minutes=19)
    later = await anna.opens(PATH)
    taken, board = await anna.sends(later, f"/board/alerts/{alert}/take")
    here.here.clock.pass_(minutes=41)
    over = await anna.opens(PATH)

    assert status == 200
    assert {"Ingrid Margrethe Holm", "60 min tilbage", "Nødkald"} <= set(page.texts)
    assert "41 min tilbage" in later.texts
    assert (taken, "Du har den" in board.texts) == (200, True)
    assert "Ingrid" not in over.text
    assert ("emergency.opened", ingrid.citizen) in await here.logged()
    assert ("emergency.sought", None) in await here.logged()


async def test_a_search_that_finds_nobody_tells_nothing_more_and_is_logged(here: Desk) -> None:
    await here.flat("Syd", "Ingrid Holm")
    await (other := Desk(here.here)).flat("Nord", "Gudrun Friis")
    anna = await here.person("staff", "Nord")

    answers = [
        await seeks(anna, name="Ingrid Hol"),
        await seeks(anna, address="Skovvej 5"),
        await seeks(anna, name="Gudrun Friis"),
    ]

    assert {status for status, _ in answers} == {404}
    for _, page in answers:
        assert NOBODY in page.texts
        assert "Åbne for dig nu" not in page.text
    assert (await here.logged()).count(("emergency.sought", None)) == len(answers)
    assert not [what for what, _ in await here.logged() if what == "emergency.opened"]
    assert await other.logged() == []


async def test_what_is_missing_is_said_beside_its_field_before_anybody_is_sought(
    here: Desk,
) -> None:
    ingrid = await here.flat("Syd", "Ingrid Holm")
    anna = await here.person("staff", "Nord")

    for said, field in (
        ({"reason": "haster"}, "reason"),
        ({"address": "Skovvej"}, "address"),
        ({"name": "010190-1234"}, "name"),
    ):
        status, page = await seeks(anna, **said)
        wrong = [
            one for one in (*page.all("input"), *page.all("textarea")) if "aria-invalid" in one
        ]
        assert (status, [one["id"] for one in wrong]) == (422, [field])

    assert ingrid.citizen not in [citizen for _, citizen in await here.logged()]
    assert ("emergency.sought", None) not in await here.logged()


async def test_two_who_fit_open_neither_and_one_in_ones_own_district_needs_no_opening(
    here: Desk,
) -> None:
    for name in ("Ingrid Holm", "Bent Holm"):
        await here.flat("Syd", name)
    await here.flat("Nord", "Else Friis")
    anna = await here.person("staff", "Nord")

    none, both = await seeks(anna, name="Olsen"), await seeks(anna, name="Holm")
    one = await seeks(anna, name="Else")

    assert [(status, NOBODY in page.texts) for status, page in (none, both)] == [(404, True)] * 2
    assert (one[0], SEEN in one[1].texts) == (200, True)
    assert not [what for what, _ in await here.logged() if what == "emergency.opened"]


async def test_a_search_for_many_ends_and_begins_again_an_hour_later(here: Desk) -> None:
    await here.flat("Syd", "Ingrid Holm")
    anna, bo = await here.person("staff", "Nord"), await here.person("staff", "Nord")
    for number in range(MOST):
        assert (await seeks(anna, address=f"Skovvej {number + 10}"))[0] == 404

    refused, page = await seeks(anna)
    by_another, _ = await seeks(bo)
    here.here.clock.pass_(minutes=59, seconds=59)
    still, _ = await seeks(anna)
    here.here.clock.pass_(seconds=1)
    again, _ = await seeks(await here.person("staff", "Nord"))

    assert (refused, TOO_OFTEN in page.texts, by_another) == (429, True, 200)
    assert (still, again) == (429, 200)


async def test_the_database_gives_the_sealed_names_to_nobody_else_and_never_unlogged(
    here: Desk,
) -> None:
    flat = await here.flat("Syd", "Ingrid Holm")
    given: dict[str, int] = {}
    for role in ROLES:
        person = await here.person(role, "Nord")
        row = await here.here.owner.fetchrow(
            "SELECT p.id, p.public, a.id AS access FROM person p JOIN access a "
            "ON a.municipality = p.municipality AND a.person = p.id WHERE p.login = $1",
            person.login,
        )
        assert row
        caller = Caller(
            municipality=flat.municipality,
            person=row["id"],
            public=row["public"],
            name="",
            role=role,
            districts=frozenset({-1}),
            access=row["access"],
            asked=here.here.clock.now(),
        )
        async with asking(here.here.pool, caller) as db:
            for _ in range(MOST + 1):
                given[role] = given.get(role, 0) + len(
                    await db.fetch("SELECT * FROM seek_citizens()")
                )

    logged = (await here.logged()).count(("emergency.sought", None))
    assert given == {role: MOST if role in {"staff", "clinical_owner"} else 0 for role in ROLES}
    assert logged == 2 * MOST


async def test_a_leader_follows_it_up_on_the_same_page_once(here: Desk) -> None:
    await here.flat("Syd", "Ingrid Holm")
    anna, leader = await here.person("staff", "Nord"), await here.person("leader", "Syd")
    other = await here.person("leader", "Nord")
    await seeks(anna)

    page = await leader.opens(PATH)
    (action,) = [form["action"] for form in page.all("form") if "follow-up" in form["action"]]
    short, refused = await leader.sends(page, action, text="ok")
    status, done = await leader.sends(page, action, text="Talt med Anna, det var rigtigt")
    twice, _ = await leader.sends(page, action, text="Talt med Anna en gang til")

    assert f"af {anna.login} (plejepersonale)" in page.text
    assert SAID["reason"] in page.text
    assert "name" not in [one.get("name") for one in page.all("input")]  # leaders open nobody
    assert (short, status, twice) == (422, 200, 409)
    assert [one["id"] for one in refused.all("textarea") if "aria-invalid" in one]
    assert "»Talt med Anna, det var rigtigt«" in done.text
    assert "Ingrid" not in (await other.opens(PATH)).text
    assert (await (await here.person("planner")).client.get(PATH)).status_code == 403


@pytest.mark.parametrize(
    ("kept", "said", "fits"),
    [
        ("Skovvej 4, 4400 Kalundborg", "skovvej  4", True),
        ("Skovvej 4, 4400 Kalundborg", "Skovvej 4 4400 Kalundborg", True),
        ("Skovvej 4, 2. tv., 4400 Kalundborg", "Skovvej 4, 4400 Kalundborg", True),
        ("Skovvej 4 4400 Kalundborg", "Skovvej 4", True),
        ("Skovvej 4B, 4400 Kalundborg", "skovvej 4 b", True),
        ("Åboulevarden 12, Aarhus", "aaboulevarden 12, århus", True),
        ("Nørre Allé 7", "nørre alle 7", True),
        ("Skovvej 4B, 4400 Kalundborg", "Skovvej 4", False),
        ("Skovvej 41, 4400 Kalundborg", "Skovvej 4", False),
        ("Skovvej 4, 4400 Kalundborg", "Skovvej 4 b", False),
        ("Skovvej 4, 4400 Kalundborg", "Skovvej 4, Odense", False),
        ("Skovvej 4, 4400 Kalundborg", "4400 Kalundborg", False),
        ("Gården", "", False),
        ("", "Skovvej 4", False),
    ],
)
def test_an_address_fits_when_street_and_number_do(kept: str, said: str, *, fits: bool) -> None:
    assert lives_at(kept, said) is fits


@pytest.mark.parametrize(
    ("kept", "said", "fits"),
    [
        ("Ingrid Margrethe Holm", "holm, ingrid", True),
        ("Else-Marie Friis", "marie", True),
        ("Ingrid Holm", "Ingrid Bech", False),
        ("Ingrid Holm", "Ing", False),
        ("I Holm", "i", False),
        ("Ingrid Holm", " ", False),
    ],
)
def test_a_name_fits_when_every_word_of_it_stands_there(
    kept: str, said: str, *, fits: bool
) -> None:
    assert is_called(kept, said) is fits

"""The only door: nobody comes in by another way, and no role gets more than its line says."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Route

from deploy.runtime.services import OneDatabase
from gateway.api.rights import RIGHTS
from gateway.store.caller import ROLES, Role
from gateway.web.board import pages
from gateway.web.words import UNSAVED
from tests.gateway.office import PASSWORD, Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


def ways_in(app: FastAPI) -> Iterator[str]:
    """Every method and path that the application answers."""
    for route in walked(app.routes):
        for method in sorted(route.methods or ()):
            yield f"{method} {route.path}"


def walked(routes: list[BaseRoute]) -> Iterator[Route]:
    for route in routes:
        included: APIRouter | None = getattr(route, "original_router", None)
        if included is not None:
            yield from walked(included.routes)
        elif isinstance(route, Route):
            yield route
        else:
            raise AssertionError(f"a way in that this test does not know: {route!r}")


async def test_every_way_in_has_a_line_in_the_table_and_every_line_a_way_in(here: Office) -> None:
    assert set(ways_in(here.desk_app)) == set(RIGHTS)


async def test_a_route_without_a_line_is_shut_for_everybody(here: Office) -> None:
    @here.desk_app.get("/forgotten")
    async def forgotten() -> Mapping[str, str]:
        return {"secret": "names"}

    answers = [await (await here.as_(role)).get("/forgotten") for role in ROLES]

    assert {answer.status_code for answer in answers} == {403}


@pytest.mark.slow
async def test_no_role_comes_through_a_line_that_is_not_its_own(here: Office) -> None:
    programs = {role: await here.as_(role) for role in ROLES}
    nobody = here.client()

    for way, right in RIGHTS.items():
        method, path = way.split(" ")
        place = re.sub(r"\{public\}", str(uuid4()), path).replace("{move}", "take")
        place = place.replace("{name}", "board.css")
        if right.anyone or path == "/stream":
            continue
        refused, *answers = await asyncio.gather(  # one after the other it is waiting, mostly
            nobody.request(method, place),
            *(each.request(method, place, follow_redirects=False) for each in programs.values()),
        )
        assert refused.status_code == 401, way
        for role, answer in zip(programs, answers, strict=True):
            if role in right.roles:
                assert answer.status_code not in {401, 403}, f"{role} must come through {way}"
            else:
                assert answer.status_code == 403, f"{role} must not come through {way}"


@pytest.mark.parametrize("key", ["", "tg_wrong", "æøå", "tg_" + "a" * 5000])
async def test_a_wrong_key_opens_nothing(here: Office, key: str) -> None:
    answer = await here.client().get(
        "/alerts", headers=[(b"authorization", b"Bearer " + key.encode("latin-1"))]
    )

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_key_ends_on_its_day_and_with_its_person(here: Office) -> None:
    ended, left = await here.as_("staff"), await here.as_("planner")
    await here.owner.execute(
        "UPDATE person SET left_on = $1 WHERE login LIKE 'planner%'", here.clock.now()
    )

    assert (await left.get("/alerts")).status_code == 401
    assert (await ended.get("/alerts")).status_code == 200
    here.clock.pass_(days=366)
    assert (await ended.get("/alerts")).status_code == 401


async def test_secrets_are_kept_only_as_digests(here: Office) -> None:
    key = await here.key()
    await here.login("anna")
    browser = await signed_in(here, "anna")
    cookie = browser.cookies["trygport"]

    kept = json.dumps(
        [
            [str(value) for value in row.values()]
            for table in ("api_key", "session", "person")
            for row in await here.owner.fetch(f"SELECT * FROM {table}")  # noqa: S608 - our own words
        ]
    )

    assert not any(secret in kept for secret in (key, cookie, PASSWORD))
    assert "$argon2id$" in kept


async def signed_in(here: Office, login: str, **more: Any) -> Any:
    browser = here.client(headers={"Accept": "text/html"}, **more)
    answer = await browser.post("/login", data={"login": login, "password": PASSWORD})
    assert answer.status_code == 303
    return browser


async def test_who_sends_a_form_after_the_session_ended_is_told_that_nothing_was_saved(
    here: Office,
) -> None:
    await here.login("anna")
    browser = await signed_in(here, "anna")
    here.clock.pass_(minutes=65)

    sent = await browser.post("/konto/role", data={"role": "staff"}, follow_redirects=False)

    assert (sent.status_code, sent.headers["location"]) == (303, "/login?unsaved=true")
    assert UNSAVED in (await browser.get(sent.headers["location"])).text


async def test_a_session_ends_when_idle_and_after_a_shift_however_busy(here: Office) -> None:
    await here.login("anna")
    idle, busy = await signed_in(here, "anna"), await signed_in(here, "anna")

    for _ in range(13):
        here.clock.pass_(minutes=50)
        assert (await busy.get("/board/alerts")).status_code == 200
    here.clock.pass_(minutes=15)
    assert (await idle.get("/", follow_redirects=False)).headers["location"] == "/login"
    assert (await busy.get("/board/alerts")).status_code == 200
    here.clock.pass_(minutes=56)

    assert (await busy.get("/", follow_redirects=False)).headers["location"] == "/login"


async def test_signing_out_ends_the_session_itself(here: Office) -> None:
    await here.login("anna")
    browser = await signed_in(here, "anna")
    stolen = browser.cookies["trygport"]

    await browser.post("/logout", data={"csrf": await token(browser)})

    thief = here.client(cookies={"trygport": stolen})
    assert (await thief.get("/alerts")).status_code == 401
    assert "trygport" not in browser.cookies


async def token(browser: Any) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', (await browser.get("/")).text)
    assert found is not None
    return found.group(1)


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(here: Office) -> None:
    await here.login("anna")
    data = {"login": "Anna ", "password": PASSWORD}

    plain = await here.client().post("/login", data=data)
    sealed = await here.client(base_url="https://gateway").post("/login", data=data)

    assert plain.headers["set-cookie"].endswith("; HttpOnly; Path=/; SameSite=lax")
    assert sealed.headers["set-cookie"].startswith("__Host-trygport=")
    assert sealed.headers["set-cookie"].endswith("; HttpOnly; Path=/; SameSite=lax; Secure")
    assert "strict-transport-security" in sealed.headers


async def test_unknown_and_wrong_are_one_answer(here: Office) -> None:
    await here.login("anna")
    browser = here.client()

    wrong = await browser.post("/login", data={"login": "anna", "password": "wrong"})
    unknown = await browser.post("/login", data={"login": "nobody\0", "password": "wrong"})

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert "passer ikke sammen" in wrong.text


async def test_guessing_must_wait_and_locks_nobody_else_out(here: Office) -> None:
    await here.login("anna")
    guesser = here.client()
    right = {"login": "anna", "password": PASSWORD}

    for _ in range(5):
        await guesser.post("/login", data={"login": "anna", "password": "guess"})
    refused = await guesser.post("/login", data=right)
    here.client_address = "10.0.0.7"
    elsewhere = await here.client().post("/login", data=right)
    here.clock.pass_(minutes=16)
    later = await guesser.post("/login", data=right)

    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= 901
    assert "For mange forsøg" in refused.text
    assert elsewhere.status_code == later.status_code == 303


@pytest.mark.parametrize(
    "forged",
    [
        {"data": {}},
        {"data": {"csrf": "0" * 64}},
        {"data": {"csrf": "æøå"}},
        {"headers": {"X-CSRF-Token": "0"}},
        {"json": {}},
    ],
)
async def test_a_form_that_is_not_ours_moves_nothing(here: Office, forged: dict[str, Any]) -> None:
    await here.login("anna")
    alert = await here.alert(await here.flat())
    browser = await signed_in(here, "anna")

    for path in (f"/board/alerts/{alert}/take", f"/alerts/{alert}/take", "/logout"):
        assert (await browser.post(path, **forged)).status_code == 403

    assert await here.owner.fetchval("SELECT state FROM alert") == "new"


async def test_another_site_cannot_use_even_the_right_word(here: Office) -> None:
    await here.login("anna")
    alert = await here.alert(await here.flat())
    browser = await signed_in(here, "anna")
    data = {"csrf": await token(browser)}

    for header in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await browser.post(f"/board/alerts/{alert}/take", data=data, headers=header)
        assert answer.status_code == 403
    answer = await browser.post(
        f"/alerts/{alert}/take", headers={"X-CSRF-Token": data["csrf"], "Origin": "http://gateway"}
    )

    assert answer.status_code == 200


OWN = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("address", "place", "headers", "known"),
    [
        ("127.0.0.1", OWN, {}, True),
        ("::1", "http://[::1]:8080", {}, True),
        ("127.0.0.1", OWN, {"X-Forwarded-For": "192.0.2.1"}, False),
        ("127.0.0.1", OWN, {"Forwarded": "for=192.0.2.1"}, False),
        ("127.0.0.1", OWN, {"Forwarded": ""}, False),
        ("127.0.0.1", "https://127.0.0.1:8443", {}, False),
        ("127.0.0.1", "http://127.0.0.1:9000", {}, False),
        ("127.0.0.1", "http://192.0.2.7:8080", {}, False),
        ("192.0.2.1", OWN, {}, False),
    ],
)
async def test_figures_and_reasons_are_for_this_machine_or_who_runs_it(
    here: Office, address: str, place: str, headers: dict[str, str], *, known: bool
) -> None:
    here.client_address = address
    here.desk.health.bad("ingest", "the broker at 10.0.0.3 does not answer")
    nobody, robot = here.client(headers=headers, base_url=place), await here.as_("robot")
    administrator, staff = await here.as_("administrator"), await here.as_("staff")

    figures, ready = await nobody.get("/metrics"), await nobody.get("/readyz")

    assert figures.status_code == (200 if known else 401)
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ("parts" in ready.json()) == known
    assert ("10.0.0.3" in ready.text) == known
    assert (await robot.get("/metrics")).status_code == 200
    assert (await staff.get("/readyz")).json() == {"ready": False}
    for runs_it in (robot, administrator):
        assert (await runs_it.get("/readyz")).json()["parts"]["database"] == "ok"


async def test_a_gateway_that_listens_for_all_tells_nobody_its_figures_without_a_key(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    async with office(fresh_database, tmp_path, http_listen="0.0.0.0:8080") as open_to_all:
        open_to_all.client_address = "127.0.0.1"
        assert (await open_to_all.client(base_url=OWN).get("/metrics")).status_code == 401


async def test_a_person_with_no_right_to_the_board_begins_elsewhere(here: Office) -> None:
    role: Role = "technician"
    await here.login("tom", role)

    tom = await signed_in(here, "tom")
    start, board = await tom.get("/"), await tom.get("/board/alerts")

    assert (start.status_code, start.headers["location"]) == (303, "/bokse")
    assert board.status_code == 403

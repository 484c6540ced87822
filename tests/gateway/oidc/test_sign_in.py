"""Signing in by the municipality's provider: a real one comes in, each forged answer stays out."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.web.board import pages
from tests.gateway.office import Office, office
from tests.gateway.provided import (
    NURSE,
    Provided,
    at_provider,
    is_in,
    left,
    mapped,
    signed_in,
)

pytestmark = pytest.mark.slow  # the provider is a process, which must start first


async def test_who_the_provider_knows_comes_in_with_the_roles_of_the_table(here: Office) -> None:
    await mapped(here, "canteen", "technician")
    browser = here.client()

    answer = await signed_in(browser)
    who = (await browser.get("/session")).json()

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (who["name"], who["role"]) == ("Anna Holm", "staff")
    assert who["roles"] == [
        {"role": "staff", "districts": ["Nord"]},
        {"role": "technician", "districts": None},
    ]
    kept = await here.owner.fetchrow("SELECT login, password_hash, subject FROM person")
    assert kept is not None
    assert tuple(kept) == ("anna", None, "subject-1")


async def test_the_login_page_leads_to_the_provider_and_keeps_the_emergency_accounts_apart(
    here: Office,
) -> None:
    page = (await here.client().get("/login")).text

    assert 'href="/login/provider"' in page
    assert "Nødkonto" in page


async def test_a_role_that_the_provider_gives_no_longer_ends_at_the_next_sign_in(
    here: Office, there: Provided
) -> None:
    await mapped(here, "leaders", "leader")
    await there.world(claims={**NURSE, "groups": ["nurses", "leaders"]})
    leader = here.client()
    await signed_in(leader)
    await leader.post("/session/role", json={"role": "leader"}, headers=await word(leader))
    assert (await leader.get("/session")).json()["role"] == "leader"

    await there.world(claims=NURSE)
    again = here.client()
    await signed_in(again)

    assert [one["role"] for one in (await again.get("/session")).json()["roles"]] == ["staff"]
    assert not await is_in(leader)


async def word(browser: httpx2.AsyncClient) -> dict[str, str]:
    page = (await browser.get("/konto")).text
    return {"X-CSRF-Token": page.partition('name="csrf" value="')[2][:64]}


async def test_of_several_lines_for_one_role_the_districts_are_added_up(
    here: Office, there: Provided
) -> None:
    await mapped(here, "south", "staff", "Syd", "Vest")
    await there.world(claims={**NURSE, "groups": ["nurses", "south"]})
    browser = here.client()

    await signed_in(browser)

    assert (await browser.get("/session")).json()["roles"] == [
        {"role": "staff", "districts": ["Nord", "Syd", "Vest"]}
    ]


async def test_two_browsers_that_come_first_at_once_are_one_person(here: Office) -> None:
    browsers = [here.client(), here.client(), here.client()]
    backs = [await at_provider(await left(browser)) for browser in browsers]

    answers = await asyncio.gather(
        *(
            browser.get("/login/back", params=back)
            for browser, back in zip(browsers, backs, strict=True)
        )
    )

    assert [answer.status_code for answer in answers] == [303] * 3
    assert await here.owner.fetchval("SELECT count(*) FROM person") == 1
    assert await here.owner.fetchval("SELECT count(*) FROM session") == 3


async def test_who_never_comes_back_fills_no_table(here: Office) -> None:
    browser = here.client()
    codes = [(await browser.get("/login/provider")).status_code for _ in range(301)]
    here.clock.pass_(minutes=10)
    await left(here.client())

    assert codes == [303] * 300 + [429]
    assert await here.owner.fetchval("SELECT count(*) FROM oidc_login") == 1


async def test_without_a_role_in_the_table_nobody_comes_in(here: Office, there: Provided) -> None:
    await there.world(claims={"groups": ["canteen"]})
    browser = here.client()

    answer = await signed_in(browser)

    assert answer.status_code == 401
    assert "lukkede dig ikke ind" in answer.text
    assert not await is_in(browser)
    assert await here.owner.fetchval("SELECT count(*) FROM person") == 0


async def test_who_has_left_stays_out_whatever_the_provider_says(here: Office) -> None:
    await signed_in(here.client())
    await here.owner.execute("UPDATE person SET left_on = $1", here.clock.now())
    browser = here.client()

    answer = await signed_in(browser)

    assert answer.status_code == 401
    assert not await is_in(browser)


async def test_a_login_of_the_same_name_is_never_joined_to(here: Office) -> None:
    await here.login("anna", "administrator")
    browser = here.client()

    await signed_in(browser)

    assert (await browser.get("/session")).json()["role"] == "staff"
    logins = await here.owner.fetch("SELECT login FROM person ORDER BY login")
    assert [row["login"].partition("~")[0] for row in logins] == ["anna", "anna"]


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
async def test_each_signature_that_is_taken_comes_in(
    here: Office, there: Provided, alg: str
) -> None:
    await there.world(claims=NURSE, alg=alg)

    assert (await signed_in(here.client())).status_code == 303


async def test_a_new_key_of_the_provider_is_asked_for_at_once(
    here: Office, there: Provided
) -> None:
    await signed_in(here.client())
    here.clock.pass_(seconds=11)

    await there.rotate()
    answer = await signed_in(here.client())

    assert answer.status_code == 303


# ------------------------------------------------------------ answers that are not for this browser


async def test_a_code_opens_once(here: Office) -> None:
    first, second = here.client(), here.client()
    back = await at_provider(await left(first))
    other = await at_provider(await left(second))
    assert (await first.get("/login/back", params=back)).status_code == 303

    answer = await second.get("/login/back", params={**other, "code": back["code"]})

    assert answer.status_code == 401
    assert not await is_in(second)


async def test_a_state_opens_once(here: Office) -> None:
    browser = here.client()
    back = await at_provider(await left(browser))
    held = dict(browser.cookies)
    assert (await browser.get("/login/back", params=back)).status_code == 303

    again = here.client(cookies={name: one for name, one in held.items() if "login" in name})
    answer = await again.get("/login/back", params=back)

    assert answer.status_code == 401
    assert not await is_in(again)


async def test_a_state_is_worth_nothing_after_ten_minutes(here: Office) -> None:
    browser = here.client()
    back = await at_provider(await left(browser))

    here.clock.pass_(minutes=10)
    answer = await browser.get("/login/back", params=back)

    assert answer.status_code == 401


async def test_an_answer_is_not_taken_from_a_browser_that_did_not_ask(here: Office) -> None:
    asked, lured = here.client(), here.client()
    back = await at_provider(await left(asked))

    lured_answer = await lured.get("/login/back", params=back)

    assert lured_answer.status_code == 401
    assert not await is_in(lured)


async def test_a_browser_with_a_sign_in_of_its_own_takes_no_others_answer(here: Office) -> None:
    thief, lured = here.client(), here.client()
    back = await at_provider(await left(thief))
    await left(lured)

    answer = await lured.get("/login/back", params=back)

    assert answer.status_code == 401
    assert not await is_in(lured)


async def test_an_answer_of_another_provider_is_refused(here: Office) -> None:
    browser = here.client()
    back = await at_provider(await left(browser))

    answer = await browser.get("/login/back", params={**back, "iss": "https://evil.example"})

    assert answer.status_code == 401
    assert not await is_in(browser)


async def test_an_answer_that_does_not_say_who_sent_it_is_refused(here: Office) -> None:
    browser = here.client()
    back = await at_provider(await left(browser))
    del back["iss"]

    answer = await browser.get("/login/back", params=back)

    assert answer.status_code == 401


async def test_a_session_that_was_planted_is_not_the_one_that_is_opened(here: Office) -> None:
    await here.login("mallory")
    planted = here.client(headers={"Accept": "text/html"})
    await planted.post("/login", data={"login": "mallory", "password": "correct horse battery"})
    cookie = planted.cookies["trygport"]
    victim = here.client(cookies={"trygport": cookie})

    await signed_in(victim)
    mallory = here.client(cookies={"trygport": cookie})

    assert victim.cookies.get("trygport", domain="gateway.local") != cookie
    assert (await mallory.get("/session")).status_code == 401


async def test_the_provider_being_away_is_said_and_lets_nobody_in(
    fresh_database: OneDatabase, tmp_path: Path, there: Provided
) -> None:
    settings = {**there.settings(), "oidc_issuer": "http://127.0.0.1:9"}
    async with office(fresh_database, tmp_path, pages, **settings) as alone:
        answer = await alone.client().get("/login/provider")

    assert answer.status_code == 502
    assert "lukkede dig ikke ind" in answer.text

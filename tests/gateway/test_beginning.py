"""The first administrator: by a one-time link that is printed, once, and by nobody else."""

import asyncio
import base64
import re
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import httpx2
import pytest

from deploy.runtime.services import OneDatabase, free_port
from gateway.store import beginning
from gateway.store.asking import asking
from gateway.store.beginning import LINK_LIFE
from gateway.store.seal import new_line
from gateway.store.sessions import caller_by_key
from gateway.store.totp import code_at, step_at
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, Office, office
from tests.gateway.test_api_stream import served

pytestmark = pytest.mark.timeout(120)  # whoever comes first starts the database

FORM = {
    "municipality": "Kalundborg",
    "districts": "Nord\nSyd\n",
    "name": "Birthe Skov",
    "login": "Birthe",
    "password": PASSWORD,
}
GONE = HTTPStatus.GONE


@pytest.fixture
async def empty(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages, production=False) as made:
        yield made


async def link(here: Office) -> str:
    made = await beginning.first_link(here.pool, here.clock.now())
    assert made is not None
    return made


async def opened(here: Office, code: str) -> tuple[httpx2.AsyncClient, str]:
    """A browser that opened the link, and the page."""
    browser = here.client(base_url="https://gateway")
    first = await browser.get("/begynd", params={"kode": code})
    assert first.status_code == HTTPStatus.SEE_OTHER, first.text
    assert first.headers["location"] == "/begynd"
    return browser, (await browser.get("/begynd")).text


def token(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found is not None, page
    return found[1]


async def sent(browser: httpx2.AsyncClient, page: str, **fields: str) -> httpx2.Response:
    return await browser.post("/begynd", data={**FORM, "csrf": token(page), **fields})


def phones(page: str, at: datetime) -> str:
    """The code that a phone shows which has read the page's picture, whose text is beside it."""
    found = re.search(r"secret=([A-Z2-7]+)", page)
    assert found is not None
    return code_at(base64.b32decode(found[1]), step_at(at))


async def test_the_link_makes_the_first_administrator_once(empty: Office) -> None:
    browser, page = await opened(empty, await link(empty))

    done = await sent(browser, page)

    assert (done.status_code, done.headers["location"]) == (HTTPStatus.SEE_OTHER, "/opsaetning")
    who = (await browser.get("/session")).json()
    assert who["role"] == "administrator"
    assert who["name"] == "Birthe Skov"
    names = await empty.owner.fetch("SELECT name FROM district ORDER BY id")
    assert [row["name"] for row in names] == ["Nord", "Syd"]
    kept = await empty.owner.fetchrow(
        "SELECT p.login, p.password_hash, i.name FROM person p "
        "JOIN identity.person i ON i.municipality = p.municipality AND i.person = p.id"
    )
    assert kept is not None
    assert kept["login"] == "birthe"
    assert kept["password_hash"].startswith("$argon2id$")
    assert "Birthe" not in kept["name"]  # sealed
    again = await sent(browser, page)
    assert again.status_code == GONE


async def test_production_asks_for_the_phones_code_and_takes_it_once(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text(new_line())
    async with office(fresh_database, tmp_path, pages, production=True, identity_key=key) as here:
        browser, page = await opened(here, await link(here))
        without = await sent(browser, page)
        assert without.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "Skriv koden, som telefonen viser" in without.text
        assert PASSWORD not in without.text
        assert "<svg" in page
        code = phones(page, here.clock.now())
        assert phones(without.text, here.clock.now()) == code, "the picture stays as it was read"
        wrong = await sent(browser, page, code="123456" if code != "123456" else "654321")
        assert "Koden passer ikke" in wrong.text

        assert (await sent(browser, page, code=code)).status_code == HTTPStatus.SEE_OTHER

        other = here.client(base_url="https://gateway")
        entry = {"login": "birthe", "password": PASSWORD}
        used = await other.post("/login", data={**entry, "code": code})
        assert used.status_code == HTTPStatus.UNAUTHORIZED
        here.clock.pass_(seconds=30)
        fresh = await other.post("/login", data={**entry, "code": phones(page, here.clock.now())})
        assert fresh.status_code == HTTPStatus.SEE_OTHER


async def test_a_form_still_opens_when_the_link_is_opened_in_a_second_tab(empty: Office) -> None:
    code = await link(empty)
    browser, page = await opened(empty, code)

    await browser.get("/begynd", params={"kode": code})

    assert (await sent(browser, page)).status_code == HTTPStatus.SEE_OTHER


async def test_of_two_who_use_the_link_at_once_one_wins_and_the_other_is_told(
    empty: Office,
) -> None:
    code = await link(empty)
    one, first = await opened(empty, code)
    two, second = await opened(empty, code)

    answers = await asyncio.gather(
        sent(one, first, login="en"), sent(two, second, login="to", municipality="Odense")
    )

    assert sorted(each.status_code for each in answers) == [HTTPStatus.SEE_OTHER, GONE]
    told = next(each for each in answers if each.status_code == GONE).text
    assert "Linket er brugt" in told
    counts = await empty.owner.fetchrow(
        "SELECT (SELECT count(*) FROM person) AS people, (SELECT count(*) FROM municipality) AS m"
    )
    assert counts is not None
    assert tuple(counts) == (1, 1)


async def test_expired_used_replaced_and_guessed_links_are_one_answer(empty: Office) -> None:
    async def tried(code: str) -> tuple[int, str]:
        answer = await empty.client().get("/begynd", params={"kode": code})
        return answer.status_code, answer.text

    old = await link(empty)
    newest = await link(empty)
    guessed, replaced = await tried("x" * 43), await tried(old)
    empty.clock.pass_(hours=24)
    expired = await tried(newest)
    fresh = await link(empty)
    browser, page = await opened(empty, fresh)
    assert (await sent(browser, page)).status_code == HTTPStatus.SEE_OTHER
    used = await tried(fresh)

    assert guessed[0] == GONE
    assert guessed == replaced == expired == used


async def test_guessing_is_slowed_down(empty: Office) -> None:
    guesser = empty.client()
    answers = [await guesser.get("/begynd", params={"kode": f"{n}"}) for n in range(21)]

    assert answers[19].status_code == GONE
    assert answers[20].status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert int(answers[20].headers["retry-after"]) > 0
    empty.client_address = "10.0.0.10"
    await opened(empty, await link(empty))  # somebody else is not kept out


async def test_a_form_of_another_site_or_browser_makes_nobody(empty: Office) -> None:
    code = await link(empty)
    browser, page = await opened(empty, code)
    stranger, _ = await opened(empty, code)
    forged = await stranger.post("/begynd", data={**FORM, "csrf": token(page)})
    without = await browser.post("/begynd", data=FORM)
    elsewhere = await browser.post(
        "/begynd",
        data={**FORM, "csrf": token(page)},
        headers={"Sec-Fetch-Site": "cross-site"},
    )

    found = {each.status_code for each in (forged, without, elsewhere)}
    assert found == {HTTPStatus.FORBIDDEN}
    assert await empty.owner.fetchval("SELECT count(*) FROM person") == 0
    assert (await sent(browser, page)).status_code == HTTPStatus.SEE_OTHER


WRONG: Sequence[tuple[str, str, str]] = [
    ("municipality", " ", "Skriv kommunens navn."),
    ("districts", "\n", "Skriv mindst ét distrikt."),
    ("districts", "Nord\n010203-1234", "ligner et CPR-nummer"),
    ("name", "", "Skriv dit navn."),
    ("login", "Bo Ib", "Brug kun a-z"),
    ("password", "kort", "Mindst 12 tegn."),
    ("password", "Kalundborg 1", "Vælg en"),
]
"""A field, what is sent in it, and what is said beside it."""


async def test_what_is_wrong_is_said_beside_its_field_and_the_rest_is_kept(empty: Office) -> None:
    browser, page = await opened(empty, await link(empty))

    for field, value, told in WRONG:
        answer = await sent(browser, page, **{"municipality": "Kalundborg 1", field: value})

        assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
        assert re.search(rf'id="{field}-error">[^<]*{re.escape(told)}', answer.text), answer.text
        assert f'href="#{field}"' in answer.text
        assert field == "name" or 'value="Birthe Skov"' in answer.text
    assert await empty.owner.fetchval("SELECT count(*) FROM municipality") == 0


async def test_where_somebody_administers_there_is_no_link(empty: Office) -> None:
    code = await link(empty)
    await empty.login("anna", "administrator")

    assert (await empty.client().get("/begynd", params={"kode": code})).status_code == GONE
    assert await beginning.new_link(empty.owner, empty.clock.now()) is None
    assert await empty.owner.fetchval("SELECT count(*) FROM beginning") == 0


async def test_when_the_last_administrator_has_left_a_link_comes_by_hand_alone(
    empty: Office,
) -> None:
    await empty.login("anna", "administrator")
    await empty.owner.execute(
        "UPDATE person SET left_on = $1", empty.clock.now() - timedelta(minutes=1)
    )

    assert await beginning.first_link(empty.pool, empty.clock.now()) is None
    assert await beginning.new_link(empty.owner, empty.clock.now()) is not None


async def test_the_link_is_printed_at_the_start_and_its_code_stands_nowhere_else(
    fresh_database: OneDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    async with office(fresh_database, tmp_path, pages, http_listen=listen) as here:
        async with served(here) as address:
            said = ""
            while "kode=" not in said:
                said += capsys.readouterr().out
                await asyncio.sleep(0.01)
            found = re.search(rf"{re.escape(address)}/begynd\?kode=(\S+)", said)
            assert found is not None
            async with httpx2.AsyncClient() as browser:
                await browser.get(f"{address}/begynd", params={"kode": found[1]})
                page = await browser.get(f"{address}/begynd")
                assert page.status_code == HTTPStatus.OK
                assert page.headers["referrer-policy"] == "same-origin"
                assert page.headers["cache-control"] == "no-store"
                assert found[1] not in page.text
        assert found[1] not in capsys.readouterr().err
        kept = await here.owner.fetchval("SELECT hash FROM beginning")
        assert found[1].encode() not in kept


_BEGIN = "SELECT * FROM begin_here(sha256($1::text::bytea), $2, 'Kalundborg', $3)"


async def test_the_database_itself_lets_a_link_begin_once_and_for_a_day(empty: Office) -> None:
    code, now = await link(empty), empty.clock.now()

    assert await empty.pool.fetchrow(_BEGIN, code, now + LINK_LIFE, "late") is None
    assert await empty.pool.fetchrow(_BEGIN, code, now, "first") is not None
    await empty.owner.execute("UPDATE person SET left_on = $1", now)
    assert await empty.pool.fetchrow(_BEGIN, code, now, "again") is None


async def test_the_database_itself_changes_nobodys_password(empty: Office) -> None:
    await empty.login("anna", "administrator")
    await empty.login("bo", "staff")
    boss = await caller_by_key(empty.pool, await empty.key("administrator"), empty.clock.now())
    assert boss is not None
    before = await empty.owner.fetch("SELECT login, password_hash FROM person ORDER BY login")

    async with asking(empty.pool, boss) as db:
        given = await db.fetchval(
            "SELECT give_password(public, 'mine', NULL, 0) FROM person WHERE login = 'bo'"
        )

    assert given is False
    after = await empty.owner.fetch("SELECT login, password_hash FROM person ORDER BY login")
    assert after == before

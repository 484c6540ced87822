"""The commands that make accounts: their secrets are told once and open the door."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.main import main
from gateway.web.board import pages
from tests.gateway.office import Office, office
from tests.gateway.registers import brought, file


@pytest.fixture
async def here(
    fresh_database: OneDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Office]:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    monkeypatch.setenv("GATEWAY_PRODUCTION", "false")
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


async def people(*words: str) -> int:
    def run() -> int:
        with pytest.raises(SystemExit) as ended:
            main(["people", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return await asyncio.to_thread(run)


ADD = ("add", "--municipality", "Kalundborg", "--role", "staff")


async def test_a_printed_password_opens_the_board(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = await people(*ADD, "--login", "Anna", "--district", "Nord", "--create")
    password = capsys.readouterr().out.strip()

    browser = here.client()
    entered = await browser.post("/login", data={"login": "anna", "password": password})

    assert ended == 0
    assert len(password) >= 16
    assert entered.headers["location"] == "/"
    assert "Ingen åbne alarmer" in (await browser.get("/")).text


async def test_who_came_by_file_gets_one_first_password_and_no_second(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    await brought(here, file("anna;Anna Å;leder", columns="login;navn;rolle"))

    ended = [await people("password", "--login", "Anna"), await people("password", "--login", "bo")]
    password = capsys.readouterr().out.strip()
    again = await people("password", "--login", "anna")
    entered = await here.client().post("/login", data={"login": "anna", "password": password})

    assert (ended, again) == ([0, 1], 1)
    assert entered.headers["location"] == "/"


async def test_a_printed_key_opens_the_api_for_its_days(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    await people(*ADD, "--login", "robot", "--create", "--key", "--days", "400")
    key = capsys.readouterr().out.strip()

    answer = await here.client(headers={"Authorization": f"Bearer {key}"}).get("/alerts")

    assert key.startswith("tg_")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--login", "bo"), "no municipality is called 'Kalundborg'"),
        (("--login", "bo", "--create", "--district", "Nord"), ""),
        (("--login", " ", "--create"), "the login is empty"),
    ],
)
async def test_what_is_not_there_is_made_only_when_asked(
    here: Office, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    ended = await people(*ADD, *words)

    assert ended == (1 if said else 0)
    assert said in capsys.readouterr().err
    assert await here.owner.fetchval("SELECT count(*) FROM person") == (0 if said else 1)
    assert await here.owner.fetchval("SELECT count(*) FROM municipality") == (0 if said else 1)


async def test_a_login_is_one_persons(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    first = await people(*ADD, "--login", "bo", "--create")
    second = await people(*ADD, "--login", "BO")

    assert (first, second) == (0, 1)
    assert "the login 'bo' is taken" in capsys.readouterr().err
    assert await here.owner.fetchval("SELECT count(*) FROM person") == 1


async def test_who_has_left_comes_in_no_more(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    await people(*ADD, "--login", "bo", "--create", "--key")
    key = capsys.readouterr().out.strip()
    robot = here.client(headers={"Authorization": f"Bearer {key}"})
    here.clock.moment = datetime.now(UTC) + timedelta(minutes=1)
    before = await robot.get("/alerts")

    ended = await people("end", "--login", "Bo")
    again = await people("end", "--login", "bo")
    await people("list")

    assert (before.status_code, (await robot.get("/alerts")).status_code) == (200, 401)
    assert (ended, again) == (0, 1)
    said = capsys.readouterr()
    assert "nobody with the login 'bo' is here" in said.err
    assert said.out == ""


@pytest.mark.usefixtures("here")
async def test_the_list_tells_everything_but_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    await people(*ADD, "--login", "anna", "--create")
    await people(*ADD, "--login", "bo", "--district", "Nord", "--create", "--key")
    secrets = capsys.readouterr().out.split()
    await people("list")

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "Kalundborg  anna  staff  all districts",
        "Kalundborg  bo  staff  Nord  1 key(s)",
    ]
    assert not any(secret in "".join(lines) for secret in secrets)

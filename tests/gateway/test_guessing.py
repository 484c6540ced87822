"""Guessing passwords: a few attempts, however many are made at once."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.store.secrets import hash_password, password_fits
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


async def test_of_sixty_guesses_at_once_five_are_tried(here: Office) -> None:
    await here.login("anna")
    guesser = here.client()

    answers = await asyncio.gather(
        *(
            guesser.post("/login", data={"login": "anna", "password": f"guess {number}"})
            for number in range(60)
        )
    )

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [401] * 5 + [429] * 55


async def test_of_sixty_logins_guessed_at_once_fifty_are_tried(here: Office) -> None:
    guesser = here.client()

    answers = await asyncio.gather(
        *(
            guesser.post("/login", data={"login": f"nurse{number}", "password": "guess"})
            for number in range(60)
        )
    )

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [401] * 50 + [429] * 10


async def test_who_knows_the_password_uses_up_no_attempts(here: Office) -> None:
    await here.login("anna")
    browser = here.client()

    entered = [
        await browser.post("/login", data={"login": "anna", "password": PASSWORD}) for _ in range(8)
    ]

    assert {answer.status_code for answer in entered} == {303}


async def test_another_site_cannot_use_up_somebodys_attempts(here: Office) -> None:
    await here.login("anna")
    browser = here.client()
    right = {"login": "anna", "password": PASSWORD}

    forged = [
        await browser.post("/login", data=right, headers={"Sec-Fetch-Site": "cross-site"})
        for _ in range(8)
    ]
    entered = await browser.post("/login", data=right)

    assert {answer.status_code for answer in forged} == {403}
    assert entered.status_code == 303


async def test_at_most_two_passwords_are_worked_on_at_once() -> None:
    kept = await hash_password(PASSWORD)

    fit = await asyncio.gather(*(password_fits(PASSWORD, kept) for _ in range(8)))

    workers = [thread for thread in threading.enumerate() if thread.name.startswith("argon2")]
    assert all(fit)
    assert 1 <= len(workers) <= 2

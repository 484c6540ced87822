"""A technician asks a box from its page, and reads in Danish what came of it."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest

from deploy.runtime.services import OneDatabase
from gateway.reads.commands import Command
from gateway.store.commands import Word
from gateway.web.box_asks import DONE, ERROR, said
from tests.gateway.desks import Desk, desk

NOW = datetime(2026, 3, 2, 20, tzinfo=UTC)
BOX_SAYS = {"unknown_command", "bad_command", "busy", "no_radio", "no_lamp", "too_late", "failed"}


@pytest.fixture
async def here(emptied: OneDatabase, tmp_path: Path) -> AsyncGenerator[Desk]:
    async with desk(emptied, tmp_path) as made:
        yield made


def asked(what: str, **said: Any) -> Command:
    fields: dict[str, Any] = dict.fromkeys(("answered", "error", "found")) | said
    until = NOW + timedelta(seconds=60)
    return Command(public=uuid4(), what=what, seconds=20, asked=NOW, until=until, **fields)


def test_each_word_and_each_refusal_has_its_danish() -> None:
    assert set(DONE) == set(get_args(Word)) - {"discover"}
    assert set(ERROR) == BOX_SAYS


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (asked("identify", answered=NOW), "Boksen har blinket med sin lampe."),
        (
            asked("rescan", answered=NOW, did={"heard": True, "after_seconds": 2.4}),
            "Boksen lyttede forfra og hører efter 2 s.",
        ),
        (asked("rescan", answered=NOW, did={"heard": True}), "Boksen lyttede forfra og hører."),
        (asked("rescan", answered=NOW, did={"heard": False}), "har ikke hørt noget endnu"),
        (asked("restart", answered=NOW, did={"away_seconds": 11.6}), "Det tog 12 s."),
        (asked("restart", answered=NOW, did={"away_seconds": "long"}), "startet igen"),
        (asked("restart", answered=NOW, error="busy"), "i gang med noget andet"),
        (asked("identify", answered=NOW, error="no_lamp"), "ingen lampe"),
        (asked("identify", answered=NOW, error="of_tomorrow"), "Boksen vil ikke: of_tomorrow."),
        (asked("of_tomorrow", answered=NOW), "Boksen har svaret."),
    ],
)
def test_what_came_of_it_is_a_sentence(command: Command, text: str) -> None:
    assert text in said(command, NOW)


async def test_a_technician_restarts_a_box_from_its_page_and_a_planner_cannot(here: Desk) -> None:
    flat = await here.flat("Nord")
    await here.here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, 'box-ask', $2)",
        flat.municipality,
        flat.home,
    )
    technician = await here.person("technician", "Nord")
    planner = await here.person("planner", "Nord")
    page = await technician.opens("/bokse/box-ask")

    status, waiting = await technician.sends(page, "/bokse/box-ask/spoerg", do="restart")
    public = await here.here.owner.fetchval("SELECT max(public::text) FROM command")
    await here.here.owner.execute(
        "UPDATE command SET answered = asked, did = '{\"away_seconds\": 9}', log = '<b>x</b>'"
    )
    answer = await technician.opens(f"/bokse/box-ask/svar/{public}")

    for words in ("Blink med lampen", "Start lytning forfra", "Hent loggen", "Ja, genstart"):
        assert words in page.text
    assert status == 200
    assert "Boksen er spurgt." in waiting.text
    assert "Boksens program er startet igen" in answer.text
    assert "<b>x</b>" in answer.text
    assert ("box.restarted", flat.citizen) in await here.logged()
    refused = await planner.client.get(f"/bokse/box-ask/svar/{public}")
    assert refused.status_code == 403
    odd, _ = await technician.sends(page, "/bokse/box-ask/spoerg", do="reboot")
    assert odd in (400, 422)
    assert await here.here.owner.fetchval("SELECT count(*) FROM command") == 1

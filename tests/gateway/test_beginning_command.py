"""`gateway begin`: what is missing, the next command, and the link while nobody administers."""

import argparse
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.services import OneDatabase
from gateway import beginning
from gateway.settings import Settings
from tests.gateway.office import Flat, Office, office

pytestmark = pytest.mark.timeout(120)  # whoever comes first starts the database


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


class Shell:
    """Types the command for one database."""

    def __init__(self, database: OneDatabase, printed: pytest.CaptureFixture[str]) -> None:
        self.settings = Settings(
            database=database.address,
            database_owner=database.dsn(),  # pyright: ignore[reportArgumentType]
            production=False,
        )
        self._printed = printed

    async def begin(self, *words: str) -> tuple[int, str]:
        parser = argparse.ArgumentParser()
        beginning.add_arguments(parser.add_subparsers())
        code = await beginning.run(parser.parse_args(["begin", *words]), self.settings)
        said = self._printed.readouterr()
        return code, said.out + said.err

    async def json(self) -> tuple[int, Any]:
        code, said = await self.begin("--json")
        return code, json.loads(said)

    async def missing(self) -> tuple[str, str]:
        """The first step that is not done, and the next command."""
        code, told = await self.json()
        assert (code, told["link"]) == (1, None)
        (one,) = told["municipalities"]
        return one["missing"], one["next"]


@pytest.fixture
def shell(fresh_database: OneDatabase, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(fresh_database, capsys)


@pytest.mark.usefixtures("here")
async def test_an_empty_system_is_told_the_link_and_the_command(shell: Shell) -> None:
    code, said = await shell.begin()

    assert code == 1
    assert "/begynd?kode=" in said
    assert "[ ] an administrator" in said
    assert "next: gateway people add --municipality KOMMUNE" in said


async def test_each_step_that_is_taken_leads_to_the_next(here: Office, shell: Shell) -> None:
    await here.login("anna", "administrator")
    steps = [await shell.missing()]
    await shell.begin("--district", "Nord")
    steps.append(await shell.missing())
    await shell.begin("--district", "Nord", "--team", "Aften")
    steps.append(await shell.missing())
    await here.login("bo", "staff", districts=["Nord"])
    steps.append(await shell.missing())
    flat = await here.flat()
    steps.append(await shell.missing())
    for done in (_box, _joined, _heard, _placed, _called):
        await done(here, flat)
        steps.append(await shell.missing())

    assert " ".join(step for step, _ in steps) == (
        "districts team people citizen box box box device alert alert"
    )
    assert f"gateway edges add --home {flat.home_public}" in steps[4][1]
    assert "edge join CODE" in steps[5][1]
    assert "edge run" in steps[6][1]
    assert str(flat.citizen_public) in steps[7][1]
    assert "Tag alarmen" in steps[9][1]
    await here.owner.execute("UPDATE alert SET state = 'taken'")
    code, said = await shell.begin()
    assert (code, "everything is there" in said) == (0, True)


async def _box(here: Office, flat: Flat) -> None:
    await here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, 'box-1', $2)",
        flat.municipality,
        flat.home,
    )


async def _joined(here: Office, flat: Flat) -> None:
    await here.owner.execute(
        "UPDATE edge SET joined = $1 WHERE home = $2", here.clock.now(), flat.home
    )


async def _heard(here: Office, flat: Flat) -> None:
    await here.owner.execute(
        'INSERT INTO contact (municipality, edge, "from") '
        "SELECT municipality, id, $1 FROM edge WHERE home = $2",
        here.clock.now(),
        flat.home,
    )


async def _placed(here: Office, flat: Flat) -> None:
    device = await here.device()
    await here.owner.execute(
        'INSERT INTO placement (municipality, device, citizen, role, room, "from") '
        "VALUES ($1, $2, $3, 'call', 'Stue', $4)",
        flat.municipality,
        device["id"],
        flat.citizen,
        here.clock.now(),
    )


async def _called(here: Office, flat: Flat) -> None:
    await here.alert(flat)


async def test_a_team_without_a_district_and_an_unknown_municipality_are_refused(
    here: Office, shell: Shell
) -> None:
    await here.login("anna", "administrator")

    assert (await shell.begin("--team", "Aften"))[0] == 1
    code, said = await shell.begin("--municipality", "Odense")
    assert code == 1
    assert "no municipality is called 'Odense'" in said

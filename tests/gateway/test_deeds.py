"""Every code that the application writes into the access log has a Danish word."""

import ast
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from deploy.runtime.services import OneDatabase
from gateway.alerts.alert import Move
from gateway.api.edges_changes import Deed
from gateway.store.commands import TERMS
from gateway.store.migrate import FOLDER
from gateway.store.register.things import Name
from gateway.web.audit import PATH
from gateway.web.board import pages
from gateway.web.deeds import WHAT
from tests.gateway.office import Office, office
from tests.gateway.test_audit_api import signed_in

GATEWAY = Path(__file__).parents[2] / "gateway"
WRITERS = {"looked": 2, "changed": 2, "tell": 3, "tell_people": 3, "noted": 2}
"""The functions that write a row, and which of their arguments is the code."""
PARTS: Mapping[str, Sequence[str]] = {
    "made": get_args(Move),
    "name": get_args(Name),
    "how": ("added", "changed"),
    "deed": get_args(Deed),
}
"""What may stand for a name inside a code."""
_IN_SQL = re.compile(r"INSERT INTO access_log.*?;", re.DOTALL)
_CODE = re.compile(r"'([a-z]+(?:\.[a-z_]+)+)'")


def codes_of(said: ast.expr) -> Iterator[str]:
    """The codes that an argument may be; what follows the first space is no part of it."""
    if isinstance(said, ast.Constant):
        yield str(said.value).partition(" ")[0]
        return
    if isinstance(said, ast.Attribute) and said.attr in {"asked", "seen_as"}:
        yield from (each for one in TERMS.values() for each in (one.asked, one.seen))
        return
    assert isinstance(said, ast.JoinedStr), f"line {said.lineno}: say the code in the call"
    pieces: list[Sequence[str]] = []
    for piece in said.values:
        if isinstance(piece, ast.Constant):
            pieces.append([str(piece.value).partition(" ")[0]])
            if " " in str(piece.value):
                break
        else:
            assert isinstance(piece, ast.FormattedValue)
            pieces.append(PARTS[ast.unparse(piece.value)])
    yield from ("".join(one) for one in product(*pieces))


def written() -> Iterator[tuple[str, str]]:
    """Each code with the file that writes it."""
    for file in sorted(GATEWAY.rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call):
                at = WRITERS.get(ast.unparse(call.func).removeprefix("looks."))
                if at is not None and len(call.args) > at:
                    yield from ((code, file.name) for code in codes_of(call.args[at]))
    for file in sorted(FOLDER.glob("*.sql")):
        for statement in _IN_SQL.findall(file.read_text()):
            yield from ((code, file.name) for code in _CODE.findall(statement))


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


def test_every_code_that_is_written_has_a_word() -> None:
    found = list(written())

    codes = {code for code, _ in found}
    assert [f"{code} in {file}" for code, file in found if code not in WHAT] == []
    assert {"alert.take", "citizen.imported", "signed.in.break_glass", "emergency.opened"} <= codes
    assert len(codes) > 40, "the search finds what is written"


async def test_the_page_says_it_in_danish(here: Office) -> None:
    flat = await here.flat(district="Syd")
    browser = await signed_in(here, "lone", "leader")
    staff = await here.as_("staff", districts=["Nord"])
    said = {"citizen": str(flat.citizen_public), "reason": "Hun har kaldt, og ingen svarer"}
    assert (await staff.post("/emergencies", json=said)).status_code == 201

    page = await browser.get(PATH, params={"citizen": str(flat.citizen_public)})

    assert "nødåbnede borgeren" in page.text
    assert "emergency.opened" not in page.text


async def test_a_leader_goes_from_an_alert_to_who_has_seen_the_citizen(here: Office) -> None:
    flat = await here.flat()
    await here.alert(flat)
    way = f"{PATH}?citizen={flat.citizen_public}"

    leader, staff = await signed_in(here, "lone", "leader"), await signed_in(here, "anna", "staff")
    led, other = await leader.get("/"), await staff.get("/")

    assert way in led.text
    assert (await leader.get(way)).status_code == 200
    assert way not in other.text

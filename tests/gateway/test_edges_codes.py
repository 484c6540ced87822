"""Boxes are added and given codes: one sticker, one municipality, and the newest code alone."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.runtime.services import OneDatabase
from gateway.clock import WallClock
from gateway.edges.code import parse
from gateway.store import boxes, certificates
from gateway.store.certificates import WrongCode
from gateway.store.secrets import digest
from tests.gateway.joined import a_joined_box, a_keeper, as_edges, certified, gateway_edges
from tests.gateway.office import Office, office


@pytest.fixture
async def here(
    fresh_database: OneDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Office]:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    async with office(fresh_database, tmp_path) as made:
        made.clock.moment = WallClock().now()  # the commands take the time from the wall
        async with a_keeper(made):
            yield made


async def test_a_new_code_makes_the_one_before_useless(
    here: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = await here.flat()
    made = await boxes.add_box(
        here.owner, municipality=flat.municipality, home=flat.home_public, now=here.clock.now()
    )
    label = tmp_path / "label.svg"

    done = await gateway_edges("code", made.name, "--label", str(label))

    name, told, _, what_next = capsys.readouterr().out.splitlines()
    assert (done, name) == (0, made.name)
    assert f"edge join {told}" in what_next
    assert label.read_text().startswith("<?xml")
    async with as_edges(here.desk.settings) as pool:
        wanted = certified(name, here.clock.now())
        with pytest.raises(WrongCode):
            await certificates.take(
                pool,
                digest(made.secret),
                key=wanted.key,
                now=wanted.issued,
                wall=wanted.issued,
                certify=lambda _: wanted,
            )
        again = await certificates.take(
            pool,
            digest(parse(told).secret),
            key=wanted.key,
            now=wanted.issued,
            wall=wanted.issued,
            certify=lambda _: wanted,
        )
    assert again == wanted
    joined = await gateway_edges("code", made.name)
    assert joined == 1
    assert "edges replace" in capsys.readouterr().err


async def test_a_sticker_is_on_one_box_alone(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = await here.flat()
    first, _ = await a_joined_box(here, flat, sticker="TP-1")
    words = ("--home", str(flat.home_public), "--sticker", "TP-1")

    twice = await gateway_edges("add", *words)
    said = capsys.readouterr().err
    await gateway_edges("revoke", first)
    repaired = await gateway_edges("add", *words)

    assert (twice, repaired) == (1, 0)
    assert "another box has the sticker TP-1" in said


async def test_without_an_authority_there_is_no_code(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = await here.flat()
    await here.owner.execute("DELETE FROM authority")

    ended = await gateway_edges("add", "--home", str(flat.home_public))

    assert ended == 1
    assert "gateway authority begin" in capsys.readouterr().err
    assert await here.owner.fetchval("SELECT count(*) FROM edge") == 0


@pytest.mark.parametrize("who", ["nobody's home", "nothing said"])
async def test_a_box_belongs_to_some_municipality(
    here: Office,  # noqa: ARG001 - the database that the command finds
    capsys: pytest.CaptureFixture[str],
    who: str,
) -> None:
    words = ("--home", str(uuid4())) if who == "nobody's home" else ()

    ended = await gateway_edges("add", *words)

    assert ended == 1
    assert (
        "there is no home" if words else "say --home or --municipality"
    ) in capsys.readouterr().err

"""The commands `gateway register` and `gateway seal`, as an administrator types them."""

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.edges.code import parse
from gateway.main import main
from gateway.store.seal import MARK
from tests.gateway.office import ADDRESS, Office, office
from tests.gateway.registers import file, row


@pytest.fixture
async def here(
    fresh_database: OneDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Office]:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    monkeypatch.setenv("GATEWAY_IDENTITY_KEY", str(tmp_path / "identity.key"))
    assert await gateway("seal", "--new-key", str(tmp_path / "identity.key")) == 0
    async with office(fresh_database, tmp_path) as made:
        await made.district("Nord")
        yield made


async def gateway(*words: str) -> int:
    def run() -> int:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return await asyncio.to_thread(run)


async def test_a_file_is_tried_brought_in_written_out_and_taken_back(
    here: Office, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "homes.csv").write_bytes(file(row(1, boks="ny"), row(2, hjemmel="")))
    words = ("register", "import", str(tmp_path / "homes.csv"))

    tried = await gateway(*words, "--dry-run")
    said = capfdbinary.readouterr().out.decode()
    brought = await gateway(*words)
    told = capfdbinary.readouterr().out.decode()
    await gateway("register", "export")
    written = capfdbinary.readouterr().out
    again = await gateway(*words)
    undone = await gateway("register", "import", "--undo", told.split()[-1])

    assert (tried, brought, again, undone) == (2, 2, 2, 0)
    assert "line 3, hjemmel  refused: feltet er tomt, men rækken har en enhed" in said
    assert "nothing was changed" in said
    assert "1 new, 0 changed, 0 same, 1 refused" in told
    code = re.search(r"line 2  (box-\S+)  (\S+)", told)
    assert code is not None
    assert parse(code[2]).address == ADDRESS
    assert written.startswith("\ufeffdistrikt;bolig;".encode())
    assert "Borger Nummer 1" in written.decode()
    assert await here.owner.fetchval("SELECT count(*) FROM home") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say a FILE"),
        (("nothing.csv",), "No such file"),
        (("--undo", "7d2e3c8e-31a5-4f5c-9d8e-4a0e7e7f0001"), "there is no import"),
        (("x.csv", "--municipality", "Atlantis"), "no municipality is called 'Atlantis'"),
    ],
)
async def test_what_cannot_be_done_is_said(
    here: Office, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert await here.municipality() > 0
    assert await gateway("register", "import", *words) == 1
    assert said in capsys.readouterr().err


async def test_what_was_kept_plain_is_sealed_once_and_again_with_a_new_key(
    here: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await here.flat(name="Inger Holm")
    await here.owner.execute(
        "UPDATE identity.citizen SET name = 'Inger Holm', address = 'Skovvej 4'"
    )
    key = tmp_path / "identity.key"

    assert await gateway("seal") == 0
    assert await gateway("seal") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert await gateway("seal", "--new-key", str(key)) == 0
    assert await gateway("seal") == 0
    key.write_text(key.read_text().splitlines()[0])
    assert await gateway("register", "export") == 0

    assert (first[:6], second) == ("sealed", "sealed 0 value(s)")
    kept = await here.owner.fetchrow("SELECT * FROM identity.citizen")
    assert kept is not None
    assert kept["name"].startswith(MARK + key.read_text().split()[0])
    assert "Inger Holm" in capsys.readouterr().out
    assert oct(key.stat().st_mode)[-3:] == "600"


async def test_without_its_key_a_name_is_not_shown_as_it_is(
    here: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "homes.csv").write_bytes(file(row(1)))
    await gateway("register", "import", str(tmp_path / "homes.csv"))
    (tmp_path / "identity.key").unlink()
    await gateway("seal", "--new-key", str(tmp_path / "identity.key"))
    capsys.readouterr()

    assert await gateway("register", "export") == 1

    assert capsys.readouterr() == ("", "gateway register: citizen.name: no key opens it\n")
    assert await here.owner.fetchval("SELECT count(*) FROM citizen") == 1

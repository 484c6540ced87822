"""Boxes from a CSV file: new, changed, the same or refused and why, row by row."""

import asyncio
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from gateway.clock import WallClock
from gateway.edges.code import parse
from gateway.store.register.table import BadFile, read_boxes
from tests.gateway.joined import a_joined_box, a_keeper, gateway_edges, logged
from tests.gateway.office import ADDRESS, Office, office

HEAD = "mærkat;bolig;kommune\n"


@pytest.fixture
async def here(
    fresh_database: OneDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Office]:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    async with office(fresh_database, tmp_path) as made:
        made.clock.moment = WallClock().now()
        yield made


async def test_boxes_are_tried_brought_in_and_brought_in_again(here: Office) -> None:
    flat, other = await here.flat(), await here.flat(name="Bo")
    await here.owner.execute("UPDATE home SET reference = 'B-17' WHERE id = $1", flat.home)
    standing, _ = await a_joined_box(here, other, sticker="TP-9")
    body = (
        HEAD + f"TP-1;b-17;Kalundborg\nTP-2;;\nTP-9;{other.home_public};\nTP-3;nowhere;\n;B-17;\n"
        f"TP-4;{other.home_public};\nTP-5;;Odense\n"
    ).encode()
    technician = await here.as_("technician")

    tried = await technician.post("/edges/import?dry_run=true", content=body)
    before = await here.owner.fetchval("SELECT count(*) FROM edge")
    done = await technician.post("/edges/import", content=body)
    again = await technician.post("/edges/import", content=body)

    assert [one.status_code for one in (tried, done, again)] == [200] * 3, done.text
    assert before == 1
    assert tried.json()["boxes"] == []
    assert [(row["line"], row["state"], row["column"]) for row in done.json()["rows"]] == [
        (2, "new", ""),
        (3, "new", ""),
        (4, "same", ""),
        (5, "refused", "bolig"),
        (6, "refused", "mærkat"),
        (7, "refused", "bolig"),
        (8, "refused", "kommune"),
    ]
    assert tried.json()["rows"] == done.json()["rows"]
    reasons = [row["reason"] for row in done.json()["rows"][3:]]
    assert reasons == [
        "den bolig findes ikke",
        "feltet er tomt",
        f"boligen har allerede boksen {standing}",
        "filen læses ind i Kalundborg",
    ]
    assert [parse(box["code"]).address for box in done.json()["boxes"]] == [ADDRESS] * 2
    assert (again.json()["new"], again.json()["same"], again.json()["boxes"]) == (0, 3, [])
    assert await here.owner.fetchval("SELECT home FROM edge WHERE sticker = 'TP-1'") == flat.home
    assert ("box.added", flat.citizen) in await logged(here)
    assert ("boxes.tried", None) in await logged(here)


async def test_a_box_that_stood_nowhere_is_changed_and_one_that_stands_is_not_moved(
    here: Office,
) -> None:
    first, second = await here.flat(), await here.flat(name="Bo")
    technician = await here.as_("technician")
    await technician.post("/edges/import", content=b"m\xc3\xa6rkat\nTP-1\n")
    stood = f"mærkat,bolig\nTP-1,{first.home_public}\n".encode()
    moved = f"mærkat,bolig\nTP-1,{second.home_public}\n".encode()

    told = (await technician.post("/edges/import", content=stood)).json()
    refused = (await technician.post("/edges/import", content=moved)).json()

    assert told["changed"] == 1
    assert refused["rows"][0]["reason"].startswith("boksen står i en anden bolig")
    assert await here.owner.fetchval("SELECT home FROM edge") == first.home
    assert await here.owner.fetchval("SELECT config_version FROM edge") == 2
    assert await here.owner.fetchval("SELECT citizen FROM deadline") == first.citizen


async def test_an_old_file_lets_no_stolen_box_in_again(here: Office) -> None:
    technician = await here.as_("technician")
    body = b"m\xc3\xa6rkat\nTP-1\n"
    made = (await technician.post("/edges/import", content=body)).json()
    async with a_keeper(here):
        await technician.post(f"/edges/{made['boxes'][0]['edge']}/revoke")

    again = (await technician.post("/edges/import", content=body)).json()

    assert again["rows"][0]["reason"] == "boksen er lukket ude; den tilføjes kun igen for sig"


async def test_what_is_in_another_district_or_municipality_stays_unseen(here: Office) -> None:
    north = await here.flat(district="Nord")
    await a_joined_box(here, north, sticker="TP-1")
    await here.district("Syd")
    technician = await here.as_("technician", districts=["Syd"])
    body = f"mærkat,bolig\nTP-1,\nTP-2,{north.home_public}\n".encode()

    told = (await technician.post("/edges/import", content=body)).json()

    assert [row["reason"] for row in told["rows"]] == [
        "mærkaten står på en boks i et andet distrikt",
        "den bolig findes ikke",
    ]
    stranger = await here.as_("technician", within="Odense")
    elsewhere = (await stranger.post("/edges/import", content=b"m\xc3\xa6rkat\nTP-1\n")).json()
    assert elsewhere["new"] == 1


async def test_two_files_at_once_make_each_box_once(here: Office) -> None:
    technician = await here.as_("technician")
    body = ("mærkat\n" + "".join(f"TP-{number}\n" for number in range(200))).encode()

    both = await asyncio.gather(*(technician.post("/edges/import", content=body) for _ in range(4)))

    assert sorted(one.json()["new"] for one in both) == [0, 0, 0, 200]
    assert await here.owner.fetchval("SELECT count(*) FROM edge") == 200


async def test_ten_thousand_boxes_come_in_one_file(here: Office) -> None:
    technician = await here.as_("technician")
    body = ("mærkat\n" + "".join(f"TP-{number:05}\n" for number in range(10_000))).encode()

    told = await technician.post("/edges/import", content=body)

    assert told.json()["new"] == 10_000
    assert len({box["code"] for box in told.json()["boxes"]}) == 10_000


async def test_the_command_says_the_same_and_draws_the_labels(
    here: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await here.flat()
    file, labels = tmp_path / "boxes.csv", tmp_path / "labels"
    file.write_text("\ufeffmærkat;bolig\r\nTP-1;\r\nTP-2;ukendt\r\n", encoding="utf-8")

    tried = await gateway_edges("import", str(file), "--dry-run")
    said = capsys.readouterr().out
    done = await gateway_edges("import", str(file), "--labels", str(labels))
    told = capsys.readouterr().out
    again = await gateway_edges("import", str(file))

    assert (tried, done, again) == (2, 2, 2)
    assert "line 2  new\nline 3, bolig  refused: den bolig findes ikke\n" in said
    assert said.endswith("nothing was changed: this was a dry run\n")
    assert "1 new, 0 changed, 0 same, 1 refused" in told
    (label,) = labels.iterdir()
    assert f"{label.stem}  {ADDRESS}/" in told
    assert "edge join CODE" in told
    assert "0 new, 0 changed, 1 same, 1 refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Filen er tom"),
        (b"navn\nTP-1", "Kolonnen 'navn' kendes ikke"),
        (b"bolig\nB-1", "Kolonnen mærkat mangler"),
        ("mærkat;mærkat\n1;2".encode(), "to gange"),
        ("mærkat\nTP-1\nTP\x00-2".encode(), "linje 3, tegn 3"),
        ('mærkat;bolig\n"TP-1;B-1'.encode(), "Linje 2: anførselstegnene"),
        ('mærkat\n"a"b"\n'.encode(), "Linje 2: anførselstegnene"),
        ("mærkat\n".encode() + b"TP-1\n" * 10_001, "flere end 10000"),
        (b"x" * (10 * 1024 * 1024), "Filen er for stor"),
        ("mærkat;cpr\n".encode(), "CPR"),
    ],
)
def test_a_file_that_is_none_is_refused_and_says_where(body: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=why):
        read_boxes(body)


async def test_hostile_cells_are_refused_by_line_and_column(here: Office) -> None:
    technician = await here.as_("technician")
    cells = ["=HYPERLINK(1)", "'=1+1", "@x", "x" * 61, "010150-1234", '"a\nb"', "TP-1", "TP-1"]
    body = ("mærkat\n" + "\n".join(cells) + "\n\n").encode("cp1252")

    told = (await technician.post("/edges/import", content=body)).json()

    assert [(row["line"], row["column"], row["reason"]) for row in told["rows"]] == [
        (2, "mærkat", "feltet ligner en formel"),
        (3, "mærkat", "feltet ligner en formel"),
        (4, "mærkat", "feltet ligner en formel"),
        (5, "mærkat", "højst 60 tegn"),
        (6, "mærkat", "feltet ligner et CPR-nummer, og det må ikke stå her"),
        (7, "mærkat", "feltet har tegn, der ikke kan vises"),
        (9, "mærkat", "mærkaten står der to gange"),
        (10, "mærkat", "mærkaten står der to gange"),
    ]
    assert await here.owner.fetchval("SELECT count(*) FROM edge") == 0


async def test_too_large_a_file_is_refused_before_it_is_read(here: Office) -> None:
    technician = await here.as_("technician")

    answer = await technician.post("/edges/import", content=b"x" * (10 * 1024 * 1024))

    assert answer.status_code == 413


def test_two_thousand_random_files_are_read_or_refused() -> None:
    chance = random.Random(11)  # noqa: S311 - the same every time
    whole = (HEAD + "TP-1;B-1;K\nTP-2;;\n").encode()
    for _ in range(2_000):
        body = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            at = chance.randrange(len(body) + 1)
            body[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
        try:
            lines = read_boxes(bytes(body))
        except BadFile:
            continue
        assert all(isinstance(line.cells, dict) or line.fault for line in lines)


async def test_only_who_looks_after_boxes_brings_them_in(here: Office) -> None:
    for role in ("staff", "planner", "leader", "auditor", "robot"):
        answer = await (await here.as_(role)).post("/edges/import", content=b"x")
        assert answer.status_code == 403, role

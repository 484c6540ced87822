"""A spoilt spool does not keep the box from working, and what can be read of it is saved."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.keeping.disk import connect
from edge.keeping.salvage import mend
from edge.keeping.spool import Spool
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import EPOCH
from tests.edge.spooled import everything, runs

PAGE = 4096


@pytest.fixture(params=[0.3, 0.5, 0.9])
def spoilt(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A spool of 2 000 frames, the first 500 receipted, with one page overwritten."""
    path = tmp_path / "spool.sqlite"
    with Spool(path, HandClock()) as spool:
        spool.append_many([heard(number) for number in range(1, 2_001)], "bulk")
        spool.receipt({runs(spool, "bulk")[0].stream: [(1, 500)]}, epoch=EPOCH)
    with closing(connect(path, "FULL")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        pages = path.stat().st_size // PAGE
        file.seek(int(pages * request.param) * PAGE)
        file.write(b"\xff" * PAGE)
    return path


def test_what_lies_beside_a_spoilt_page_is_saved_and_the_rest_is_told_as_gone(
    spoilt: Path,
) -> None:
    with Spool(spoilt, HandClock()) as spool:
        left = everything(spool)
        gone = [gone for run in runs(spool, "bulk") for gone in run.gone]
        lost = {n for each in gone for n in range(each.first, each.last + 1)}

    assert set(left) | lost == set(range(501, 2_001))
    assert len(lost) < 1_000, "a page of the index takes its whole branch"
    assert {each.reason for each in gone} == {"no longer kept"}
    assert spoilt.with_name("spool.sqlite.spoilt-0").exists()


def test_a_saved_spool_takes_new_frames_in_a_new_stream(spoilt: Path) -> None:
    with Spool(spoilt, HandClock()) as spool:
        before = {run.stream for run in runs(spool, "bulk")}
        spool.append(heard(9_999), "bulk")
        after = [run.stream for run in runs(spool, "bulk")]

    assert after[-1] not in before


def test_a_file_that_is_no_spool_at_all_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    for _ in range(2):
        path.write_bytes(b"not a database " * 1_000)
        with Spool(path, HandClock()) as spool:
            spool.append(heard(1), "bulk")
            assert everything(spool) == [1]

    assert sorted(file.name for file in tmp_path.glob("*spoilt*")) == [
        "spool.sqlite.spoilt-0",
        "spool.sqlite.spoilt-1",
    ]


def test_a_whole_spool_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    Spool(path, HandClock()).close()

    assert mend(path) is None


def test_another_trouble_than_a_spoilt_file_is_raised(tmp_path: Path) -> None:
    folder = tmp_path / "spool.sqlite"
    folder.mkdir()

    with pytest.raises(sqlite3.OperationalError):
        mend(folder)

"""What was committed outlives its database: by a base backup and the stream of the log since."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.runtime.services import Database
from deploy.runtime.wal import restore

pytestmark = pytest.mark.slow


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Database]:
    started = Database.start(tmp_path / "database", stream_wal=True)
    started.execute("CREATE TABLE kept (number int)", database="trygport")
    yield started
    started.stop()


def put(own: Database, number: int) -> None:
    own.execute(f"INSERT INTO kept VALUES ({number})", database="trygport")  # noqa: S608 - a number


def kept(own: Database) -> list[int]:
    rows = own.execute("SELECT number FROM kept ORDER BY number", database="trygport")
    return [int(row) for row in rows.splitlines()]


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def streamed(own: Database) -> bool:
    """Whether the stream has all that was committed by now."""
    return (
        own.execute(
            "SELECT bool_and(s.sent_lsn >= pg_current_wal_flush_lsn()) FROM pg_stat_replication s"
        )
        == "t"
    )


@pytest.mark.parametrize(("with_stream", "back"), [(True, [1, 2, 3]), (False, [1])])
def test_a_destroyed_database_comes_back_as_far_as_it_was_saved(
    own: Database, tmp_path: Path, *, with_stream: bool, back: list[int]
) -> None:
    """Without the stream, what was committed since the backup is lost: that is its saboteur."""
    put(own, 1)
    own.back_up(tmp_path / "backup")
    put(own, 2)
    own.execute("SELECT pg_switch_wal()")
    put(own, 3)
    until(lambda: streamed(own))
    assert own.wal is not None
    own.kill()
    own.wal.stop()
    own.wal = None
    data = own.folder / "data"
    shutil.rmtree(data)

    restore(tmp_path / "backup", data, wal=own.folder / "wal" if with_stream else None)
    own.restart()

    assert kept(own) == back
    put(own, 4)
    own.stream_wal(own.folder / "wal-2")
    own.back_up(tmp_path / "backup-2")


def test_the_stream_goes_on_when_the_server_was_killed(own: Database) -> None:
    put(own, 1)
    own.kill()
    own.restart()
    put(own, 2)

    until(lambda: streamed(own))


def test_only_so_much_of_it_is_kept(tmp_path: Path) -> None:
    own = Database.start(tmp_path / "database", stream_wal=True, keep_wal=20_000_000)
    assert own.wal is not None
    for number in range(4):
        own.execute(f"CREATE TABLE t{number} AS SELECT 1 AS one; SELECT pg_switch_wal()")
    until(lambda: len(list((own.folder / "wal").iterdir())) >= 4)

    until(lambda: len(list((own.folder / "wal").iterdir())) <= 2)

    own.stop()

"""Whatever a database lacks or holds too often is counted: one row, one frame, is enough."""

from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from deploy.world.tally import tally
from tests.world.kept import DEVICE, FIRST, FRAMES, change, spooled_and_stored

DELETE = f"DELETE FROM observation WHERE occurred = to_timestamp({FIRST} / 1000.0)"  # noqa: S608 - ours
DOUBLE = f"INSERT INTO observation SELECT * FROM observation WHERE occurred = to_timestamp({FIRST} / 1000.0)"  # noqa: S608, E501 - ours
SWAP = f"UPDATE observation SET value = 0 WHERE occurred = to_timestamp({FIRST} / 1000.0)"  # noqa: S608 - ours
UNRECEIVED = "UPDATE stream SET received = received - '{[2,3)}'::int8multirange"


@pytest.mark.parametrize(
    ("changes", "lost", "duplicated"),
    [
        ((), 0, 0),
        ((DELETE,), 1, 0),
        ((DOUBLE,), 0, 1),
        ((SWAP,), 1, 1),
        ((UNRECEIVED,), 1, 0),
        (("DELETE FROM stream",), FRAMES, 0),
    ],
    ids=["as it was", "one deleted", "one doubled", "one swapped", "a frame lost", "a stream lost"],
)
async def test_what_is_lost_or_stored_twice_is_counted(
    fresh_database: OneDatabase,
    tmp_path: Path,
    changes: tuple[str, ...],
    lost: int,
    duplicated: int,
) -> None:
    dsn = fresh_database.dsn()
    spool = await spooled_and_stored(dsn, tmp_path)
    await change(dsn, *changes)

    found = await tally(dsn, [spool])

    assert found.sent == FRAMES
    assert (found.lost, found.duplicated) == (lost, duplicated)


async def test_it_names_what_is_missing_and_what_is_too_many(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    dsn = fresh_database.dsn()
    spool = await spooled_and_stored(dsn, tmp_path)
    await change(dsn, SWAP)

    found = await tally(dsn, [spool])

    assert [(said[0], said[2], said[3]) for said in found.missing] == [(DEVICE, FIRST, 1.0)]
    assert [(said[0], said[2], said[3]) for said in found.surplus] == [(DEVICE, FIRST, 0.0)]

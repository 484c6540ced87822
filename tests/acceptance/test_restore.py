"""A destroyed database comes back: the boxes fill what no backup has, the log what no box can."""

from pathlib import Path
from typing import Any

import pytest

from deploy.world.chaos.restore import Drill, is_right, run


async def drilled(drill: Drill, folder: Path) -> tuple[bool, dict[str, Any]]:
    _, result = await run(drill, folder)
    return is_right(drill, result), result


@pytest.mark.slow
async def test_boxes_fill_what_the_backup_does_not_have(tmp_path: Path) -> None:
    right, result = await drilled(Drill(variant="b", seconds=4, homes=3), tmp_path)

    assert right, result
    assert result["moves_lost"] > 0, "people's moves since the backup are in no box"


@pytest.mark.long
async def test_a_gateway_that_runs_while_it_is_restored_loses_nothing(tmp_path: Path) -> None:
    right, result = await drilled(Drill(variant="b", seconds=10, homes=3, running=True), tmp_path)

    assert right, result


@pytest.mark.long
async def test_with_the_streamed_log_nothing_older_than_a_minute_is_lost(tmp_path: Path) -> None:
    right, result = await drilled(Drill(variant="a", seconds=75), tmp_path)

    assert right, result


@pytest.mark.long
@pytest.mark.parametrize(
    ("saboteur", "loses"),
    [("no-epoch", "lost"), ("forget", "lost"), ("no-stream", "moves_older_than_a_minute_lost")],
)
async def test_who_breaks_the_promise_is_seen_to_lose(
    tmp_path: Path, saboteur: str, loses: str
) -> None:
    variant = "a" if saboteur == "no-stream" else "b"
    right, result = await drilled(
        Drill(variant=variant, seconds=10, minute=3, homes=3, saboteur=saboteur), tmp_path
    )

    assert not right
    assert result[loses] > 0, result

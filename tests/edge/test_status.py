"""Whether all is well on a box, in an exit code and in words."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.keeping.disk import SPOOL
from edge.keeping.room import Cost
from edge.status import STATUS, Status, read_status

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
WELL = Status(
    edge="box-1",
    broker="mqtts://gateway.example:8883",
    running=True,
    depths={"urgent": (0, None), "bulk": (2, round(NOW.timestamp() * 1_000) - 60_000)},
    said={"connected": True, "reader": "hearing"},
)


def ago(**time: float) -> int:
    return round((NOW - timedelta(**time)).timestamp() * 1_000)


def test_a_box_that_is_well_has_no_trouble() -> None:
    assert WELL.troubles(NOW) == []
    assert "trouble" not in WELL.as_text(NOW)


@pytest.mark.parametrize(
    ("box", "trouble"),
    [
        (replace(WELL, edge=None), "it has not joined"),
        (replace(WELL, running=False), "the agent does not run"),
        (replace(WELL, said={"connected": False}), "the agent has no connection"),
        (replace(WELL, said={"connected": True, "reader": "silent"}), "the radio is silent"),
        (replace(WELL, said={"connected": True, "path": 2}), "calls go by the second way"),
        (replace(WELL, said={"connected": True, "refused": "x"}), "a configuration was refused"),
        (replace(WELL, cost=Cost(at=ago(days=2), early=1)), "the memory card was full"),
        (replace(WELL, said={"connected": True, "unkept": 3}), "the memory card was full"),
        (replace(WELL, depths={"urgent": (1, ago(hours=2))}), "frames wait for long"),
    ],
)
def test_every_trouble_is_told(box: Status, trouble: str) -> None:
    assert box.troubles(NOW) == [trouble]
    assert f"trouble  {trouble}" in box.as_text(NOW)


def test_a_card_that_was_full_long_ago_is_no_trouble_any_more() -> None:
    assert replace(WELL, cost=Cost(at=ago(days=4), given_up=1)).troubles(NOW) == []


@pytest.mark.parametrize("odd", [10**40, -(10**40), 10**400, 1e40, float("nan"), [], "x", None])
def test_numbers_that_no_agent_says_are_borne(tmp_path: Path, odd: object) -> None:
    (tmp_path / STATUS).write_text(json.dumps({"at": odd, "room_days": odd, "refused": odd}))

    status = read_status(tmp_path)

    assert "has not joined" in status.as_text(NOW)
    assert json.loads(status.as_json())["running"] is False
    assert "there is room for less than 30 days" not in status.troubles(NOW)
    assert replace(WELL, depths={"bulk": (1, 10**40)}, cost=Cost(at=2**53)).as_text(NOW)


def test_a_status_nested_without_end_is_none(tmp_path: Path) -> None:
    (tmp_path / STATUS).write_text("[" * 100_000)

    assert read_status(tmp_path).said == {}


def test_a_spool_that_the_power_left_empty_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / SPOOL).touch()

    status = read_status(tmp_path)

    assert status.depths == {"urgent": (0, None), "bulk": (0, None)}
    assert status.cost is None

"""What the spool noted is read as far as it can be: by another version, and half spoilt."""

import json
from pathlib import Path

import pytest

from edge.keeping.rate import Rate
from edge.keeping.room import NOTE, Cost
from edge.keeping.spool import Spool
from edge.status import peek_cost
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import EPOCH
from tests.edge.spooled import everything

SPOILT = ["", "junk", "{", "null", "7", "[1]", "[[1,2,3,4]]", '{"a":1}', '[[1,0,0],["1",[],{}]]']
HUGE = [
    f"[[1,{10**400},1]]",
    "[[Infinity,1,1]]",
    f'{{"at":{10**400}}}',
    '{"at":1e400}',
    "[" * 9_999,
]


@pytest.mark.parametrize("note", [*SPOILT, *HUGE])
def test_a_note_that_cannot_be_read_does_not_stop_a_start(
    path: Path, clock: HandClock, note: str
) -> None:
    with Spool(path, clock) as spool:
        spool.append(heard(1), "urgent")
        for name in ("rate", "epochs", NOTE):
            spool.remember(name, note)

    with Spool(path, clock) as spool:
        spool.append(heard(2), "urgent")
        assert everything(spool, "urgent") == [1, 2]
        assert spool.room_days is None
        assert spool.cost in (None, Cost())
        assert spool.receipt({}, epoch=EPOCH) is False
        assert spool.epoch == EPOCH
    assert peek_cost(path) in (None, Cost())


def test_what_a_newer_version_notes_of_a_full_card_beside_is_left_alone() -> None:
    cost = Cost(at=5, early=2, given_up=1)
    newer = json.loads(cost.note()) | {"late": 9}
    older = json.dumps({"at": 5, "early": 2})

    assert Cost.noted(json.dumps(newer)) == cost
    assert Cost.noted(older) == Cost(at=5, early=2)
    assert Cost.noted(None) is None


def test_a_rate_that_was_noted_goes_on() -> None:
    rate = Rate()
    rate.add(0, [100] * 10)
    capacity, later = 10**6, 10 * 3_600_000

    again = Rate(rate.note())

    assert again.days(capacity=capacity, depth=0, now_ms=later) is not None
    assert again.note() == rate.note()

"""The demo's verdict is no formality: whatever did not come as promised ends it with a word."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from deploy.runtime.services import OneDatabase
from deploy.world.api import Api, Json
from deploy.world.receiver import Notice, Receiver
from deploy.world.scenario import KINDS, PATIENCE, Evening, Moved
from deploy.world.stack import Stack
from deploy.world.verdict import Disappointment, check
from tests.world.kept import change, spooled_and_stored
from tests.world.test_tally import DELETE, DOUBLE

MOVES = (("take", "new", "taken"), ("close", "taken", "closed"))


@dataclass(slots=True, kw_only=True)
class _Played(Evening):
    """An evening that is over: nothing runs any more, only what came of it is there."""

    spool: Path
    heard: list[str] = field(default_factory=list[str])

    @property
    def spools(self) -> list[Path]:
        return [self.spool]

    async def hush(self) -> None:
        self.heard.append("hush")


class _Nurse(Api):
    """What the gateway would answer to the nurse."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1", "no key")
        self.found: list[Json] = [{"id": kind, "kind": kind} for kind in KINDS]
        self.moves: Sequence[tuple[str, str, str]] = MOVES

    async def until(
        self,
        enough: Callable[[Sequence[Json]], bool],  # noqa: ARG002 - all that comes is here already
        *,
        seconds: float,  # noqa: ARG002
    ) -> list[Json]:
        return self.found

    async def post(self, path: str, body: Json | None = None) -> Json:  # noqa: ARG002
        moves = [{"move": m, "before": b, "after": a} for m, b, a in self.moves]
        return {"version": 2, "moves": moves}


@pytest.fixture
async def evening(fresh_database: OneDatabase, tmp_path: Path) -> _Played:
    """One with which nobody is disappointed."""
    dsn = fresh_database.dsn()
    spool = await spooled_and_stored(dsn, tmp_path)
    played = _Played(
        folder=tmp_path, homes=2, rate=1.0, say=lambda _: None, clock=Moved(0.0), spool=spool
    )
    played.nurse, played.receiver = _Nurse(), Receiver()
    played.stack = cast("Stack", SimpleNamespace(owner=dsn, complaints=list))
    played.ready = played.pressed = time.monotonic()
    played.receiver.notices += [_notice(kind) for kind in KINDS]
    return played


async def test_an_evening_as_promised_disappoints_nobody(evening: _Played) -> None:
    result = await check(evening, settling=0)

    assert (result["lost"], result["duplicated"], result["frames"]) == (0, 0, 4)
    assert result["alerts"] == dict.fromkeys(KINDS, 1)


@pytest.mark.parametrize(
    ("statement", "word"),
    [(DELETE, "1 observations are lost"), (DOUBLE, "0 observations are lost .* 1 stored twice")],
    ids=["lost", "duplicated"],
)
async def test_a_lost_or_a_doubled_observation_disappoints(
    evening: _Played, statement: str, word: str
) -> None:
    await change(evening.stack.owner, statement)

    with pytest.raises(Disappointment, match=word):
        await check(evening, settling=0)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_alert_that_is_told_twice_disappoints(evening: _Played, kind: str) -> None:
    evening.receiver.notices.append(_notice(kind))

    with pytest.raises(Disappointment, match=f"told of {kind} 2 times"):
        await check(evening, settling=0)


async def test_a_notice_that_is_not_signed_disappoints(evening: _Played) -> None:
    evening.receiver.notices.append(_notice("call_pressed", why="the signature is wrong"))

    with pytest.raises(Disappointment, match="the signature is wrong"):
        await check(evening, settling=0)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_kind_of_alert_that_does_not_come_disappoints(evening: _Played, kind: str) -> None:
    nurse = cast("_Nurse", evening.nurse)
    nurse.found = [alert for alert in nurse.found if alert["kind"] != kind]

    with pytest.raises(Disappointment, match=f"no alert of kind {kind}"):
        await check(evening, settling=0)


async def test_alerts_that_come_late_disappoint(evening: _Played) -> None:
    evening.ready -= PATIENCE + 3

    with pytest.raises(Disappointment, match="3 s later than"):
        await check(evening, settling=0)


async def test_a_call_that_moved_otherwise_disappoints(evening: _Played) -> None:
    cast("_Nurse", evening.nurse).moves = MOVES[:1]

    with pytest.raises(Disappointment, match="its moves are"):
        await check(evening, settling=0)


def _notice(alert: str, *, why: str = "") -> Notice:
    body = {"type": "alert.raised", "data": {"alert": alert}}
    return Notice(id="msg", valid=not why, why=why, body=body, at=time.monotonic())

"""The benchmark's watch has one rule more, which reads every motion of a day."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.observation import Kind
from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.process import Guarded
from deploy.runtime.services import OneDatabase
from deploy.world.bench.watching import RULE, Settings, judge
from deploy.world.stack import clean_environment
from gateway.home import Citizen
from gateway.rules.all import ALL_RULES
from tests.gateway.days import heard, local, window
from tests.gateway.house import House, Seen, house
from tests.gateway.watching import soon

NOON = local("2027-01-10 12:00")
HOUR = timedelta(hours=1)


@pytest.fixture
async def home(fresh_database: OneDatabase) -> AsyncIterator[House]:
    async with house(fresh_database) as made:
        yield made


def test_it_is_none_of_the_gateways_own_and_reads_a_day() -> None:
    assert RULE.name not in {rule.name for rule in ALL_RULES}
    assert RULE.window == 24 * HOUR
    assert RULE.reads == {("motion", Kind.MOTION)}


def test_it_counts_every_motion_of_a_room_and_finds_nothing_by_itself() -> None:
    facts = [
        heard(NOON - hours * HOUR, Kind.MOTION, role="motion", room=room, value=1.0)
        for room, times in (("stue", 3), ("bad", 2))
        for hours in range(times)
    ]
    seen = window(NOON, heard=facts, back=RULE.window)

    assert [one.subject for one in judge(seen, Settings(most=2)).findings] == ["stue"]
    assert judge(seen, RULE.defaults).findings == ()


async def test_the_watch_that_is_measured_asks_it_about_the_last_24_hours(
    home: House, tmp_path: Path
) -> None:
    calm, restless = await home.citizen(), await home.citizen()
    rooms = {one: await home.placed(one, "motion") for one in (calm, restless)}
    await told(home, {"most": 2})
    stage = Guarded.start(
        [PYTHON, "-P", "-m", "deploy.world.bench.stage", "watch", str(tmp_path / "watch.json")],
        log=tmp_path / "log",
        env={
            **clean_environment(),
            "PYTHONPATH": str(ROOT),
            "GATEWAY_DATABASE": home.where.address,
            "GATEWAY_PRODUCTION": "false",
        },
    )
    try:
        for early, late in ((26, 23), (1, 1), (0, 0)):
            await moves(home, calm, rooms[calm], early)
            await moves(home, restless, rooms[restless], late)
            assert await soon(home, "SELECT count(*) = 0 FROM pending", 15)
    finally:
        stage.stop()

    assert await home.rows("SELECT rule, citizen FROM finding") == [
        {"rule": "restless", "citizen": restless.number}
    ]


async def told(home: House, settings: dict[str, int]) -> None:
    await home.db.execute(
        "WITH known AS (INSERT INTO rule (municipality, name) VALUES ($1, $2)"
        " RETURNING municipality, id) INSERT INTO rule_version"
        " SELECT municipality, id, 1, $3, '2010-01-01' FROM known",
        home.municipality,
        RULE.name,
        json.dumps(settings),
    )


async def moves(home: House, citizen: Citizen, sensor: int, hours_ago: int) -> None:
    seen = Seen(sensor, Kind.MOTION, datetime.now(UTC) - hours_ago * HOUR, value=1.0)
    await home.deliver([citizen], [seen], lane="bulk")

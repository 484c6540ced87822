"""A bad version of ours stops telemetry instead of setting a town aside; a call still passes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from adapters.frame import Batch, Lane
from adapters.observation import Kind
from deploy.runtime.services import Broker, OneDatabase
from gateway.health import Health
from gateway.ingest.brake import Brake, Braked, Tally
from gateway.ingest.pipeline import Pipeline
from gateway.store.quarantine import MOST_FRAMES, MOST_MESSAGES
from tests.conftest import GATEWAY_PASSWORD
from tests.frames import BUTTON, NOON, batch, door, press
from tests.gateway.ingest_home import Box, Parts, delivery, furnish, ingest, look, parts, until

BOXES = 4
GATEWAY: Mapping[str, str] = dict.fromkeys(
    ("gateway-urgent", "gateway-bulk", "gateway-config"), GATEWAY_PASSWORD
)
NOTHING_READS = "ALTER TABLE observation ADD CONSTRAINT bad CHECK (kind <> 2)"
MENDED = "ALTER TABLE observation DROP CONSTRAINT bad"


LONG_BEFORE_NOON = datetime.fromtimestamp(NOON / 1_000, UTC) - timedelta(hours=1)
LEAST, ROUNDS, FRAMES = 30, 2, 10


class SmallBrake(Brake):
    """Stops at 30 frames instead of 200: each that is refused takes a few transactions."""

    def __init__(self, lane: Lane, health: Health) -> None:
        super().__init__(lane, health, least=LEAST)


class QuickPipeline(Pipeline):
    """Tries again sooner than the half minute."""

    brake_of = SmallBrake
    pause = 0.3


class NoBrake(SmallBrake):
    """The saboteur."""

    def weigh(self, tally: Tally) -> None:
        del tally


class BrakelessPipeline(QuickPipeline):
    brake_of = NoBrake


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def brake(lane: str = "bulk") -> tuple[Brake, Time, Health]:
    health, time = Health(), Time()
    return Brake("bulk" if lane == "bulk" else "urgent", health, seconds=time), time, health


def bad(frames: int, boxes: int, good: int = 0) -> Tally:
    each = {f"box-{number:02}": frames // boxes for number in range(boxes)}
    return Tally(sum(each.values()) + good, each)


@pytest.mark.parametrize(
    ("tally", "stops"),
    [
        (bad(200, 4), True),
        (bad(200, 4, good=799), True),
        (bad(200, 4, good=800), False),
        (bad(196, 4), False),
        (bad(200, 2), False),
        (bad(201, 3), True),
    ],
)
def test_it_stops_at_200_frames_of_three_boxes_that_are_more_than_a_fifth(
    tally: Tally, *, stops: bool
) -> None:
    one, _, health = brake()

    with pytest.raises(Braked) if stops else contextlib.nullcontext():
        one.weigh(tally)

    assert (one.on, health.parts.get("ingest bulk: brake") is not None) == (stops, stops)


def test_what_was_noted_a_minute_ago_is_forgotten() -> None:
    one, time, health = brake()
    one.note(bad(150, 3))
    time.now = 61
    one.weigh(bad(150, 3))
    one.note(bad(150, 3))
    time.now = 100

    with pytest.raises(Braked):
        one.weigh(bad(51, 3))

    assert not health.ready


def test_the_urgent_lane_is_never_held_but_says_so_until_it_is_well_again() -> None:
    one, time, health = brake("urgent")
    one.weigh(bad(400, 4))
    one.note(bad(400, 4))
    said = health.parts["ingest urgent: brake"]
    time.now = 61
    one.note(Tally(frames=1))

    assert said is not None
    assert "400 of 400 frames from 4 boxes" in said
    assert health.ready


def test_when_it_is_on_one_unreadable_frame_is_enough_until_a_trial_goes_well() -> None:
    one, _, health = brake()
    with pytest.raises(Braked):
        one.weigh(bad(300, 3))

    one.weigh(Tally(frames=10))
    with pytest.raises(Braked):
        one.weigh(bad(1, 1))
    with pytest.raises(Braked):
        one.verdict(bad(30, 3, good=90))
    one.verdict(bad(30, 3, good=120))

    one.weigh(bad(1, 1))
    assert health.ready


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Hundreds of refusals, each with its locals on the screen, would take minutes to draw."""
    with capture_logs():
        yield


@pytest.fixture
async def here(fresh_database: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(fresh_database, boxes=BOXES) as made:
        yield made


def load(box: int, frames: int = FRAMES) -> Batch:
    said = [door(at=NOON - number * 1_000) for number in range(frames)]
    return batch(said, edge=f"box-{box:02}")


async def test_a_format_of_tomorrow_from_boxes_that_were_understood_counts(here: Parts) -> None:
    newer = [replace(load(box, 80), format=2) for box in range(1, BOXES)]
    await here.store(*newer, lane="bulk")  # never understood before: theirs is the fault
    await here.store(*(load(box, 1) for box in range(1, BOXES)), lane="bulk")

    with pytest.raises(Braked, match="240 of 240 frames from 3 boxes"):
        await here.store(*newer, lane="bulk")

    (row,) = await here.rows("SELECT sum(count) AS n FROM quarantine")
    assert row["n"] == 3, "nothing more was set aside"


async def used_up(here: Parts, what: str, kept: int) -> None:
    """So many of this box were set aside today."""
    await here.rows(
        "INSERT INTO aside_today (topic, what, day, kept)"
        " VALUES ('edges/box-01/urgent', $1, $2, $3) RETURNING topic",
        what,
        here.clock.now().date(),
        kept,
    )


async def test_no_more_than_a_thousand_messages_of_a_box_are_kept_on_one_day(here: Parts) -> None:
    junk = [b"garbage %d" % number for number in range(8)]
    await used_up(here, "message", MOST_MESSAGES - 5)

    await here.store(*junk[:2])
    await here.store(*junk[2:])
    await here.store(*junk[:3])

    rows = await here.rows(
        "SELECT reason, payload IS NULL AS counted, count(*) AS n, sum(count) AS times"
        " FROM quarantine GROUP BY reason, counted ORDER BY reason"
    )
    assert rows == [
        {"reason": "not_json", "counted": False, "n": 5, "times": 8},
        {"reason": "too_many", "counted": True, "n": 1, "times": 3},
    ]


async def test_beyond_a_days_share_unreadable_frames_are_only_counted(here: Parts) -> None:
    await used_up(here, "frame", MOST_FRAMES - 1)
    odd = [door(data={"fcd2": b"\x40\xff"}, at=NOON + number) for number in range(3)]

    told = await here.store(batch(odd))
    here.clock.at += timedelta(days=1)
    await here.store(batch(odd))

    assert told, "they have a receipt all the same"
    rows = await here.rows(
        "SELECT reason, sum(count) AS n FROM quarantine GROUP BY reason ORDER BY reason"
    )
    assert rows == [{"reason": "too_many", "n": 2}, {"reason": "unreadable", "n": 4}]


@pytest.fixture
def own_broker(
    service_folder: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    del service_folder
    names = {f"box-{number:02}": f"box-{number:02}" for number in range(1, BOXES + 1)}
    started = Broker.start(
        tmp_path_factory.mktemp("broker") / "broker", passwords={**GATEWAY, **names}
    )
    yield started
    started.stop()


async def poured_aside(where: OneDatabase) -> int:
    (row,) = await look(where.dsn(), "SELECT count(*) AS n FROM quarantine WHERE sequence > 0")
    return row["n"]


async def sent_by(boxes: Sequence[Box], stopped: Callable[[], bool]) -> dict[str, Batch]:
    """Each box sends its next message when it has the receipt of the last; its last is told.

    Until all have sent all; once it has stopped they wait for no receipt.
    """
    last: dict[str, Batch] = {}

    async def send(box: Box, number: int) -> None:
        for _ in range(ROUNDS):
            said = last[box.name] = load(number)
            box.say(said, "bulk")
            while not has_receipt(box, said) and not stopped():  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)

    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for number, box in enumerate(boxes, 1):
            group.create_task(send(box, number))
    return last


def has_receipt(box: Box, said: Batch) -> bool:
    return any(said.stream in one["streams"] for one in box.receipts())


def held(health: Health) -> bool:
    return "telemetry stays with the boxes" in (health.parts.get("ingest bulk: brake") or "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [QuickPipeline, BrakelessPipeline])
async def test_a_bad_version_stops_and_goes_on_by_itself_when_mended(
    fresh_database: OneDatabase, own_broker: Broker, kind: type[Pipeline]
) -> None:
    await furnish(fresh_database.dsn(), BOXES)
    await look(fresh_database.dsn(), NOTHING_READS)
    async with contextlib.AsyncExitStack() as stack:
        health = await stack.enter_async_context(ingest(fresh_database, own_broker, pipeline=kind))
        boxes = [
            await stack.enter_async_context(Box(own_broker, f"box-{number:02}"))
            for number in range(1, BOXES + 1)
        ]
        await until(lambda: health.ready)
        last = await sent_by(boxes, lambda: kind is QuickPipeline and held(health))
        poured = await poured_aside(fresh_database)
        if kind is BrakelessPipeline:
            assert poured == ROUNDS * BOXES * FRAMES, "the saboteur sets everything aside"
            return

        assert poured <= LEAST + FRAMES
        assert held(health)
        await look(
            fresh_database.dsn(), 'UPDATE placement SET "to" = $1 RETURNING id', LONG_BEFORE_NOON
        )
        call = batch([press(1)])
        boxes[0].say(call, "urgent")
        await until(lambda: has_receipt(boxes[0], call), 60)
        calls = await look(fresh_database.dsn(), "SELECT FROM observation WHERE kind = 7")
        unplaced = await look(fresh_database.dsn(), "SELECT FROM unplaced_call")
        assert len(calls) == len(unplaced) == 1, "a call passes, also of a device placed nowhere"

        await look(fresh_database.dsn(), MENDED)
        for box in boxes:
            await until(lambda box=box: has_receipt(box, last[box.name]), 60)
        await until(lambda: health.ready)
        assert await poured_aside(fresh_database) == poured
    doors = await look(fresh_database.dsn(), "SELECT FROM observation WHERE kind = $1", Kind.DOOR)
    (ledger,) = await look(
        fresh_database.dsn(),
        "SELECT sum(upper(part) - lower(part)) AS n FROM stream, unnest(received) AS part",
    )
    assert len(doors) + poured + 1 == ledger["n"], "each frame once: read, set aside, or the press"


async def test_one_odd_device_among_many_does_not_hold_the_others(here: Parts) -> None:
    await here.rows("ALTER TABLE observation ADD CONSTRAINT bad CHECK (kind <> 7)")
    pipeline = here.pipeline("bulk", QuickPipeline)

    for _ in range(4):
        odd = batch([press(number) for number in range(FRAMES)], edge="box-01")
        said = [odd, *(load(number) for number in range(1, BOXES + 1))]
        await pipeline.store([delivery(one, "bulk") for one in said])

    assert not pipeline.brake.on
    rows = await here.rows("SELECT device, count(*) AS n FROM quarantine GROUP BY device")
    assert rows == [{"device": BUTTON, "n": 4 * FRAMES}]

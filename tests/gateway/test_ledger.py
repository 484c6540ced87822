"""Twice is once: every order, split and repetition of the same frames ends in the same rows."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.frame import Batch, encode_batch
from deploy.runtime.services import OneDatabase
from gateway.ingest.batches import Arrival
from gateway.ingest.harvest import Harvest
from gateway.ingest.pipeline import Pipeline
from gateway.store.known import Edge
from gateway.store.ranges import Range, add, holes, minus, text
from gateway.store.streams import Stream
from tests.frames import DOOR, NOON, batch, door, dose
from tests.gateway.ingest_home import Parts, delivery, parts

FRAMES = 8
AT_NOON = datetime.fromtimestamp(NOON / 1_000, UTC)


class NoLedger(Harvest):
    """The saboteur: believes that nothing was stored before."""

    def take(self, arrival: Arrival, edge: Edge, stream: Stream, number: int) -> None:
        stream.received = []
        super().take(arrival, edge, stream, number)


class ForgetfulPipeline(Pipeline):
    harvest = NoLedger


@pytest.fixture
async def ingest(fresh_database: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(fresh_database) as made:
        yield made


def whole() -> Batch:
    """Doors with a time of their own each, and two hearings of one stored record."""
    doors = [door(at=NOON + number) for number in range(FRAMES - 2)]
    return batch([*doors, dose(5, at=NOON + 60_000), dose(5, at=NOON + 60_000)])


def piece(of: Batch, part: Range) -> Batch:
    first, last = part
    return replace(of, first=first, frames=of.frames[first - 1 : last])


ranges_of_frames = st.tuples(st.integers(1, FRAMES), st.integers(1, FRAMES)).map(
    lambda ends: (min(ends), max(ends))
)
deliveries = st.lists(st.lists(ranges_of_frames, min_size=1, max_size=4), max_size=5)
"""Transactions, each of some batches, each of some of the frames."""


async def deliver(
    ingest: Parts, transactions: Sequence[Sequence[Range]], kind: type[Pipeline] = Pipeline
) -> Batch:
    """These, and in the end whatever is missing, as a box would send it again."""
    said, pipeline = whole(), ingest.pipeline(kind=kind)
    for parts_of_it in transactions:
        await pipeline.store([delivery(piece(said, part)) for part in parts_of_it])
    await pipeline.store([delivery(said)])
    return said


async def stored(ingest: Parts, said: Batch) -> tuple[list[timedelta], str, set[int]]:
    """What was stored of this stream: times after noon, the ledger, and what waits for watch."""
    rows = await ingest.rows(
        "SELECT o.occurred FROM observation o JOIN message m USING (batch)"
        " JOIN stream s ON s.id = m.stream WHERE s.uuid::text = $1 ORDER BY o.occurred",
        said.stream,
    )
    (ledger,) = await ingest.rows(
        "SELECT received::text, id FROM stream WHERE uuid::text = $1", said.stream
    )
    pending = await ingest.rows(
        "SELECT generate_series(lower(range), upper(range) - 1) AS number FROM pending"
        " WHERE stream = $1",
        ledger["id"],
    )
    numbers = [row["number"] for row in pending]
    assert len(numbers) == len(set(numbers)), "no number waits to be watched twice"
    return [row["occurred"] - AT_NOON for row in rows], ledger["received"], set(numbers)


async def right(ingest: Parts) -> tuple[list[timedelta], str, set[int]]:
    """What all of them come to: the record counts once for the device, whoever heard it."""
    # each example is another stream of the same dispenser: its record is new for each
    await ingest.rows("DELETE FROM device_record RETURNING device")
    doors = [timedelta(milliseconds=number) for number in range(FRAMES - 2)]
    # taken, and how many doses are left
    record = [timedelta(minutes=1)] * 2
    return [*doors, *record], f"{{[1,{FRAMES + 1})}}", set(range(1, FRAMES + 1))


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(transactions=deliveries)
async def test_every_order_and_repetition_of_the_same_frames_ends_in_the_same_rows(
    ingest: Parts, transactions: list[list[Range]]
) -> None:
    expected = await right(ingest)

    said = await deliver(ingest, transactions)

    assert await stored(ingest, said) == expected


async def test_without_the_ledger_the_same_deliveries_are_stored_twice(ingest: Parts) -> None:
    expected = await right(ingest)

    said = await deliver(ingest, [[(1, 3)]], kind=ForgetfulPipeline)

    with pytest.raises(AssertionError):
        assert await stored(ingest, said) == expected


async def test_a_box_that_joined_anew_goes_on_with_the_stream_that_it_kept(ingest: Parts) -> None:
    await ingest.rows(
        "INSERT INTO edge (municipality, name, home) VALUES (1, 'anew', 1) RETURNING id"
    )
    said = whole()
    await ingest.store(piece(said, (1, 3)))

    told = await ingest.store(replace(said, edge="anew"), piece(said, (4, 5)))

    for box in ("box-01", "anew"):
        assert told[box]["streams"] == {said.stream: [[1, FRAMES]]}
    assert await stored(ingest, said) == await right(ingest)


@pytest.mark.parametrize("home", [2, None])
async def test_a_stream_of_another_homes_box_is_set_aside_without_a_receipt(
    ingest: Parts, home: int | None
) -> None:
    await ingest.rows("INSERT INTO home (municipality, district) VALUES (1, 1) RETURNING id")
    await ingest.rows(
        "INSERT INTO edge (municipality, name, home) VALUES (1, 'other', $1) RETURNING id", home
    )
    said, forged = batch([door()]), batch([dose(1), door()], edge="other")
    forged = replace(forged, stream=said.stream)

    told = await ingest.store(said, forged)
    again = await ingest.store(forged)

    assert (list(told), again) == (["box-01"], {})
    (row,) = await ingest.rows("SELECT reason, count, payload FROM quarantine")
    assert row == {"reason": "other_edge", "count": 2, "payload": encode_batch(forged)}
    assert len(await ingest.rows("SELECT FROM observation")) == 1


async def test_the_stream_of_a_box_that_was_taken_home_is_taken_from_another(ingest: Parts) -> None:
    await ingest.rows("INSERT INTO edge (municipality, name) VALUES (1, 'anew') RETURNING id")
    said = batch([door()])
    await ingest.store(said)
    await ingest.rows("UPDATE edge SET home = NULL WHERE name = 'box-01' RETURNING id")

    told = await ingest.store(replace(said, edge="anew", frames=(door(), door())))

    assert told["anew"]["streams"] == {said.stream: [[1, 2]]}
    assert len(await ingest.rows("SELECT FROM observation")) == 2


async def test_a_stream_of_another_municipality_is_set_aside_without_a_receipt(
    ingest: Parts,
) -> None:
    await ingest.rows("INSERT INTO municipality (name) VALUES ('Anden') RETURNING id")
    await ingest.rows("INSERT INTO edge (municipality, name) VALUES (2, 'other') RETURNING id")
    await ingest.rows(
        "INSERT INTO device (municipality, address) VALUES (2, $1) RETURNING id", DOOR
    )
    said = whole()
    await ingest.store(piece(said, (1, 3)))
    theirs = batch([door()], edge="other")

    told = await ingest.store(replace(said, edge="other"), theirs)

    assert told["other"]["streams"] == {theirs.stream: [[1, 1]]}, "its own frames are unharmed"
    assert len(await ingest.rows("SELECT FROM observation")) == 4
    (row,) = await ingest.rows("SELECT * FROM quarantine")
    assert (row["reason"], row["municipality"]) == ("other_edge", 2)
    assert row["payload"] == encode_batch(replace(said, edge="other"))


numbers = st.sets(st.integers(0, 40), max_size=25)


def as_ranges(members: set[int]) -> list[Range]:
    known: list[Range] = []
    for number in members:
        add(known, (number, number))
    return known


def members_of(known: Sequence[Range]) -> set[int]:
    return {number for first, last in known for number in range(first, last + 1)}


@given(known=numbers, ends=st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_ranges_are_what_sets_of_numbers_are(known: set[int], ends: tuple[int, int]) -> None:
    part = (min(ends), max(ends))
    ranges = as_ranges(known)
    new = set(range(part[0], part[1] + 1))

    assert members_of(minus(part, ranges)) == new - known
    add(ranges, part)
    assert members_of(ranges) == known | new
    assert ranges == sorted(ranges)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(ranges))
    assert holes(ranges) == len(ranges) - 1


def test_ranges_are_written_as_the_database_reads_them() -> None:
    assert text([(1, 4), (9, 9)]) == "{[1,4],[9,9]}"

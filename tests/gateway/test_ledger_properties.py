"""Every order, overlap, repetition and cut of the same frames ends in the same rows of all tables.

What is delivered has everything that a box may send: frames of every device, records with a
number of their own heard twice, frames that can be read in part or not at all or are none, a
neighbour's, numbers that will never come, a clock that was set late, and two streams.
"""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adapters.frame import Frame, encode_frame
from deploy.runtime.services import OneDatabase
from gateway.ingest.harvest import Harvest
from gateway.ingest.pipeline import Pipeline
from tests.frames import BOOT, BUTTON, NOON, STRANGER, UPTIME, door, dose, frame, press
from tests.gateway.ingest_home import Parts, delivery, parts
from tests.gateway.test_ledger import ForgetfulPipeline

SECOND = 1_000
SPOILED = '{"device":"A4:C1:38:00:00:02","heard":"smelled","at":0,"uptime":0}'
PARTLY = {"fcd2": bytes.fromhex("401a01") + b"\xfe\x00"}
"""A door's opening, and behind it an object that nobody knows."""
NEVER = range(8, 12)
"""Numbers of the first stream that will never come."""


def _first_stream() -> dict[int, str]:
    said: list[Frame | str] = [
        door(at=NOON - 9 * SECOND),
        press(1, at=NOON - 8 * SECOND),
        dose(5, at=NOON - 60 * SECOND),
        dose(5, at=NOON - 60 * SECOND),  # fetched again: the same record
        SPOILED,
        door(at=NOON - 7 * SECOND, data=PARTLY),
        door(device=STRANGER),
        door(data={"fcd2": b"\x40\xff"}),
        press(2, at=0, sure=False, uptime=UPTIME - 30),  # before the clock was set
        press(2, at=NOON - 2 * SECOND),
        dose(6, at=0),  # the dispenser's own clock was not set
        door(at=NOON + 3_600 * SECOND),  # an hour ahead
    ]
    numbers = (n for n in range(1, 100) if n not in NEVER)
    return {n: _text(one) for n, one in zip(numbers, said, strict=False)}


def _second_stream() -> dict[int, str]:
    """The other lane's: the same record heard there too, and a call of a device in the depot."""
    said = [
        dose(5, at=NOON - 60 * SECOND),
        dose(7, at=NOON - 50 * SECOND),
        press(9, device=DEPOT, at=NOON - 5 * SECOND),
        frame(device=BUTTON, manufacturer={0xFFFF: b"TP"}),
    ]
    return {n: _text(one) for n, one in enumerate(said, start=1)}


def _text(said: Frame | str) -> str:
    return said if isinstance(said, str) else encode_frame(said)


DEPOT = "A4:C1:38:00:00:09"
STREAMS: tuple[tuple[str, str, dict[int, str]], ...] = (
    ("11111111-0000-4000-8000-000000000001", "urgent", _first_stream()),
    ("11111111-0000-4000-8000-000000000002", "bulk", _second_stream()),
)
LAST = tuple(max(frames) for _, _, frames in STREAMS)


@dataclass(frozen=True, slots=True)
class Piece:
    """Numbers `first` to `last` of one of the streams, as one or two messages."""

    stream: int
    first: int
    last: int


WHOLE = [Piece(0, 1, LAST[0]), Piece(1, 1, LAST[1])]


@st.composite
def pieces(draw: st.DrawFn) -> Piece:
    stream = draw(st.sampled_from((0, 0, 1)))
    ends = st.integers(1, LAST[stream])
    first, last = sorted((draw(ends), draw(ends)))
    return Piece(stream, first, last)


deliveries = st.lists(st.lists(pieces(), min_size=1, max_size=4), max_size=6)
"""Transactions, each of some pieces."""


def messages(piece: Piece) -> Iterator[bytes]:
    """Contiguous frames with what is gone right behind them, as a box cuts them."""
    _, _, frames = STREAMS[piece.stream]
    run, gone, start = list[str](), list[int](), piece.first
    for number in range(piece.first, piece.last + 1):
        if number in frames and gone:
            yield _message(piece.stream, start, run, gone)
            run, gone, start = [], [], number
        if number in frames:
            run.append(frames[number])
        else:
            gone.append(number)
    yield _message(piece.stream, start, run, gone)


def _message(stream: int, first: int, run: Sequence[str], gone: Sequence[int]) -> bytes:
    said: dict[str, Any] = {
        "format": 1,
        "edge": "box-01",
        "stream": STREAMS[stream][0],
        "first": first,
        "sent_at": NOON,
        "boot": BOOT,
        "clock": {"synchronised": True, "boot": BOOT, "uptime": UPTIME},
        "frames": [json.loads(text) for text in run],
    }
    if gone:
        said["gone"] = [{"first": gone[0], "last": gone[-1], "reason": "the card was full"}]
    return json.dumps(said).encode()


async def deliver(
    ingest: Parts, transactions: Iterable[Sequence[Piece]], kind: type[Pipeline] = Pipeline
) -> None:
    pipelines = {lane: ingest.pipeline(lane, kind) for lane in ("urgent", "bulk")}  # pyright: ignore[reportArgumentType]
    for some in transactions:
        for stream, (_, lane, _) in enumerate(STREAMS):
            mine = [each for piece in some if piece.stream == stream for each in messages(piece)]
            if mine:
                await pipelines[lane].store([delivery(one, lane) for one in mine])  # pyright: ignore[reportArgumentType]


# ---------------------------------------------------------------- all that is stored

ROWS = {
    "observation": "SELECT device, kind, occurred, received, clock, value, code, quality"
    " FROM observation",
    "detail": "SELECT device, kind, occurred, name, value FROM observation_detail",
    "record": "SELECT * FROM device_record",
    "aside": "SELECT topic, stream, sequence, device, reason, detail, payload, count, head, kept,"
    " state FROM quarantine",
    "unplaced": "SELECT * FROM unplaced_call",
    "stream": "SELECT uuid, lane, edge, received::text, gone::text FROM stream",
    "waits": "SELECT s.uuid, generate_series(lower(p.range), upper(p.range) - 1)"
    " FROM pending p JOIN stream s ON s.id = p.stream",
    "whom": "SELECT DISTINCT unnest(citizens) FROM pending",
    "since": "SELECT min(earliest), max(latest) FROM pending WHERE citizens <> '{}'",
}
"""All but the batches' own numbers, which tell how the frames were cut."""
COUNTS = "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM pending)"

Stored = dict[str, list[str]]


async def stored(ingest: Parts, *, counts: bool = False) -> Stored:
    queries = ROWS | ({"counts": COUNTS} if counts else {})
    db = await asyncpg.connect(ingest.where.dsn())
    try:
        return {
            name: sorted(repr(sorted(row.items())) for row in await db.fetch(query))
            for name, query in queries.items()
        }
    finally:
        await db.close()


async def empty(ingest: Parts) -> None:
    await ingest.rows(
        "TRUNCATE message, observation, observation_detail, device_record, quarantine,"
        " unplaced_call, stream, pending, aside_today CASCADE"
    )


@pytest.fixture
async def ingest(emptied: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(emptied) as made:
        await made.rows(
            "INSERT INTO device (municipality, address, model)"
            " VALUES (1, $1, 'call_button') RETURNING id",
            DEPOT,
        )
        yield made


@pytest.fixture
async def right(ingest: Parts) -> Stored:
    """What is stored of it all, delivered once and in order."""
    await deliver(ingest, [WHOLE])
    made = await stored(ingest)
    # so that the property is about something: each kind of row is there
    assert {name: len(rows) for name, rows in made.items()} == {
        "observation": 17,
        "detail": 3,
        "record": 2,
        "aside": 5,
        "unplaced": 1,
        "stream": 2,
        "waits": LAST[0] + LAST[1],
        "whom": 1,
        "since": 1,
    }
    return made


class NoRecords(Harvest):
    """A saboteur: keeps every hearing of a record as if it had no number."""

    def settle(self, new: Any) -> None:
        del new
        super().settle(self.records)


class Unnumbered(Pipeline):
    harvest = NoRecords


async def same_however_it_comes(
    ingest: Parts, right: Stored, transactions: Sequence[Sequence[Piece]]
) -> None:
    await empty(ingest)

    await deliver(ingest, transactions)
    await deliver(ingest, [WHOLE])  # whatever is missing, as a box would send it again
    assert await stored(ingest) == right

    before = await stored(ingest, counts=True)
    await deliver(ingest, [*transactions, WHOLE])
    assert await stored(ingest, counts=True) == before


_common: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}
TWISTED = [
    [Piece(0, 9, 10)],
    [Piece(1, 2, 4), Piece(1, 1, 1), Piece(0, 4, 4)],
    [Piece(0, 12, LAST[0]), Piece(0, 3, 11), Piece(0, 3, 11)],
]


@pytest.mark.timeout(120)
@settings(max_examples=20, **_common)
@example(transactions=TWISTED)
@given(transactions=deliveries)
async def test_the_same_frames_end_in_the_same_rows_and_delivered_twice_nothing_changes(
    ingest: Parts, right: Stored, transactions: list[list[Piece]]
) -> None:
    await same_however_it_comes(ingest, right, transactions)


@pytest.mark.long
@settings(max_examples=250, **_common)
@given(transactions=deliveries)
async def test_the_same_frames_end_in_the_same_rows_in_many_more_orders(
    ingest: Parts, right: Stored, transactions: list[list[Piece]]
) -> None:
    await same_however_it_comes(ingest, right, transactions)


@pytest.mark.parametrize("kind", [ForgetfulPipeline, Unnumbered])
async def test_a_ledger_that_forgets_is_seen(
    ingest: Parts, right: Stored, kind: type[Pipeline]
) -> None:
    await empty(ingest)

    await deliver(ingest, [*TWISTED, WHOLE], kind)

    found = await stored(ingest)
    assert len(found["observation"]) > len(right["observation"])

"""What a box says of itself is kept once, whatever its word, and never flows over."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import generate_latest

from adapters.frame import Frame
from deploy.runtime.services import OneDatabase
from gateway.ingest.harvest import Harvest
from gateway.ingest.pipeline import Pipeline
from gateway.store import events
from gateway.store.known import Edge
from gateway.store.streams import Stream
from tests.frames import NOON, STRANGER, batch, door, frame
from tests.gateway.ingest_home import Parts, delivery, parts

AT_NOON = datetime.fromtimestamp(NOON / 1_000, UTC)


class NoLedger(Harvest):
    """The saboteur: believes that nothing was stored before."""

    def take(self, arrival: Any, edge: Edge, stream: Stream, number: int) -> None:
        stream.received = []
        super().take(arrival, edge, stream, number)


class ForgetfulPipeline(Pipeline):
    harvest = NoLedger


@pytest.fixture
async def ingest(emptied: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(emptied) as made:
        yield made


def said(word: str = "radio.rescanned", value: bytes = b"{}", **fields: Any) -> Frame:
    return frame(**{"device": "box-01", "heard": "box", "uuid": word, "value": value} | fields)


async def kept(ingest: Parts) -> list[tuple[str, dict[str, Any]]]:
    rows = await ingest.rows("SELECT word, details::text FROM box_event ORDER BY id")
    return [(row["word"], json.loads(row["details"])) for row in rows]


async def test_events_are_kept_once_and_are_no_observations(ingest: Parts) -> None:
    told = batch([said(value=b'{"step":1}'), door(), said("of.tomorrow")])

    for _ in range(2):
        await ingest.store(told, lane="bulk")

    assert await kept(ingest) == [("radio.rescanned", {"step": 1}), ("of.tomorrow", {})]
    assert len(await ingest.rows("SELECT FROM observation")) == 1
    assert await ingest.rows("SELECT FROM quarantine") == []


async def test_without_the_ledger_an_event_is_kept_twice(ingest: Parts) -> None:
    told, forgetful = batch([said()]), ingest.pipeline("bulk", ForgetfulPipeline)

    for _ in range(2):
        await forgetful.store([delivery(told, "bulk")])

    assert len(await kept(ingest)) == 2


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("", b"{}"),
        ("Radio Silent", b"{}"),
        ("radio.silent", b"not json"),
        ("radio.silent", b"[1]"),
        ("radio.silent", b'{"a":{"b":1}}'),
        ("radio.silent", b'{"a":"\\u0000"}'),
        ("radio.silent", b'{"a":"\\ud800"}'),
        ("radio.silent", b'{"a":NaN}'),
    ],
)
async def test_what_is_no_event_is_set_aside_with_the_reason(
    ingest: Parts, word: str, value: bytes
) -> None:
    await ingest.store(batch([said(word, value), said("radio.hearing")]), lane="bulk")

    rows = await ingest.rows("SELECT reason FROM quarantine")
    assert [row["reason"] for row in rows] == ["bad_event"]
    assert await kept(ingest) == [("radio.hearing", {})]


async def test_what_says_it_is_another_box_is_only_counted(ingest: Parts) -> None:
    await ingest.store(batch([said(device=STRANGER)]), lane="bulk")

    (row,) = await ingest.rows("SELECT reason, payload FROM quarantine")
    assert (row["reason"], row["payload"]) == ("unknown_device", None)
    assert await kept(ingest) == []


async def test_what_a_device_did_is_told_to_the_hour(ingest: Parts) -> None:
    await ingest.store(batch([said("device.heard", at=NOON), said(at=NOON)]), lane="bulk")

    rows = await ingest.rows("SELECT occurred FROM box_event ORDER BY id")
    hour = AT_NOON.replace(minute=0, second=0)
    assert [row["occurred"] for row in rows] == [hour, AT_NOON]


async def test_a_box_gone_mad_is_counted_and_heard_again_after_an_hour(ingest: Parts) -> None:
    many = [said() for _ in range(events.MOST_AN_HOUR // 2 + 1)]
    for _ in range(2):
        await ingest.store(batch(many), lane="bulk")

    (row,) = await ingest.rows("SELECT reason, count FROM quarantine")
    assert (row["reason"], row["count"]) == ("too_many_events", 2)
    assert len(await kept(ingest)) == events.MOST_AN_HOUR

    ingest.clock.at = AT_NOON + timedelta(hours=2)
    await ingest.store(batch([said("radio.hearing")]), lane="bulk")
    assert (await kept(ingest))[-1] == ("radio.hearing", {})


async def test_events_are_counted_by_the_words_that_are_known(ingest: Parts) -> None:
    await ingest.store(batch([said(), said("of.tomorrow"), said("of.next_week")]), lane="bulk")

    told = generate_latest(ingest.health.registry).decode()
    assert 'trygport_box_events_total{word="radio.rescanned"} 1.0' in told
    assert 'trygport_box_events_total{word="other"} 2.0' in told
    assert "box-01" not in told


async def test_old_events_are_swept(ingest: Parts) -> None:
    await ingest.store(batch([said()]), lane="bulk")

    await events.sweep(ingest.pool, AT_NOON)
    assert len(await kept(ingest)) == 1
    await events.sweep(ingest.pool, AT_NOON + timedelta(seconds=1))
    assert await kept(ingest) == []

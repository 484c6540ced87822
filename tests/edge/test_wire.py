"""Box and gateway, which share no code but the frame, understand one another on the wire."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.frame import Batch, Lane, encode_spooled
from adapters.plans import WORDS, fetched, flaw
from adapters.registry import CHARACTERISTICS, PLANNED
from edge.clock import state
from edge.keeping.ranges import Ranges
from edge.keeping.run import HEAD_ROOM, PACKET_LIMIT
from edge.keeping.spool import Spool
from edge.radio import Reader as ReaderState
from edge.sending.heartbeat import Heartbeat
from edge.sending.heartbeat import State as Word
from edge.sending.receipt import read_receipt
from edge.told.config import BadConfig, Plan, read_config
from gateway.edges.config import CONNECTIONS, config
from gateway.ingest.batches import LARGEST_MESSAGE, read_batch
from gateway.ingest.contact import State
from gateway.ingest.receipts import receipts
from gateway.store.configs import Placed
from gateway.store.streams import Stream, StreamKey
from tests.edge.frames import HandClock, heard

BOX = "box-1"


def placed(number: int, model: str, role: str) -> Placed:
    return Placed(address=f"A4:C1:38:00:00:{number:02X}", model=model, role=role)


def test_the_box_reads_what_the_gateway_configures() -> None:
    models = [*CONNECTIONS, "call_button", "bthome"]
    homes = [placed(n, model, "call" if n == 0 else "motion") for n, model in enumerate(models)]

    read = read_config(config(9, homes))

    assert (read.version, read.keepalive, len(read.devices)) == (9, 30, len(models))
    assert {d.connect is not None for d in read.devices.values()} == {True, False}
    assert read.calls


PLANS: Mapping[str, Mapping[str, Any]] = CONNECTIONS
"""How the boxes of the models are to hear them, by model."""
GOOD: dict[str, Any] = {
    "when": "every",
    "seconds": 600,
    "read": ["2a19"],
    "subscribe": ["6e400003-b5a3-f393-e0a9-e50e24dcca9e"],
    "write": [{"uuid": "2a9f", "value": "0100", "clock": "unix32le", "after_last": {"offset": 2}}],
    "listen_seconds": 0.5,
    "quiet_seconds": 120,
    "pair": False,
    "racp": {"service": "1808", "records": ["2a18"], "number": {"record": "2a18", "offset": 1}},
    "set_clock": {"uuid": "2a2b", "form": "date_time"},
}
WRONG: dict[str, dict[str, Any]] = {
    "when": {"when": "sometimes"},
    "seconds": {"seconds": 0},
    "read.0": {"read": ["2A19"]},
    "subscribe.0": {"subscribe": ["0x2a19"]},
    "write.0.value": {"write": [{"uuid": "2a9f", "value": "010"}]},
    "write.0.clock": {"write": [{"uuid": "2a9f", "value": "", "clock": "swiss"}]},
    "write.0.after_last": {"write": [{"uuid": "2a9f", "value": "", "after_last": {"offset": 1}}]},
    "listen_seconds": {"listen_seconds": 601},
    "quiet_seconds": {"quiet_seconds": True},
    "pair": {"pair": "yes"},
    "racp.records": {"racp": {"service": "1808", "records": []}},
    "racp.number.record": {
        "racp": {"service": "1808", "records": ["2a18"], "number": {"record": "2a34", "offset": 1}}
    },
    "set_clock.form": {"set_clock": {"uuid": "2a2b", "form": "sundial"}},
}


def sent(plan: Mapping[str, Any]) -> bytes:
    """A configuration with this one plan."""
    device = {"address": "A4:C1:38:00:00:01", "lane": "bulk", "advertisement": True}
    said = {"format": 1, "version": 1, "keepalive": 60, "devices": [device | {"connect": plan}]}
    return json.dumps(said).encode()


@pytest.mark.parametrize("model", PLANS)
def test_a_plan_has_no_misspelt_word_and_what_it_brings_is_read(model: str) -> None:
    assert flaw(PLANS[model]) is None
    own = {uuid for adapter in PLANNED.values() for uuid in adapter.characteristics}
    assert fetched(PLANS[model]) <= {*CHARACTERISTICS, *own}


@pytest.mark.parametrize("word", ["read", "subscribe", "racp"])
def test_a_misspelt_word_is_found_out(word: str) -> None:
    plan = {"when": "every", "read": ["2a19"], word[:-1]: GOOD[word]}

    assert flaw(plan) == f"{word[:-1]}: a plan has no such word"


def test_a_plan_that_brings_nothing_is_found_out() -> None:
    assert "nothing is fetched" in str(flaw({"when": "every", "listen_seconds": 20}))


def test_a_box_follows_a_plan_that_the_gateway_finds_good() -> None:
    assert set(GOOD) == WORDS == {one.name for one in fields(Plan)}
    assert flaw(GOOD) is None

    assert read_config(sent(GOOD)).devices["A4:C1:38:00:00:01"].connect is not None


@pytest.mark.parametrize("place", WRONG)
def test_what_a_box_would_refuse_the_gateway_does_not_send(place: str) -> None:
    wrong = GOOD | WRONG[place]

    assert str(flaw(wrong)).startswith(f"{place}: ")
    with pytest.raises(BadConfig):
        read_config(sent(wrong))


@pytest.mark.parametrize("word", ["running", "stopped", "lost"])
@pytest.mark.parametrize("reader", ["hearing", "silent", "off", "starting"])
def test_the_gateway_reads_what_the_box_says_of_itself(
    tmp_path: Path, word: Word, reader: ReaderState
) -> None:
    with Spool(tmp_path / "spool", HandClock()) as spool:
        spool.append(heard(1), "urgent")
        beat = Heartbeat(spool=spool, clock=HandClock(), reader=reader, version="0.1.0")
        read = State.model_validate_json(beat.message(word))

    assert (read.state, read.reader, read.urgent.depth, read.bulk.oldest) == (word, reader, 1, None)


@pytest.mark.parametrize("lane", ["urgent", "bulk"])
def test_the_gateway_reads_every_batch_that_the_spool_cuts(tmp_path: Path, lane: Lane) -> None:
    clock, seen = HandClock(), Ranges()
    with Spool(tmp_path / "spool", clock) as spool:
        spool.append_many([heard(n, size=8 + n) for n in range(1, 600)], lane)
        spool.append(heard(1, size=40_000), lane)
        spool.append(heard(1, size=29_000), lane)
        after = None
        while run := spool.cut(lane, after, frames=250, octets=PACKET_LIMIT - HEAD_ROOM):
            batch = Batch(
                edge=BOX,
                stream=run.stream,
                first=run.first,
                sent_at=clock.now_ms(),
                boot=run.boot,
                clock=state(clock),
                frames=(),
                gone=run.gone,
            )
            payload = encode_spooled(batch, run.frames)
            arrival = read_batch(f"edges/{BOX}/{lane}", payload)
            assert len(payload) <= LARGEST_MESSAGE
            seen |= [(gone.first, gone.last) for gone in arrival.batch.gone]
            if arrival.frames:
                seen |= [(arrival.batch.first, arrival.last)]
            after = run.following

    assert list(seen) == [(1, 601)]


def test_the_box_reads_the_gateways_receipt() -> None:
    epoch, key = uuid4(), StreamKey(municipality=1, edge=1, uuid=uuid4())
    stream = Stream(key=key, id=1, received=[(1, 9), (12, 12)])

    [(topic, payload)] = receipts(epoch, [(BOX, stream)]).items()
    read = read_receipt(payload)

    assert topic == f"edges/{BOX}/receipt"
    assert (read.epoch, read.streams) == (str(epoch), {str(key.uuid): ((1, 9), (12, 12))})

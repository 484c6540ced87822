"""Box and gateway, which share no code but the frame, understand one another on the wire."""

from pathlib import Path
from uuid import uuid4

import pytest

from adapters.frame import Batch, Lane, encode_spooled
from edge.clock import state
from edge.config import read_config
from edge.heartbeat import Heartbeat
from edge.heartbeat import Reader as ReaderState
from edge.heartbeat import State as Word
from edge.ranges import Ranges
from edge.receipt import read_receipt
from edge.run import HEAD_ROOM, PACKET_LIMIT
from edge.spool import Spool
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

"""A gateway restored from a backup is sent what it lacks: earlier receipts are undone."""

import sqlite3
from contextlib import closing
from pathlib import Path

from adapters.frame import Lane
from deploy.runtime.broker import Broker
from edge.keeping.spool import Spool
from edge.told.config import ConfigFile
from gateway.edges.config import config
from gateway.store.configs import Placed
from tests.edge.frames import HOUR, HandClock, heard
from tests.edge.gateway import EPOCH, NEXT_EPOCH, gateway
from tests.edge.spooled import everything, runs, store_all
from tests.edge.uplinks import BOX, box, drained


def stream_of(spool: Spool, lane: Lane) -> str:
    """The name of the lane's one stream, whether or not anything of it waits."""
    with closing(sqlite3.connect(spool.path)) as db:
        [(name,)] = db.execute("SELECT stream FROM stream WHERE lane = ?", (lane,))
    return str(name)


def test_a_restored_gateway_is_sent_again_all_that_is_kept(path: Path, clock: HandClock) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(n) for n in range(1, 5)], "bulk")
        [run] = runs(spool, "bulk")
        store_all(spool)

        spool.receipt({run.stream: [(1, 2)]}, epoch=NEXT_EPOCH)
        restored = everything(spool)
        spool.receipt({run.stream: [(1, 4)]}, epoch=EPOCH)

        assert restored == [3, 4]
        assert everything(spool) == [3, 4], "a receipt of the old epoch came late"

    with Spool(path, clock) as spool:
        assert everything(spool) == [3, 4]


def test_a_new_epoch_undoes_the_receipts_of_every_stream_for_good(
    path: Path, clock: HandClock
) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(n) for n in range(1, 5)], "bulk")
        spool.append_many([heard(n) for n in range(11, 14)], "urgent")
        store_all(spool)
        bulk = stream_of(spool, "bulk")

        spool.receipt({bulk: [(1, 4)]}, epoch=NEXT_EPOCH)
        depths = spool.depth("bulk"), spool.depth("urgent")

    assert depths == (0, 3)
    with Spool(path, clock) as spool:
        assert everything(spool, "urgent") == [11, 12, 13]
        clock.ms += 80 * HOUR
        assert spool.forget() == 4, "only what the new life of the store has"
        assert everything(spool, "urgent") == [11, 12, 13]


def test_an_announcement_in_several_messages_costs_only_what_is_sent_in_between(
    path: Path, clock: HandClock
) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(n) for n in range(1, 9)], "bulk")
        store_all(spool)
        bulk = stream_of(spool, "bulk")

        spool.receipt({"another box's": [(1, 2)]}, epoch=NEXT_EPOCH)
        first = everything(spool)
        spool.receipt({bulk: [(1, 3)]}, epoch=NEXT_EPOCH)
        second = everything(spool)
        spool.receipt({bulk: [(5, 6)]}, epoch=NEXT_EPOCH)

        assert first == list(range(1, 9))
        assert second == [4, 5, 6, 7, 8]
        assert everything(spool) == [4, 7, 8]
        assert spool.epoch == NEXT_EPOCH


def test_what_the_gateway_misses_after_all_is_sent_again_and_not_forgotten(
    path: Path, clock: HandClock
) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(n) for n in range(1, 7)], "bulk")
        store_all(spool)
        bulk = stream_of(spool, "bulk")

        late = spool.take_back({bulk: [(2, 3)]}, epoch=NEXT_EPOCH)
        news = spool.take_back({bulk: [(2, 3)], "unknown": [(1, 9)]}, epoch=EPOCH)
        again = spool.take_back({bulk: [(2, 3)]}, epoch=EPOCH)

        assert (late, news, again) == (False, True, False)
        assert not spool.drained.is_set()
    with Spool(path, clock) as spool:
        assert everything(spool) == [2, 3]
        clock.ms += 80 * HOUR
        assert spool.forget() == 4
        assert everything(spool) == [2, 3]


def test_what_is_missing_and_no_longer_kept_is_told_as_gone(path: Path, clock: HandClock) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(n) for n in range(1, 4)], "bulk")
        store_all(spool)
        clock.ms += 80 * HOUR
        spool.forget()

        spool.take_back({stream_of(spool, "bulk"): [(2, 2)]}, epoch=EPOCH)
        [run] = runs(spool, "bulk")

    assert [(gone.first, gone.last, gone.reason) for gone in run.gone] == [(2, 2, "no longer kept")]


def test_what_a_restored_gateway_can_no_longer_get_is_said(path: Path, clock: HandClock) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(1), heard(2)], "bulk")
        store_all(spool)
        clock.ms += 80 * HOUR
        spool.forget()
        spool.append(heard(3), "bulk")
        stream = runs(spool, "bulk")[0].stream

        spool.receipt({stream: []}, epoch=NEXT_EPOCH)
        lost, kept = runs(spool, "bulk")

    assert [(gone.first, gone.last, gone.reason) for gone in lost.gone] == [
        (1, 2, "no longer kept")
    ]
    assert (kept.first, len(kept.frames)) == (3, 1)


def test_a_configuration_of_a_lower_version_is_followed_too(tmp_path: Path) -> None:
    """A gateway restored from a backup may count from further back."""
    file = ConfigFile(tmp_path / "config.json")
    file.take(config(9, [Placed(address="A4:C1:38:00:00:01", model="door", role="door")]))

    file.take(config(4, []))

    assert (file.current.version, len(file.current.devices)) == (4, 0)
    assert ConfigFile(tmp_path / "config.json").current.version == 4


async def test_a_restored_gateway_that_names_one_stream_gets_all_of_the_others(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with gateway(broker, BOX) as there, box(broker, tmp_path, clock) as uplink:
        uplink.spool.append_many([heard(n) for n in range(1, 5)], "bulk")
        uplink.spool.append(heard(9), "urgent")
        await drained(uplink.spool)
        calls, telemetry = sorted(there.stored, key=lambda name: (name, 2) in there.frames)
        there.frames.clear()
        del there.stored[telemetry]
        there.epoch = NEXT_EPOCH

        there.receipt({calls: [[1, 1]]})
        await there.sees(lambda: len(there.frames) == 4)
        await there.sees(lambda: there.states[-1]["epoch"] == NEXT_EPOCH)
        await drained(uplink.spool)

    assert {name for name, _ in there.frames} == {telemetry}


async def test_the_gateway_may_ask_again_for_what_it_gave_a_receipt_for(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with gateway(broker, BOX) as there, box(broker, tmp_path, clock) as uplink:
        uplink.spool.append_many([heard(n) for n in range(1, 5)], "bulk")
        await drained(uplink.spool)
        [stream] = there.stored
        there.frames.clear()

        there.receipt({}, missing={stream: [[2, 3]]})
        await there.sees(lambda: len(there.frames) == 2)
        await drained(uplink.spool)

    assert there.frames.keys() == {(stream, 2), (stream, 3)}

"""Which batch leaves next, and when again: decided with a clock that the test moves."""

from pathlib import Path

import pytest

from edge.keeping.spool import Spool
from edge.sending.lanes import PACES, Sender
from tests.edge.frames import HandClock, heard

EPOCH = "e"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", HandClock())


def leaves(sender: Sender, spool: Spool, now: float) -> list[tuple[int, int]]:
    left = list[tuple[int, int]]()
    while sent := sender.next(spool, now, octets=59_000):
        left.append((sent.run.first, sent.run.last))
    return left


def urgent() -> Sender:
    return Sender("urgent", PACES["urgent"])


def bulk() -> Sender:
    return Sender("bulk", PACES["bulk"])


def test_a_call_leaves_while_others_are_on_their_way_and_telemetry_waits(spool: Spool) -> None:
    calls, telemetry = urgent(), bulk()
    for now in range(3):
        spool.append(heard(now), "urgent")
        spool.append(heard(now), "bulk")

        leaves(calls, spool, now)
        leaves(telemetry, spool, now)

    assert (len(calls.sent), len(telemetry.sent)) == (3, 1)


def test_without_a_receipt_all_goes_again_from_the_oldest_as_one_probe(spool: Spool) -> None:
    sender = urgent()
    for number in range(3):
        spool.append(heard(number), "urgent")
        leaves(sender, spool, number)

    assert not sender.expire(2.0)
    assert sender.expire(10.0)
    assert leaves(sender, spool, 10.0) == [(1, 3)]


def test_a_gateway_that_is_away_is_asked_less_and_less_but_for_a_call_every_few_seconds(
    spool: Spool,
) -> None:
    waits = dict[str, list[float]]()
    for sender in (urgent(), bulk()):
        spool.append(heard(1), sender.lane)
        now, times = 0.0, list[float]()
        for _ in range(12):
            sent = sender.next(spool, now, octets=59_000)
            assert sent is not None
            sender.refused(sent, now, away=True)
            assert sender.next(spool, now, octets=59_000) is None
            wakes = sender.wakes()
            assert wakes is not None
            times.append(wakes - now)
            now = wakes
        waits[sender.lane] = times

    assert max(waits["urgent"]) <= 5 * 1.25
    assert 45 * 0.75 <= waits["bulk"][-1] <= 60 * 1.25
    assert waits["bulk"][0] < 3


def test_a_receipt_ends_the_waiting_at_once(spool: Spool) -> None:
    sender = bulk()
    spool.append(heard(1), "bulk")
    sent = sender.next(spool, 0.0, octets=59_000)
    assert sent is not None
    sender.refused(sent, 0.0, away=True)

    spool.receipt({sent.run.stream: [(1, 1)]}, epoch=EPOCH)
    sender.receipted(spool, 0.0)
    spool.append(heard(2), "bulk")

    assert leaves(sender, spool, 0.0) == [(2, 2)]


def test_a_batch_that_never_gets_a_receipt_does_not_hold_up_the_others_for_ever(
    spool: Spool,
) -> None:
    sender, now, seen = bulk(), 0.0, list[tuple[int, int]]()
    spool.append_many([heard(number) for number in range(600)], "bulk")

    for _ in range(12):
        now += 100
        sender.expire(now)
        for sent_range in leaves(sender, spool, now):
            seen.append(sent_range)
            if sent_range[0] > 1:
                stream = sender.sent[0].run.stream
                spool.receipt({stream: [sent_range]}, epoch=EPOCH)
                sender.receipted(spool, now)

    assert {(1, 250), (251, 500), (501, 600)} <= set(seen)
    assert spool.depth() == 250
    assert seen[-1] == (1, 250), "and it is tried on"


def test_after_everything_is_receipted_the_next_frame_leaves_without_a_pause(
    spool: Spool,
) -> None:
    sender = urgent()
    for number in range(1, 6):
        spool.append(heard(number), "urgent")
        assert leaves(sender, spool, number) == [(number, number)]
        spool.receipt({sender.sent[0].run.stream: [(1, number)]}, epoch=EPOCH)
        sender.receipted(spool, number)
        assert leaves(sender, spool, number) == []
        assert sender.wakes() is None


def sendings(sender: Sender, spool: Spool, begun: float, takes: float) -> int:
    """How often the next batch leaves until its receipt, which comes so many seconds after."""
    spool.append(heard(1), sender.lane)
    times, now = 0, begun
    while now < begun + takes:
        sender.expire(now)
        times += len(leaves(sender, spool, now))
        now += 0.5
    run = sender.sent[0].run
    spool.receipt({run.stream: [(1, run.last)]}, epoch=EPOCH)
    sender.receipted(spool, now)
    return times


@pytest.mark.parametrize("takes", [13, 40])
def test_where_receipts_come_slowly_a_batch_is_not_sent_again_before_its_turn(
    spool: Spool, takes: float
) -> None:
    """A country comes back: the gateway works, with a queue of most of a minute before it."""
    sender = bulk()

    # how long one took is seen from when it was sent last: a few are needed, by chance
    first, *_, one, another, third = (sendings(sender, spool, 100.0 * n, takes) for n in range(9))

    assert first > 1, "nobody could know"
    assert (one, another, third) == (1, 1, 1)


def test_after_one_quick_receipt_patience_is_short_again(spool: Spool) -> None:
    sender = bulk()
    for number in range(4):
        sendings(sender, spool, 100.0 * number, takes=40)
    sendings(sender, spool, 1_000.0, takes=0.5)

    spool.append(heard(1), "bulk")
    leaves(sender, spool, 2_000.0)

    assert sender.sent[0].due - 2_000 <= 10 * 1.25


def test_a_call_is_sent_again_every_few_seconds_however_slow_receipts_are(spool: Spool) -> None:
    sender = urgent()
    for number in range(4):
        assert sendings(sender, spool, 100.0 * number, takes=40) >= 40 // (5 * 1.25)

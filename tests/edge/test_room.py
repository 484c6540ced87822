"""On a full memory card a call is kept: what is receipted goes first, then the oldest bulk."""

import os
import subprocess
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.frame import Gone, Lane
from edge.keeping.disk import SPOOL
from edge.keeping.room import CARD_FULL, Reserve
from edge.keeping.run import Run
from edge.keeping.spool import Spool, SpoolFull
from edge.status import read_status
from tests.edge.frames import HandClock, heard

EPOCH = "6a0c5a4e-0000-4000-8000-000000000001"
CARD = 16 * 1024 * 1024
RESERVE = 4_000_000
SIZE = 400
"""Bytes in an advertisement, so that a card is full soon."""


@pytest.fixture
def card(tmp_path: Path) -> Generator[Path]:
    """A file system of its own, small enough to fill."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "card"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={CARD}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Another program takes all the space that is left."""
    with (folder / "log").open("ab", buffering=0) as log:
        try:
            while True:
                log.write(b"x" * 4_096)
        except OSError:
            return


def runs(spool: Spool, lane: Lane) -> list[Run]:
    cut = list[Run]()
    while run := spool.cut(lane, cut[-1].following if cut else None, frames=250, octets=50_000):
        cut.append(run)
    return cut


def append_until_given_up(spool: Spool, lane: Lane = "bulk", *, most: int = 400) -> int:
    """How many frames went in before something had to go."""
    for number in range(most):
        spool.append_many([heard(number, size=SIZE) for _ in range(100)], lane)
        if spool.recall("card full") is not None:
            return (number + 1) * 100
    pytest.fail("the card never became full")


def append_for_ever(spool: Spool) -> None:
    for number in range(9_000):
        spool.append_many([heard(number, size=SIZE) for _ in range(100)], "bulk")


def receipt_all(spool: Spool) -> None:
    for lane in ("urgent", "bulk"):
        for run in runs(spool, lane):
            spool.receipt({run.stream: [(1, run.last)]}, epoch=EPOCH)


def test_a_full_card_lets_go_of_what_is_receipted_and_keeps_all_that_waits(card: Path) -> None:
    with Spool(card / SPOOL, HandClock(), reserve=RESERVE) as spool:
        spool.append_many([heard(n, size=SIZE) for n in range(4_000)], "bulk")
        receipt_all(spool)
        waiting = append_until_given_up(spool)

        spool.append(heard(7), "urgent")

        assert spool.depth("bulk") == waiting
        assert sum(len(run.frames) for run in runs(spool, "bulk")) == waiting
        assert [len(run.frames) for run in runs(spool, "urgent")] == [1]
    cost = read_status(card).cost
    assert cost is not None
    assert (cost.early > 0, cost.given_up) == (True, 0)


def test_a_full_card_gives_up_the_oldest_bulk_and_says_so_to_the_gateway(card: Path) -> None:
    with Spool(card / SPOOL, HandClock(), reserve=RESERVE) as spool:
        first = append_until_given_up(spool)
        for number in range(60):
            spool.append_many([heard(number, size=SIZE) for _ in range(100)], "bulk")
            spool.append(heard(number), "urgent")

        oldest, *others = runs(spool, "bulk")

        gone = oldest.gone[0]
        assert (gone.first, gone.reason, len(oldest.gone)) == (1, CARD_FULL, 1)
        assert sum(len(run.frames) for run in others) == first + 6_000 - gone.last
        assert not any(run.gone for run in others)
        assert sum(len(run.frames) for run in runs(spool, "urgent")) == 60
        spool.receipt({oldest.stream: [(1, gone.last)]}, epoch=EPOCH)
        assert spool.depth("bulk") == first + 6_000 - gone.last

    status = read_status(card)
    assert status.cost is not None
    assert status.cost.given_up == gone.last
    assert f"{gone.last} given up unsent" in status.as_text(datetime.now(UTC))


def test_a_call_is_kept_in_the_reserve_where_nothing_can_go(card: Path) -> None:
    with Spool(card / SPOOL, HandClock(), reserve=RESERVE) as spool:
        spool.append(heard(1), "urgent")
        fill(card)

        with pytest.raises(SpoolFull):
            append_for_ever(spool)
        kept = spool.depth("bulk")
        spool.append_many([heard(n, size=SIZE) for n in range(1_000)], "urgent")

        assert spool.depth("urgent") == 1_001
    with Spool(card / SPOOL, HandClock(), reserve=RESERVE) as spool:
        assert sum(len(run.frames) for run in runs(spool, "urgent")) == 1_001
        assert spool.depth("bulk") == kept


class NoReserve(Spool):
    """The saboteur: a box without a reserve."""

    def __init__(self, path: Path, clock: HandClock) -> None:
        super().__init__(path, clock, reserve=0)


def test_without_a_reserve_the_call_is_lost(card: Path) -> None:
    with NoReserve(card / SPOOL, HandClock()) as spool:
        spool.append(heard(1), "urgent")
        fill(card)

        with pytest.raises(SpoolFull):
            spool.append_many([heard(n, size=SIZE) for n in range(1_000)], "urgent")


def test_when_the_card_has_room_again_the_spool_takes_bulk_and_holds_its_reserve(
    card: Path,
) -> None:
    with Spool(card / SPOOL, HandClock(), reserve=RESERVE) as spool:
        fill(card)
        with pytest.raises(SpoolFull):
            append_for_ever(spool)
        spool.append_many([heard(n, size=SIZE) for n in range(1_000)], "urgent")

        (card / "log").unlink()
        spool.append_many([heard(n, size=SIZE) for n in range(1_000)], "bulk")

        assert (card / f"{SPOOL}.reserve").stat().st_blocks * 512 >= RESERVE


def test_a_box_starts_on_a_full_card_and_keeps_a_call(card: Path) -> None:
    with Spool(card / SPOOL, HandClock(), reserve=RESERVE) as spool:
        append_until_given_up(spool)
        fill(card)

    with Spool(card / SPOOL, HandClock(), reserve=RESERVE) as spool:
        spool.append(heard(3), "urgent")

        assert spool.depth("urgent") == 1


def test_a_reserve_of_nothing_is_never_missing(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "spool", 0)

    reserve.hold()

    assert (reserve.held, reserve.release(), reserve.held) == (True, False, True)
    assert list(tmp_path.iterdir()) == []


def test_given_up_frames_are_one_range_also_where_a_restored_gateway_asks_again(
    card: Path,
) -> None:
    with Spool(card / SPOOL, HandClock(), reserve=RESERVE) as spool:
        append_until_given_up(spool)
        [gone] = runs(spool, "bulk")[0].gone
        spool.receipt({runs(spool, "bulk")[0].stream: []}, epoch=EPOCH)

        assert runs(spool, "bulk")[0].gone == (Gone(first=1, last=gone.last, reason=CARD_FULL),)

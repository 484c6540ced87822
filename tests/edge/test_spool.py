"""The spool outlives the process and the power, and forgets only what is receipted and old."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.runtime.paths import ROOT
from edge.keeping.disk import SpoolTaken
from edge.keeping.run import Place
from edge.keeping.spool import Spool, SpoolFailed
from edge.status import peek
from tests.edge.frames import HOUR, HandClock, heard
from tests.edge.gateway import EPOCH
from tests.edge.pages import dirty_pages
from tests.edge.spooled import everything, runs, store_all


def test_frames_are_there_after_a_restart_in_the_same_stream(path: Path, clock: HandClock) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(n) for n in range(1, 4)], "bulk")
        [before] = runs(spool, "bulk")

    with Spool(path, clock) as spool:
        [after] = runs(spool, "bulk")

    assert after == before
    assert (after.first, after.last, len(after.frames)) == (1, 3, 3)


def test_every_start_and_lane_has_a_stream_of_its_own_and_the_oldest_goes_first(
    path: Path, clock: HandClock
) -> None:
    for start in (1, 2):
        with Spool(path, clock) as spool:
            spool.append(heard(start), "bulk")
            spool.append(heard(start), "urgent")

    with Spool(path, clock) as spool:
        streams = [run.stream for lane in ("urgent", "bulk") for run in runs(spool, lane)]
        assert everything(spool) == [1, 2]

    assert len(set(streams)) == 4


def test_a_batch_is_cut_by_frames_and_by_bytes(path: Path, clock: HandClock) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(n) for n in range(1, 11)], "bulk")
        length = len(runs(spool, "bulk")[0].frames[0]) + 1

        by_frames = [(run.first, run.last) for run in runs(spool, "bulk", frames=4)]
        by_bytes = [(run.first, run.last) for run in runs(spool, "bulk", octets=3 * length)]

    assert by_frames == [(1, 4), (5, 8), (9, 10)]
    assert by_bytes == [(1, 3), (4, 6), (7, 9), (10, 10)]


def test_a_receipt_is_a_set_of_ranges_and_what_is_between_them_goes_again(
    path: Path, clock: HandClock
) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(n) for n in range(1, 11)], "bulk")
        [run] = runs(spool, "bulk")

        news = spool.receipt({run.stream: [(1, 3), (6, 7)]}, epoch=EPOCH)
        again = spool.receipt({run.stream: [(1, 3)]}, epoch=EPOCH)

        assert (news, again) == (True, False)
        assert [(left.first, left.last) for left in runs(spool, "bulk")] == [(4, 5), (8, 10)]
        assert spool.depth() == 5

    with Spool(path, clock) as spool:
        assert everything(spool) == [4, 5, 8, 9, 10]


def test_a_receipt_for_what_was_never_sent_changes_nothing(path: Path, clock: HandClock) -> None:
    with Spool(path, clock) as spool:
        spool.append(heard(1), "bulk")
        [run] = runs(spool, "bulk")

        spool.receipt({"another": [(1, 9)], run.stream: [(2, 900)]}, epoch=EPOCH)
        spool.append(heard(2), "bulk")

        assert everything(spool) == [1, 2]


def test_drained_says_when_nothing_waits(path: Path, clock: HandClock) -> None:
    with Spool(path, clock) as spool:
        seen = [spool.drained.is_set()]
        spool.append(heard(1), "urgent")
        seen.append(spool.drained.is_set())
        store_all(spool)
        seen.append(spool.drained.is_set())

    assert seen == [True, False, True]


def test_the_oldest_frame_that_waits_is_known_to_this_and_to_another_process(
    path: Path, clock: HandClock
) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(1, at=1_000), heard(2, at=2_000)], "bulk")
        [run] = runs(spool, "bulk")
        spool.receipt({run.stream: [(1, 1)]}, epoch=EPOCH)

        spool.flush()
        assert (spool.oldest("bulk"), spool.oldest("urgent")) == (2_002, None)
        assert peek(path) == {"urgent": (0, None), "bulk": (1, 2_002)}


def test_a_frame_that_no_message_can_carry_keeps_its_number_and_the_reason(
    path: Path, clock: HandClock
) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(1), heard(2, size=40_000), heard(3)], "bulk")
        first, second = runs(spool, "bulk")

    assert (first.first, first.last, len(first.frames)) == (1, 2, 1)
    assert [(gone.first, gone.last) for gone in first.gone] == [(2, 2)]
    assert "60000 bytes" in first.gone[0].reason
    assert (second.first, len(second.frames), second.gone) == (3, 1, ())


def test_a_frame_too_large_for_this_broker_does_not_hold_up_the_others(
    path: Path, clock: HandClock
) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(1, size=900), heard(2), heard(3, size=900)], "bulk")
        cut = runs(spool, "bulk", octets=500)

    assert [(run.first, len(run.frames), len(run.gone)) for run in cut] == [(1, 0, 1), (2, 1, 1)]


def test_a_frame_is_forgotten_three_days_after_its_receipt_and_not_before(
    path: Path, clock: HandClock
) -> None:
    with Spool(path, clock) as spool:
        spool.append_many([heard(1), heard(2)], "bulk")
        [run] = runs(spool, "bulk")
        spool.receipt({run.stream: [(1, 1)]}, epoch=EPOCH)

        clock.ms += 72 * HOUR
        assert spool.forget() == 0
        clock.ms += HOUR
        assert spool.forget() == 1
        assert everything(spool) == [2]


def test_nothing_is_forgotten_while_the_clock_is_not_sure(path: Path, clock: HandClock) -> None:
    clock.ms, clock.sure = 1_000, False
    with Spool(path, clock) as spool:
        spool.append(heard(1), "bulk")
        store_all(spool)

        clock.ms = 1_790_000_000_000
        unsure = spool.forget()
        clock.sure = True
        just_synchronised = spool.forget()
        clock.ms += 74 * HOUR
        later = spool.forget()

    assert (unsure, just_synchronised, later) == (0, 0, 1)


def test_with_no_days_to_keep_a_frame_goes_with_its_receipt(path: Path, clock: HandClock) -> None:
    with Spool(path, clock, keep_days=0) as spool:
        spool.append_many([heard(1), heard(2)], "bulk")
        [run] = runs(spool, "bulk")
        spool.receipt({run.stream: [(1, 1)]}, epoch=EPOCH)

        assert [spool.forget(), spool.forget()] == [1, 0]
        assert everything(spool) == [2]


def test_forgetting_takes_a_bounded_number_at_a_time(path: Path, clock: HandClock) -> None:
    """The bound is for all streams together."""
    with Spool(path, clock) as spool:
        spool.append_many([heard(n) for n in range(25)], "bulk")
        spool.append_many([heard(n) for n in range(8)], "urgent")
        store_all(spool)
        clock.ms += 80 * HOUR

        assert [spool.forget(at_most=10) for _ in range(5)] == [10, 10, 10, 3, 0]


def test_a_second_agent_is_refused(path: Path, clock: HandClock) -> None:
    with Spool(path, clock), pytest.raises(SpoolTaken):
        Spool(path, clock)

    Spool(path, clock).close()


def test_after_one_refused_write_the_spool_takes_nothing_more(path: Path, clock: HandClock) -> None:
    with Spool(path, clock) as spool:
        spool.append(heard(1), "bulk")
        spool._shelf.medium.wired.execute("PRAGMA query_only = ON")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as a card that turned read-only
        with pytest.raises(SpoolFailed):
            spool.append(heard(2), "bulk")
        spool._shelf.medium.wired.execute("PRAGMA query_only = OFF")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

        with pytest.raises(SpoolFailed, match="failed before"):
            spool.append(heard(3), "bulk")

    with Spool(path, clock) as spool:
        assert everything(spool) == [1]


APPENDING = """
import sys
from pathlib import Path
from edge.clock import clock_from
from edge.keeping.spool import Spool
from tests.edge.frames import heard
with Spool(Path(sys.argv[1]), clock_from("wall")) as spool:
    for number in range(1, 100_000):
        spool.append(heard(number), "bulk")
        print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 40, 333])
def test_nothing_that_was_appended_is_lost_to_a_kill(
    path: Path, clock: HandClock, after: int
) -> None:
    appending = subprocess.Popen(
        [sys.executable, "-c", APPENDING, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with appending:
        assert appending.stdout is not None
        for line in appending.stdout:
            if int(line) == after:
                appending.kill()
                break
        told = [after, *map(int, appending.stdout.read().split())]

    with Spool(path, clock) as spool:
        kept = everything(spool)

    assert kept[: told[-1]] == list(range(1, told[-1] + 1))
    assert len(kept) - told[-1] <= 1, "at most the one that was on disk and not yet told"


class HastySpool(Spool):
    """The saboteur: says that a frame is kept before the disk has it."""

    synchronous = "NORMAL"


def test_an_appended_frame_is_on_the_disk_itself_and_not_only_in_memory(
    tmp_path: Path, clock: HandClock
) -> None:
    left = dict[str, int]()
    for kind in (Spool, HastySpool):
        path = tmp_path / kind.__name__
        with kind(path, clock) as spool:
            spool.append(heard(1), "urgent")
            left[kind.__name__] = dirty_pages(path.with_name(f"{path.name}-wal"))

    if left["HastySpool"] == 0:
        pytest.skip("this folder has no disk behind it: nothing could be lost")
    assert left["Spool"] == 0


def test_a_place_behind_the_last_frame_has_no_run(path: Path, clock: HandClock) -> None:
    with Spool(path, clock) as spool:
        spool.append(heard(1), "bulk")

        assert spool.cut("bulk", Place(1, 2), frames=9, octets=9_999) is None
        assert spool.cut("urgent", None, frames=9, octets=9_999) is None

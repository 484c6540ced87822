"""Whatever happens to a spool, it holds what a plain list would hold."""

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adapters.frame import LANES, Lane
from edge.keeping.run import Run
from edge.keeping.spool import Spool
from tests.edge.frames import HOUR, HandClock, heard

LANE = st.sampled_from(LANES)


class SpoolMachine(RuleBasedStateMachine):
    """Appends, receipts, what is asked for again, restarts and forgetting, in any order."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = HandClock()
        self.spool = Spool(self.folder / "spool", self.clock)
        self.epoch = 1
        self.waiting: dict[Lane, dict[tuple[str, int], str | None]] = {"urgent": {}, "bulk": {}}
        self.number = 0
        self.receipted: dict[Lane, dict[tuple[str, int], str | None]] = {"urgent": {}, "bulk": {}}

    @rule(lane=LANE, count=st.integers(1, 6))
    def append(self, lane: Lane, count: int) -> None:
        before = {key for run in self.runs(lane) for key in self.keys(run)}
        frames = [heard(self.number + n) for n in range(count)]
        self.number += count
        self.spool.append_many(frames, lane)
        for run in self.runs(lane):
            for key, text in zip(self.keys(run), run.frames, strict=False):
                if key not in before:
                    self.waiting[lane][key] = text

    @rule(lane=LANE, data=st.data())
    def receipt(self, lane: Lane, data: st.DataObject) -> None:
        if not (keys := list(self.waiting[lane])):  # in the order of appending: names are random
            return
        stream, first = data.draw(st.sampled_from(keys))
        last = first + data.draw(st.integers(0, 4))
        self.spool.receipt({stream: [(first, last)]}, epoch=str(self.epoch))
        for sequence in range(first, last + 1):
            if (stream, sequence) in self.waiting[lane]:
                self.receipted[lane][stream, sequence] = self.waiting[lane].pop((stream, sequence))

    @rule(lane=LANE, data=st.data(), stale=st.booleans())
    def take_back(self, lane: Lane, data: st.DataObject, *, stale: bool) -> None:
        """The gateway misses what it once receipted and the box still has: it is sent again."""
        if not (keys := list(self.receipted[lane])):
            return
        stream, first = data.draw(st.sampled_from(keys))
        last, most = first, first + data.draw(st.integers(0, 4))
        while last < most and (stream, last + 1) in self.receipted[lane]:
            last += 1
        epoch = "another" if stale else str(self.epoch)
        news = self.spool.take_back({stream: [(first, last)]}, epoch=epoch)
        asked = [(stream, sequence) for sequence in range(first, last + 1)]
        assert news == (not stale)
        for key in asked if news else ():
            self.waiting[lane][key] = self.receipted[lane].pop(key)

    @rule()
    def stale_receipt(self) -> None:
        if self.epoch > 1:
            for run in self.runs("bulk"):
                self.spool.receipt({run.stream: [(1, 99)]}, epoch=str(self.epoch - 1))

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = Spool(self.folder / "spool", self.clock)

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        self.clock.ms += hours * HOUR
        if self.spool.forget(at_most=3):
            for known in self.receipted.values():
                known.clear()  # which of them are gone is not the model's to know

    @invariant()
    def what_waits_is_what_should_wait(self) -> None:
        for lane in LANES:
            found = {
                key: text
                for run in self.runs(lane)
                for key, text in zip(self.keys(run), run.frames, strict=True)
            }
            assert found == self.waiting[lane]
            assert self.spool.depth(lane) == len(found)
        assert self.spool.drained.is_set() == (self.spool.depth() == 0)

    def runs(self, lane: Lane) -> list[Run]:
        cut = list[Run]()
        while run := self.spool.cut(
            lane, cut[-1].following if cut else None, frames=3, octets=10_000
        ):
            assert not run.gone
            cut.append(run)
        return cut

    @staticmethod
    def keys(run: Run) -> list[tuple[str, int]]:
        return [(run.stream, sequence) for sequence in range(run.first, run.last + 1)]

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.folder)


SpoolMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_a_spool_is_a_list_that_survives = SpoolMachine.TestCase

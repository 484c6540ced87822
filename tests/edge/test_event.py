"""What the box says of itself is kept like any frame, and never costs the box its hearing."""

import json

from adapters.frame import Frame, Lane
from edge.clock import WallClock
from edge.event import MOST_AN_HOUR, Voice, event

EDGE = "edge-0123456789ab"


class Kept(list[tuple[Frame, Lane]]):
    def __call__(self, frame: Frame, lane: Lane) -> None:
        self.append((frame, lane))


def test_an_event_is_a_frame_of_the_box_itself() -> None:
    frame = event("radio.power_cycled", WallClock(), EDGE, step=3, helped=True)

    assert (frame.device, frame.heard, frame.uuid) == (EDGE, "box", "radio.power_cycled")
    assert json.loads(frame.value) == {"step": 3, "helped": True}


def test_only_what_costs_calls_overtakes() -> None:
    kept = Kept()
    say = Voice(kept, WallClock(), EDGE)

    for word in ("storage.failed", "line.hook", "spool.renewed", "radio.silent"):
        say(word)

    assert [lane for _, lane in kept] == ["urgent", "urgent", "urgent", "bulk"]


def test_an_event_that_cannot_be_kept_ends_nothing() -> None:
    def refuse(_: Frame, __: Lane) -> None:
        raise OSError("the disk is gone")

    Voice(refuse, WallClock(), EDGE)("radio.silent")


def test_a_word_said_too_often_is_left_out_and_counted() -> None:
    kept = Kept()

    class Clock(WallClock):
        def uptime(self) -> float:
            return hours * 3_600.0

    say = Voice(kept, Clock(), EDGE)
    hours = 1
    for _ in range(MOST_AN_HOUR + 7):
        say("radio.rescanned")
    say("radio.silent")
    hours = 3
    say("radio.rescanned")

    words = [frame.uuid for frame, _ in kept]
    assert words.count("radio.rescanned") == MOST_AN_HOUR + 1
    assert words.count("radio.silent") == 1
    assert json.loads(kept[-1][0].value) == {"unsaid": 7}

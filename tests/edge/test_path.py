"""When the second way is opened, and when it is left: decided with a clock that the test moves."""

from pathlib import Path as Folder

from edge.keeping.spool import Spool
from edge.sending.path import GRACE, RECENT, STAY, UNDISTURBED, Path, Patience, Way, head
from tests.edge.frames import HandClock, heard

AFTER = 20.0
CALL, NEXT = ("stream", 1), ("stream", 2)


class Told(list[tuple[Path, float]]):
    """What a way says of its changes."""

    def __call__(self, path: Path, seconds: float) -> None:
        self.append((path, seconds))


def waiting_way(told: Told | None = None) -> Way:
    """The first way is closed, and a call waits since 0."""
    way = Way(AFTER, Told() if told is None else told)
    way.look(CALL, 0)
    return way


def used_way(told: Told | None = None) -> Way:
    """The second way has carried the call at 21, and nothing waits."""
    way = waiting_way(told)
    way.opened(2, 20)
    way.receipted(2, 21)
    way.look(None, 21)
    return way


def test_the_second_way_is_opened_when_a_call_has_waited_for_its_time() -> None:
    way = waiting_way()

    assert [way.wait(2, now) for now in (0, 15, 20)] == [20, 5, 0]


def test_without_a_call_or_without_a_second_way_there_is_nothing_to_open() -> None:
    alone, quiet = Way(), Way(AFTER)
    alone.look(CALL, 0)
    quiet.look(None, 0)

    assert (alone.wait(2, 1_000), quiet.wait(2, 1_000)) == (None, None)


def test_a_line_that_carries_calls_slowly_is_not_dead() -> None:
    way = waiting_way()

    way.look(NEXT, 19)

    assert way.wait(2, 20) == 19


def test_a_first_way_that_was_opened_a_moment_ago_may_send_the_call_first() -> None:
    way = waiting_way()

    way.opened(1, 19)

    assert way.wait(2, 20) == GRACE - 1


def test_a_first_way_that_opens_again_and_again_does_not_keep_the_second_one_shut() -> None:
    way = waiting_way()

    for now in range(1, 41, 3):
        way.opened(1, now)
        way.closed(1, now + 2)
    way.opened(1, 41)

    assert way.wait(2, 41) == -1, "twice its time has passed"


def test_the_second_way_is_in_use_from_its_opening_to_the_first_ones_receipt() -> None:
    told = Told()
    way = used_way(told)

    assert (way.in_use, way.stays(2)) == (2, True)
    way.opened(1, 100)
    assert way.in_use == 2, "an open connection proves nothing"
    way.receipted(1, 101)

    assert (way.in_use, way.stays(2), way.stays(1)) == (1, False, True)
    assert told == [(2, 20), (1, 81)]


def test_where_nothing_waits_a_first_way_that_stays_open_is_back_too() -> None:
    way = used_way()
    way.opened(1, 100)

    way.look(None, 159)
    assert way.in_use == 2
    way.look(None, 160)

    assert way.in_use == 1


def test_the_second_way_has_a_while_to_itself_before_the_first_takes_its_name_away() -> None:
    way = waiting_way()
    way.opened(2, 20)

    assert way.wait(1, 21) == UNDISTURBED - 1
    way.receipted(2, 22)

    assert way.wait(1, 22) is not None
    assert (way.wait(1, 22) or 0) <= 0, "the first outage: back as soon as it may be"


def test_while_the_first_way_is_not_back_the_next_call_waits_only_a_moment() -> None:
    way = used_way()
    way.opened(1, 60)
    way.closed(2, 60)  # the first took the name, and swallows

    way.look(NEXT, 70)

    assert way.wait(2, 70) == GRACE


def test_a_first_way_that_flaps_is_left_alone_longer_and_longer() -> None:
    way, stays, now = used_way(), list[float](), 100.0
    for number in range(7):
        way.opened(1, now)
        way.closed(2, now)
        way.receipted(1, now)  # it serves, for a moment
        way.closed(1, now + 1)
        way.look(("stream", 10 + number), now + 1)
        way.opened(2, now + 21)
        way.receipted(2, now + 22)
        stays.append((way.wait(1, now + 22) or 0) + 1)
        now += 22 + max(stays[-1], 0)

    assert stays == [STAY, 120, 240, 480, 600, 600, 600]


def test_during_its_stay_the_second_way_is_used_though_the_first_gives_receipts() -> None:
    way = used_way()
    way.opened(1, 100)
    way.receipted(1, 100)
    way.closed(2, 100)
    way.look(CALL, 101)
    way.opened(2, 121)
    way.receipted(2, 122)

    way.receipted(1, 150)  # another broker: both are open
    assert way.in_use == 2
    way.receipted(1, 121 + STAY)

    assert way.in_use == 1


def test_a_line_that_served_for_long_is_trusted_again() -> None:
    way = used_way()
    way.opened(1, 100)
    way.receipted(1, 100)
    way.closed(2, 100)
    later = 100 + RECENT
    way.look(CALL, later)
    way.opened(2, later + 20)
    way.receipted(2, later + 21)

    assert (way.wait(1, later + 21) or 0) <= 0


def test_a_second_way_that_leads_nowhere_is_tried_more_seldom_where_the_first_is_answered() -> None:
    pauses = dict[bool, list[float]]()
    for answers in (False, True):
        way, now = waiting_way(), 100.0
        way.opened(1, 0)
        pauses[answers] = []
        for _ in range(9):
            if answers:
                way.answered(1, now)
            way.closed(2, now)
            pauses[answers].append(way.wait(2, now) or 0)
            now += 1_000

    assert pauses[False] == [10, 15, 15, 15, 15, 15, 15, 15, 15]
    assert pauses[True] == [10, 20, 40, 80, 160, 300, 300, 300, 300]


def test_a_first_way_that_is_answered_no_more_makes_the_second_one_worth_trying_again() -> None:
    way = waiting_way()
    way.opened(1, 0)
    for now in range(100, 1_000, 100):
        way.answered(1, now)
        way.closed(2, now)

    assert (way.wait(2, 901) or 0) > 200
    assert (way.wait(2, 960) or 0) <= 0


def test_a_frame_that_gets_no_receipt_on_any_way_does_not_make_the_box_run_to_and_fro() -> None:
    """The gateway gives receipts for all but one frame, which stays the oldest."""
    way, now, changes = waiting_way(), 0.0, 0
    way.opened(1, 0)
    while now < 3_600:
        now += 1
        way.look(CALL, now)
        if way.in_use == 2:
            way.receipted(2, now)
        elif (due := way.wait(2, now)) is not None and due <= 0:
            way.opened(2, now)
            changes += 1
        way.receipted(1, now)
        if way.in_use == 1:
            way.closed(2, now)

    assert changes <= 12


def test_a_state_message_is_repeated_until_no_old_will_can_be_spoken_any_more() -> None:
    way = used_way()
    assert way.unsettled(1_000)

    way.receipted(1, 1_000)

    assert [way.unsettled(now) for now in (1_001, 1_179, 1_180)] == [True, True, False]


def test_after_a_restore_each_old_frame_waits_only_for_its_turn() -> None:
    patience = Patience()

    for number in range(100):
        patience.look(("stream", number), number * 10.0)

    assert patience.since == 990


def test_the_oldest_urgent_frame_is_found_and_bulk_is_not_looked_at(tmp_path: Folder) -> None:
    with Spool(tmp_path / "spool", HandClock()) as spool:
        spool.append(heard(1), "bulk")
        before = head(spool)
        spool.append_many([heard(2), heard(3)], "urgent")
        found = head(spool)
        assert found is not None
        spool.receipt({found[0]: [(1, 1)]}, epoch="e")
        after = head(spool)

    assert (before, found[1], after) == (None, 1, (found[0], 2))

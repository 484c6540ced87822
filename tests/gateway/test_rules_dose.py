"""Missed doses: dead dispensers, cut lines, late takings and nights in which the clocks change."""

from datetime import datetime, timedelta

import pytest

from adapters.observation import Kind
from gateway.home import DosePlan
from gateway.rules.dose import RULE
from gateway.rules.finding import Contact, Finding, Heard, Judgement
from tests.gateway.days import contact, dispenser, local, plan, window

MORNING = plan("08:00")  # due 08:00, missed 09:30
DEADLINE = local("2027-01-10 09:30")
MINUTE = timedelta(minutes=1)


def judge(
    now: datetime,
    *facts: Heard,
    doses: DosePlan = MORNING,
    contacts: tuple[Contact, ...] = (contact(),),
) -> Judgement:
    seen = window(now, heard=facts, contacts=contacts, doses=[doses])
    return RULE.judge(seen, RULE.defaults)


def of_day(judged: Judgement, day: str = "2027-01-10") -> list[Finding]:
    return [one for one in judged.findings if one.subject.endswith(day)]


def taken(at: str, slot: int | None = 1) -> Heard:
    return dispenser(local(at), slot=slot)


def test_a_dose_that_nobody_took_is_missed_at_its_deadline_and_not_before() -> None:
    before, then = judge(DEADLINE - MINUTE), judge(DEADLINE)

    assert of_day(before) == []
    assert before.next == DEADLINE
    (found,) = of_day(then)
    assert (found.since, found.until, found.state) == (DEADLINE, None, "holds")
    assert (found.subject, found.alert_kind) == ("6:1:2027-01-10", "dose_missed")
    assert then.next == local("2027-01-11 09:30")


@pytest.mark.parametrize(
    ("at", "slot", "missed"),
    [
        ("2027-01-10 06:59", 1, True),
        ("2027-01-10 07:00", 1, False),
        ("2027-01-10 08:10", 1, False),
        ("2027-01-10 08:10", None, False),
        ("2027-01-10 09:30", 1, False),
        ("2027-01-10 08:10", 2, True),
        ("2027-01-09 08:10", 1, True),
    ],
)
def test_a_dose_is_taken_from_an_hour_before_until_its_deadline(
    at: str, slot: int | None, *, missed: bool
) -> None:
    assert bool(of_day(judge(DEADLINE, taken(at, slot)))) is missed


def test_a_dispenser_dead_before_the_window_is_a_missed_dose_that_says_so() -> None:
    last = dispenser(local("2027-01-10 06:12"), Kind.HEARTBEAT, slot=None)

    (found,) = of_day(judge(DEADLINE, last))

    assert found.state == "holds"
    assert found.reason == (
        "Medicin kl. 08:00 den 10. januar er ikke taget inden kl. 09:30."
        " Dispenseren har været tavs siden kl. 06:12 den 10. januar."
    )


def test_a_dispenser_silent_for_longer_than_a_day_is_said_so_from_any_window() -> None:
    last = dispenser(local("2027-01-08 06:12"), Kind.HEARTBEAT, slot=None)

    (found,) = of_day(judge(DEADLINE, last))

    assert found.reason.endswith("Dispenseren har været tavs i over et døgn.")


def test_the_devices_own_missed_event_only_confirms() -> None:
    event = dispenser(local("2027-01-10 09:00"), Kind.DOSE_MISSED)

    assert of_day(judge(DEADLINE - MINUTE, event)) == []
    (found,) = of_day(judge(DEADLINE, event))
    assert found.reason.endswith("Bekræftet af dispenseren.")


# ---------------------------------------------------------------- the box cut off


CUT = contact(end=local("2027-01-10 07:30"))
BACK = local("2027-01-10 11:00")
AGAIN = contact(BACK)


def test_cut_off_over_the_window_it_is_not_known() -> None:
    (found,) = of_day(judge(DEADLINE, contacts=(CUT,)))

    assert (found.state, found.alert_kind) == ("unknown", None)
    assert "det vides ikke" in found.reason
    assert "ikke taget" not in found.reason


def test_what_is_not_known_asks_for_somebody_a_quarter_of_an_hour_later_for_three_days() -> None:
    quarter = timedelta(minutes=15)
    then, asks = (judge(DEADLINE + wait, contacts=(CUT,)) for wait in (timedelta(0), quarter))

    assert then.next == DEADLINE + quarter
    assert [one.alert_kind for one in of_day(asks)] == ["box_silent"]
    seen = window(
        DEADLINE + 73 * 60 * MINUTE, contacts=[CUT], doses=[MORNING], back=120 * 60 * MINUTE
    )
    old = of_day(RULE.judge(seen, RULE.defaults))
    assert [(one.state, one.alert_kind) for one in old] == [("unknown", None)]


def test_contact_back_with_the_taking_in_the_spool_leaves_nothing() -> None:
    judged = judge(BACK + 3 * MINUTE, taken("2027-01-10 08:20"), contacts=(CUT, AGAIN))

    assert of_day(judged) == []


def test_contact_back_and_nothing_in_the_spool_is_missed_after_two_minutes() -> None:
    just_before = judge(BACK + timedelta(seconds=119), contacts=(CUT, AGAIN))
    then = judge(BACK + timedelta(seconds=120), contacts=(CUT, AGAIN))

    assert [one.state for one in of_day(just_before)] == ["unknown"]
    assert just_before.next == BACK + timedelta(seconds=120)
    (found,) = of_day(then)
    assert (found.state, found.alert_kind, found.since) == ("holds", "dose_missed", DEADLINE)


def test_contact_that_came_and_went_before_it_settled_tells_nothing() -> None:
    blink = contact(BACK, BACK + timedelta(seconds=60))

    (found,) = of_day(judge(BACK + timedelta(hours=1), contacts=(CUT, blink)))

    assert found.state == "unknown"


def test_what_was_missed_in_contact_stays_missed_when_contact_is_lost_afterwards() -> None:
    cut_later = contact(end=DEADLINE + MINUTE)

    (found,) = of_day(judge(DEADLINE + timedelta(hours=1), contacts=(cut_later,)))

    assert found.state == "holds"


def test_a_box_that_came_back_within_the_window_has_had_time_to_tell() -> None:
    back = contact(local("2027-01-10 08:30"))

    (found,) = of_day(judge(DEADLINE, contacts=(CUT, back)))

    assert found.state == "holds"


# ---------------------------------------------------------------- taken late


def test_a_late_taking_ends_the_finding_and_keeps_both() -> None:
    (found,) = of_day(judge(local("2027-01-10 10:30"), taken("2027-01-10 10:20")))

    assert (found.state, found.until) == ("ended", local("2027-01-10 10:20"))
    assert found.reason == (
        "Medicin kl. 08:00 den 10. januar er ikke taget inden kl. 09:30."
        " Taget for sent kl. 10:20 den 10. januar."
    )


def test_a_taking_that_is_still_to_come_does_not_spare_the_alert() -> None:
    """A driven clock is moved after the facts of an hour: they lie ahead of it."""
    ahead = taken("2027-01-10 10:20")

    judged = judge(DEADLINE, ahead)

    (found,) = of_day(judged)
    assert (found.state, found.alert_kind) == ("holds", "dose_missed")
    assert judged.next == local("2027-01-10 10:20")


def test_the_next_mornings_taking_is_not_yesterdays() -> None:
    judged = judge(local("2027-01-11 09:30"), taken("2027-01-11 08:05"))

    assert [one.state for one in of_day(judged, "2027-01-10")] == ["holds"]
    assert of_day(judged, "2027-01-11") == []


def test_a_dose_missed_days_ago_wakes_nobody() -> None:
    now = DEADLINE + timedelta(hours=73)
    seen = window(now, contacts=[contact()], doses=[MORNING], back=timedelta(hours=120))

    judged = RULE.judge(seen, RULE.defaults)

    assert [one.alert_kind for one in of_day(judged, "2027-01-10")] == [None]
    assert [one.alert_kind for one in of_day(judged, "2027-01-12")] == ["dose_missed"]


# ---------------------------------------------------------------- without a slot


@pytest.mark.parametrize(
    ("takings", "missed"),
    [
        (["08:05"], ["09:00"]),
        (["08:05", "09:10"], []),
        (["09:10"], ["08:00"]),
        (["07:45", "09:05"], []),
    ],
)
def test_one_taking_without_a_slot_is_one_dose(takings: list[str], missed: list[str]) -> None:
    close = plan("08:00", "09:00")
    facts = [taken(f"2027-01-10 {at}", slot=None) for at in takings]

    found = of_day(judge(local("2027-01-10 12:00"), *facts, doses=close))

    assert [one.reason[12:17] for one in found if one.state == "holds"] == missed


def test_a_record_without_slot_and_time_does_not_speak_for_the_dose_of_its_fetching() -> None:
    fetched = taken("2027-01-10 08:10", slot=None)._replace(dated=False)

    assert len(of_day(judge(DEADLINE, fetched))) == 1
    assert of_day(judge(DEADLINE, fetched._replace(code=1))) == []


# ---------------------------------------------------------------- the clocks change


def test_in_the_spring_night_half_past_two_runs_at_half_past_three() -> None:
    night = plan("02:30")
    deadline = local("2027-03-28 05:00")  # 03:30 local and 90 minutes

    before = judge(deadline - MINUTE, doses=night)
    then = judge(deadline, doses=night)

    assert before.next == deadline
    (found,) = of_day(then, "2027-03-28")
    assert found.since == deadline
    assert found.reason.startswith("Medicin kl. 03:30 den 28. marts")


def test_in_the_autumn_night_half_past_two_runs_once_and_the_first_time() -> None:
    night = plan("02:30")
    deadline = local("2026-10-25 02:30", fold=0) + timedelta(minutes=90)

    judged = judge(local("2026-10-25 12:00"), doses=night)

    (found,) = of_day(judged, "2026-10-25")
    assert found.since == deadline
    assert of_day(judge(deadline - MINUTE, doses=night), "2026-10-25") == []


@pytest.mark.parametrize("day", ["2027-03-28", "2026-10-25"])
def test_a_dose_taken_on_time_is_taken_on_both_nights(day: str) -> None:
    at = {"2027-03-28": local("2027-03-28 03:35"), "2026-10-25": local("2026-10-25 02:35")}[day]
    judged = judge(local(f"{day} 12:00"), dispenser(at), doses=plan("02:30"))

    assert of_day(judged, day) == []


@pytest.mark.parametrize("day", ["2027-03-28", "2026-10-25"])
def test_the_morning_after_is_by_the_local_clock(day: str) -> None:
    deadline = local(f"{day} 09:30")

    assert [one.since for one in of_day(judge(deadline), day)] == [deadline]
    assert of_day(judge(deadline - MINUTE), day) == []


# ---------------------------------------------------------------- plans


def test_a_plan_asks_for_nothing_before_it_began_and_after_it_ended() -> None:
    new = plan("08:00", valid_from=local("2027-01-10 08:30"))
    old = plan("08:00", valid_to=local("2027-01-10 07:00"))

    assert of_day(judge(DEADLINE, doses=new)) == []
    assert of_day(judge(DEADLINE, doses=old)) == []


def test_a_plan_that_is_replaced_leaves_its_open_dose_to_be_judged() -> None:
    replaced = plan("08:00", valid_to=local("2027-01-10 08:30"))

    assert len(of_day(judge(DEADLINE, doses=replaced))) == 1


def test_a_dispenser_taken_away_misses_nothing() -> None:
    away = local("2027-01-10 08:30")

    assert of_day(judge(DEADLINE, doses=plan("08:00", valid_to=away, placed_until=away))) == []


def test_a_plan_of_the_future_is_looked_at_when_it_begins() -> None:
    start = local("2027-02-01 00:00")

    assert judge(DEADLINE, doses=plan("08:00", valid_from=start)).next == start


def test_two_slots_at_the_same_time_are_two_doses_of_one_taking_without_slot() -> None:
    pair = plan("08:00", "08:00")

    assert len(of_day(judge(DEADLINE, doses=pair))) == 2
    assert of_day(judge(DEADLINE, taken("2027-01-10 08:10", slot=None), doses=pair)) == []


def moved(old: str, new: str, at: str) -> list[DosePlan]:
    """A plan whose only slot is moved from `old` to `new` at a time of the day."""
    change = local(f"2027-01-10 {at}")
    return [plan(old, valid_to=change), plan(new, valid_from=change)]


@pytest.mark.parametrize(
    ("takings", "missed"),
    [
        (["22:10"], []),
        (["22:50"], []),
        (["23:50"], ["22:00"]),
        ([], ["22:00", "22:45"]),
    ],
)
def test_a_dose_taken_once_while_its_plan_is_moved_is_taken(
    takings: list[str], missed: list[str]
) -> None:
    facts = [taken(f"2027-01-10 {at}") for at in takings]
    seen = window(
        local("2027-01-11 02:00"),
        heard=facts,
        contacts=[contact()],
        doses=moved("22:00", "22:45", at="22:30"),
    )

    found = [one for one in RULE.judge(seen, RULE.defaults).findings if one.state == "holds"]

    assert [one.reason[12:17] for one in found if one.subject.endswith("01-10")] == missed


def test_a_dose_moved_by_hours_asks_again() -> None:
    seen = window(
        local("2027-01-10 13:00"),
        heard=[taken("2027-01-10 08:20")],
        contacts=[contact()],
        doses=moved("08:00", "11:00", at="08:30"),
    )

    (found,) = of_day(RULE.judge(seen, RULE.defaults))

    assert found.reason.startswith("Medicin kl. 11:00")

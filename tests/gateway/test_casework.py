"""Findings become cases: once, in every order, and never again for what is known."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.observation import Kind
from gateway.rules.finding import UNPLACED, Heard
from tests.gateway.cases import MemoryCase
from tests.gateway.days import contact, dispenser, heard, local, opened, plan, press

TEN = local("2027-01-10 10:00")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def at(seconds: float) -> Heard:
    return press(TEN + timedelta(seconds=seconds))


def soon(fact: Heard) -> datetime:
    return fact.occurred + SECOND


# ---------------------------------------------------------------- presses


def test_a_press_is_one_alert_and_one_notice() -> None:
    case = MemoryCase()

    case.deliver([at(0)], now=TEN + SECOND)

    (alert,) = case.of("call_pressed")
    assert (alert.since, alert.raised, alert.late) == (TEN, TEN + SECOND, False)
    assert alert.reason == "Trykket på nødkaldsknappen (stue) kl. 10:00 den 10. januar."
    assert alert.ended is None
    assert case.notices == ["alert.raised"]


def test_delivering_the_same_again_changes_nothing() -> None:
    case = MemoryCase()
    case.deliver([at(0)], now=TEN + SECOND)

    again = case.deliver([at(0)], now=TEN + HOUR)

    assert (again.findings, again.alerts, again.notices) == ([], [], [])


def test_a_press_heard_five_times_one_by_one_is_one_alert_and_one_notice() -> None:
    case = MemoryCase()

    for n in range(5):
        case.deliver([at(n * 3)], now=TEN + timedelta(seconds=n * 3 + 1))

    assert len(case.alerts) == len(case.open_findings()) == 1
    assert case.notices == ["alert.raised"]


def test_pressing_again_joins_the_open_case_and_tells_again() -> None:
    case = MemoryCase()
    case.deliver([at(0)], now=TEN)

    case.deliver([press(TEN + 20 * MINUTE, number=6)], now=TEN + 20 * MINUTE)

    (alert,) = case.of("call_pressed")
    assert alert.reason.endswith(" Trykket igen kl. 10:20 den 10. januar.")
    assert alert.version == 2
    assert case.notices == ["alert.raised", "alert.again"]

    case.deliver([press(TEN + 30 * MINUTE, number=7)], now=TEN + 30 * MINUTE)

    (alert,) = case.of("call_pressed")
    assert alert.reason.endswith(" Trykket igen 2 gange, senest kl. 10:30 den 10. januar.")


def test_pressing_after_the_case_is_closed_is_a_new_case() -> None:
    case = MemoryCase()
    case.deliver([at(0)], now=TEN)
    case.close(case.of("call_pressed")[0])

    case.deliver([press(TEN + 20 * MINUTE, number=6)], now=TEN + 20 * MINUTE)

    assert len(case.alerts) == 2
    assert case.notices == ["alert.raised", "alert.raised"]


def test_a_press_found_late_still_alerts_and_says_so() -> None:
    case = MemoryCase()

    case.deliver([at(0)], now=TEN + timedelta(days=30))

    (alert,) = case.of("call_pressed")
    assert alert.late
    assert "efterregistreret" in alert.reason
    assert case.notices == ["alert.raised"]


def test_a_press_ahead_of_a_driven_clock_is_never_late_and_raised_when_it_happened() -> None:
    case = MemoryCase()

    case.deliver([at(0)], now=TEN - HOUR)

    (alert,) = case.of("call_pressed")
    assert (alert.raised, alert.late) == (TEN, False)


def test_a_hearing_between_two_presses_makes_them_one() -> None:
    case = MemoryCase()
    case.deliver([at(0), at(16)], now=TEN + 20 * SECOND)
    assert len(case.open_findings()) == 2

    case.deliver([at(8)], now=TEN + 30 * SECOND)

    ((_, _, since, until, _, _),) = case.open_findings()
    assert (since, until) == (TEN, TEN + 26 * SECOND)
    assert case.of("call_pressed")[0].reason.count("igen") == 0


def test_a_button_nobody_placed_is_a_case_of_its_own_kind() -> None:
    case = MemoryCase()
    unplaced = press(TEN, role=UNPLACED, placement=None, room="")

    case.deliver([unplaced], now=soon(unplaced))

    assert [alert.kind for alert in case.alerts.values()] == ["unknown_device"]


# ---------------------------------------------------------------- nights


def test_a_night_is_one_case_and_its_reason_counts() -> None:
    case = MemoryCase()
    first, second = local("2027-01-10 23:10"), local("2027-01-11 02:00")
    case.deliver([opened(first)], now=first)
    case.deliver([opened(second)], now=second)

    case.look(now=local("2027-01-11 06:00"))

    (alert,) = case.of("night_door")
    assert "åbnet 2 gange" in alert.reason
    assert (alert.raised, alert.ended) == (first, local("2027-01-11 06:00"))
    assert case.notices == ["alert.raised"]


def test_the_next_night_is_a_new_case_though_the_first_is_open() -> None:
    case = MemoryCase()
    for day in ("2027-01-10", "2027-01-11"):
        case.deliver([opened(local(f"{day} 23:30"))], now=local(f"{day} 23:30"))

    assert len(case.of("night_door")) == 2


def test_a_night_that_is_over_when_it_is_heard_of_is_history() -> None:
    case = MemoryCase()
    opening = opened(local("2027-01-11 02:00"))

    case.deliver([opening], now=local("2027-01-11 06:15"))

    assert case.alerts == {}
    (kept,) = case.kept.values()
    assert (kept.state, kept.late, kept.alert) == ("ended", True, None)
    assert "efterregistreret" in kept.reason

    assert case.deliver([opening], now=local("2027-01-12 12:00")).findings == []


# ---------------------------------------------------------------- doses and the line


CUT = contact(end=local("2027-01-10 07:30"))
DEADLINE = local("2027-01-10 09:30")
BACK = local("2027-01-10 11:00")


def cut_off() -> MemoryCase:
    """A box cut off over the window of the 08:00 dose, watched until its deadline."""
    case = MemoryCase([plan("08:00", valid_from=local("2027-01-10 00:00"))])
    case.contacts = {CUT}
    case.look(now=local("2027-01-10 07:31"))
    case.look(now=DEADLINE)
    return case


def test_what_is_not_known_belongs_to_the_case_of_the_box() -> None:
    case = cut_off()

    (box,) = case.alerts.values()
    assert box.kind == "box_silent"
    assert "det vides ikke, om den er taget" in box.reason
    assert case.notices == ["alert.raised"]


def test_what_is_not_known_waits_for_the_case_of_the_box() -> None:
    case = MemoryCase([plan("08:00", valid_from=local("2027-01-10 00:00"))])
    case.contacts = {contact(end=local("2027-01-10 09:29:50"))}
    case.look(now=DEADLINE)
    (unknown,) = case.kept.values()
    assert (unknown.state, unknown.alert) == ("unknown", None)

    case.look(now=local("2027-01-10 09:30:20"))

    (box,) = case.of("box_silent")
    assert {one.alert for one in case.kept.values()} == {box.public}


def looked_at(case: MemoryCase, start: datetime, end: datetime) -> MemoryCase:
    """The case looked at every half hour."""
    while start <= end:
        case.look(now=start)
        start += 30 * MINUTE
    return case


def test_after_the_boxs_case_is_closed_the_next_dose_that_is_not_known_asks_again() -> None:
    case = cut_off()
    case.close(case.of("box_silent")[0])

    looked_at(case, DEADLINE, local("2027-01-12 12:00"))

    first, second = case.of("box_silent")
    assert (first.state, second.state) == ("closed", "new")
    assert second.since == local("2027-01-11 09:30")
    assert second.raised == local("2027-01-11 10:00")
    assert second.reason == (
        "Medicin kl. 08:00 den 11. januar: det vides ikke, om den er taget,"
        " for boksen har været uden kontakt siden kl. 07:30 den 10. januar."
        " Medicin kl. 08:00 den 12. januar: det vides ikke, om den er taget,"
        " for boksen har været uden kontakt siden kl. 07:30 den 10. januar."
    )
    assert case.notices == ["alert.raised", "alert.raised"]


def test_a_box_that_never_had_contact_is_told_of_with_the_first_dose() -> None:
    case = MemoryCase([plan("08:00", valid_from=local("2027-01-10 00:00"))])

    looked_at(case, DEADLINE, local("2027-01-16 12:00"))

    (box,) = case.alerts.values()
    assert (box.kind, box.since, box.ended) == ("box_silent", DEADLINE, None)
    assert "det vides ikke, om den er taget, for boksen har ikke haft kontakt." in box.reason
    assert box.reason.endswith("Desuden 3 doser mere.")
    assert case.notices == ["alert.raised"]
    assert {kept.alert for kept in case.kept.values()} == {box.public}


def test_a_case_of_doses_ends_when_all_is_known() -> None:
    case = MemoryCase([plan("08:00", valid_from=local("2027-01-10 00:00"))])
    looked_at(case, DEADLINE, BACK)
    case.contacts = {contact(BACK)}

    case.deliver([dispenser(local("2027-01-10 08:20"))], now=BACK + 2 * MINUTE)

    (box,) = case.alerts.values()
    assert (box.kind, box.state, box.ended) == ("box_silent", "new", BACK + 2 * MINUTE)
    assert box.reason.endswith("Senere oplysninger viser, at det ikke passer.")


def test_a_case_of_doses_ends_when_they_become_missed_ones() -> None:
    case = MemoryCase([plan("08:00", valid_from=local("2027-01-10 00:00"))])
    looked_at(case, DEADLINE, BACK)
    case.contacts = {contact(BACK)}
    case.look(now=BACK + 2 * MINUTE)

    again = case.look(now=BACK + HOUR)

    ((box,), (missed,)) = case.of("box_silent"), case.of("dose_missed")
    assert (box.ended, missed.ended) == (BACK + 2 * MINUTE, None)
    assert (again.findings, again.alerts, again.notices) == ([], [], [])


def test_a_silence_found_afterwards_joins_the_case_of_its_doses() -> None:
    case = MemoryCase([plan("08:00", valid_from=local("2027-01-10 00:00"))])
    looked_at(case, DEADLINE, BACK)
    case.contacts = {contact(BACK, BACK + HOUR)}

    case.look(now=BACK + HOUR + MINUTE)

    (box,) = case.of("box_silent")
    assert box.reason.startswith("Boksen har ingen kontakt siden kl. 12:00")


def test_a_taking_found_in_the_spool_is_never_an_alert() -> None:
    case = cut_off()
    case.contacts = {CUT, contact(BACK)}
    case.look(now=BACK)
    case.deliver([dispenser(local("2027-01-10 08:20"))], now=BACK + MINUTE)

    case.look(now=BACK + 2 * MINUTE)

    (box,) = case.alerts.values()
    assert (box.kind, box.ended) == ("box_silent", BACK)
    assert "Medicin" not in box.reason


def test_nothing_in_the_spool_is_an_alert_two_minutes_after_contact() -> None:
    case = cut_off()
    case.contacts = {CUT, contact(BACK)}
    case.look(now=BACK)

    case.look(now=BACK + 2 * MINUTE)

    (missed,) = case.of("dose_missed")
    assert (missed.since, missed.raised, missed.late) == (DEADLINE, BACK + 2 * MINUTE, True)
    assert case.notices == ["alert.raised", "alert.raised"]


def test_a_late_taking_ends_the_case_and_keeps_both() -> None:
    case = MemoryCase([plan("08:00", valid_from=local("2027-01-10 00:00"))])
    case.contacts = {contact()}
    case.look(now=DEADLINE)
    taken = dispenser(local("2027-01-10 10:20"))

    case.deliver([taken], now=soon(taken))

    (missed,) = case.of("dose_missed")
    assert (missed.state, missed.ended) == ("new", taken.occurred)
    assert "Taget for sent kl. 10:20" in missed.reason


def test_a_timely_taking_heard_after_the_alert_withdraws_it_for_a_person_to_close() -> None:
    case = MemoryCase([plan("08:00", valid_from=local("2027-01-10 00:00"))])
    case.contacts = {contact()}
    case.look(now=DEADLINE)

    case.deliver([dispenser(local("2027-01-10 08:20"))], now=DEADLINE + HOUR)

    (missed,) = case.of("dose_missed")
    assert (missed.state, missed.ended) == ("new", DEADLINE + HOUR)
    assert missed.reason.endswith("Senere oplysninger viser, at det ikke passer.")
    assert case.open_findings() == set()


def test_a_line_that_blinks_is_one_case() -> None:
    case = MemoryCase()
    case.contacts = {CUT}
    case.look(now=local("2027-01-10 07:31"))
    again = contact(BACK, BACK + HOUR)
    case.contacts = {CUT, again}
    case.look(now=BACK)

    case.look(now=BACK + HOUR + MINUTE)

    (box,) = case.of("box_silent")
    assert box.ended is None
    assert "Uden kontakt igen kl. 12:00" in box.reason
    assert case.notices == ["alert.raised", "alert.again"]


# ---------------------------------------------------------------- every order


EVENING = local("2027-03-27 22:30")  # the night in which the clocks go forward
MORNING = local("2027-03-28 10:00")
NOW = local("2027-03-28 12:00")

moments = st.integers(0, int((MORNING - EVENING) / SECOND)).map(
    lambda seconds: EVENING + timedelta(seconds=seconds)
)


def hearings(start: datetime, gaps: list[int], number: int) -> list[Heard]:
    return [press(start + timedelta(seconds=gap), number=number) for gap in gaps]


facts = st.lists(
    st.one_of(
        st.builds(
            hearings,
            moments,
            st.lists(st.integers(0, 60), min_size=1, max_size=5),
            st.integers(1, 2),
        ),
        moments.map(lambda moment: [opened(moment)]),
        moments.map(lambda moment: [dispenser(moment)]),
        moments.map(lambda moment: [dispenser(moment, slot=None)]),
        moments.map(lambda moment: [dispenser(moment, Kind.DOSE_MISSED)]),
        moments.map(lambda moment: [heard(moment, Kind.BATTERY, role="dispenser", placement=6)]),
    ),
    max_size=8,
).map(lambda groups: [one for group in groups for one in group])


def night_case() -> MemoryCase:
    case = MemoryCase([plan("22:00", "02:30", "08:00", valid_from=EVENING - 5 * HOUR)])
    case.contacts = {
        contact(end=local("2027-03-28 01:30")),
        contact(local("2027-03-28 04:00"), local("2027-03-28 08:15")),
        contact(local("2027-03-28 08:50")),
    }
    return case


def delivered(batches: Sequence[Sequence[Heard]], hours: Sequence[int]) -> MemoryCase:
    case = night_case()
    for batch, hour in zip(batches, hours, strict=True):
        case.deliver(batch, now=EVENING + hour * HOUR)
    case.look(now=NOW)
    return case


@settings(deadline=None)
@given(known=facts, data=st.data())
def test_every_order_and_split_of_deliveries_ends_in_the_same_findings(
    known: list[Heard], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(known))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(known) - 1)))))
    edges = [0, *(cut for cut in cuts if cut < len(known)), len(known)]
    batches = [shuffled[a:b] for a, b in pairwise(edges) if a < b]
    hours = sorted(
        data.draw(st.lists(st.integers(0, 13), min_size=len(batches), max_size=len(batches)))
    )

    at_once = delivered([known] if known else [], [13] if known else [])

    assert delivered(batches, hours).open_findings() == at_once.open_findings()


@settings(deadline=None)
@given(known=facts)
def test_redelivering_everything_changes_nothing(known: list[Heard]) -> None:
    case = delivered([known] if known else [], [13] if known else [])
    alerts, findings, notices = dict(case.alerts), dict(case.kept), list(case.notices)

    for one in known:
        case.deliver([one], now=NOW)

    assert (case.alerts, case.kept, case.notices) == (alerts, findings, notices)


def test_the_five_hearings_of_a_press_end_alike_in_all_their_orders() -> None:
    hearings = [at(0), at(9), at(18), at(27), at(60)]

    ends = set[object]()
    for order in permutations(hearings):
        case = MemoryCase()
        for one in order:
            case.deliver([one], now=TEN + 2 * MINUTE)
        ends.add(frozenset(case.open_findings()))

    assert len(ends) == 1

"""Doses and the line become cases: what is not known is asked once, and answered late."""

from datetime import datetime, timedelta

from tests.gateway.cases import MemoryCase
from tests.gateway.days import contact, dispenser, local, plan

TEN = local("2027-01-10 10:00")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


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

    case.deliver([taken], now=taken.occurred + SECOND)

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

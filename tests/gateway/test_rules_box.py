"""A box without contact: how long before it is told."""

from datetime import datetime, timedelta

import pytest

from gateway.rules.box_silent import RULE
from gateway.rules.finding import Contact, Judgement
from tests.gateway.days import contact, local, window

CUT = local("2027-01-10 10:00")


def judge(now: datetime, *contacts: Contact) -> Judgement:
    return RULE.judge(window(now, contacts=contacts), RULE.defaults)


@pytest.mark.parametrize(
    ("lost", "seconds"),
    [
        (contact(end=CUT), 30),
        (contact(end=CUT, ended_by="stale"), 30),
        (contact(end=CUT, call_button=False), 60),
        (contact(end=CUT, ended_by="stopped"), 900),
        (contact(end=CUT, sure_from=CUT + timedelta(seconds=180)), 180),
        (contact(end=CUT, sure_from=CUT), 30),
    ],
)
def test_silence_is_told_when_it_has_lasted_and_not_before(lost: Contact, seconds: int) -> None:
    due = CUT + timedelta(seconds=seconds)

    before = judge(due - timedelta(milliseconds=1), lost)
    then = judge(due, lost)

    assert (before.findings, before.next) == ((), due)
    (found,) = then.findings
    assert (found.since, found.until, found.state) == (CUT, None, "holds")
    assert then.next is None


def test_a_box_in_contact_is_nothing_to_tell() -> None:
    assert judge(CUT, contact()) == judge(CUT)


def test_a_short_silence_was_none() -> None:
    back = contact(CUT + timedelta(seconds=29))

    assert judge(CUT + timedelta(hours=1), contact(end=CUT), back).findings == ()


def test_a_silence_ends_when_contact_returns() -> None:
    back = CUT + timedelta(minutes=5)

    (found,) = judge(back, contact(end=CUT), contact(back)).findings

    assert (found.state, found.until) == ("ended", back)
    assert found.reason == (
        "Boksen havde ingen kontakt fra kl. 10:00 den 10. januar til kl. 10:05 den 10. januar."
    )


def test_a_box_in_contact_is_not_silent_because_our_clock_was_put_back_meanwhile() -> None:
    """What ended by the clock that was ahead seems to have begun after what is open now."""
    ahead = contact(CUT + timedelta(minutes=2), end=CUT + timedelta(minutes=3))

    assert judge(CUT + timedelta(hours=1), ahead, contact(CUT)).findings == ()


def test_two_boxes_of_a_home_are_two_subjects() -> None:
    contacts = (contact(end=CUT, name="box-b"), contact(), contact(end=CUT, name="box-c"))

    found = judge(CUT + timedelta(minutes=5), *contacts).findings

    assert [one.subject for one in found] == ["box-b", "box-c"]

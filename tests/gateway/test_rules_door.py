"""Night doors: a table of nights, both changes of the clocks among them."""

from datetime import datetime, timedelta

import pytest

from adapters.observation import Kind
from gateway.rules.finding import Finding, Heard
from gateway.rules.night_door import RULE
from tests.gateway.days import heard, local, opened, window


def judge(now: datetime, *facts: Heard) -> tuple[Finding, ...]:
    return RULE.judge(window(now, heard=facts), RULE.defaults).findings


@pytest.mark.parametrize(
    ("at", "night"),
    [
        ("2027-01-10 22:59", None),
        ("2027-01-10 23:00", "2027-01-10"),
        ("2027-01-11 00:00", "2027-01-10"),
        ("2027-01-11 05:59", "2027-01-10"),
        ("2027-01-11 06:00", None),
        ("2027-01-11 12:00", None),
        ("2027-03-28 01:59", "2027-03-27"),  # the clocks go from 02:00 to 03:00
        ("2027-03-28 03:00", "2027-03-27"),
        ("2027-03-28 05:59", "2027-03-27"),
        ("2027-03-28 06:00", None),
        ("2026-10-25 02:30", "2026-10-24"),
    ],
)
def test_the_night_is_told_by_the_local_clock(at: str, night: str | None) -> None:
    moment = local(at)

    found = judge(moment + timedelta(minutes=1), opened(moment))

    assert [one.subject for one in found] == ([] if night is None else [night])


def test_a_night_is_one_finding_however_often_the_door_opens() -> None:
    times = ["2027-01-10 23:10", "2027-01-11 01:00", "2027-01-11 05:40", "2027-01-11 23:30"]

    first, second = judge(local("2027-01-11 23:40"), *(opened(local(at)) for at in times))

    assert first.since == local(times[0])
    assert first.until == local("2027-01-11 06:00")
    assert first.state == "ended"
    assert first.reason == (
        "Døren (entré) er åbnet 3 gange natten til den 11. januar, "
        "første gang kl. 23:10, senest kl. 05:40."
    )
    assert (second.subject, second.state) == ("2027-01-11", "holds")


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    times = [local("2026-10-25 02:30", fold=0), local("2026-10-25 02:30", fold=1)]

    (found,) = judge(local("2026-10-25 04:00"), *map(opened, times))

    assert "første gang kl. 02:30 (sommertid), senest kl. 02:30 (vintertid)" in found.reason


def test_a_door_that_closes_or_another_sensor_is_nothing() -> None:
    at = local("2027-01-11 01:00")
    closed = heard(at, Kind.DOOR, role="door", value=0.0)
    cupboard = heard(at, Kind.OPENING, role="contact", value=1.0)

    assert judge(at, closed, cupboard) == ()


def test_while_the_night_lasts_its_end_is_the_next_deadline() -> None:
    at = local("2027-01-11 01:00")
    night = local("2027-01-11 06:00")

    during = RULE.judge(window(at, heard=[opened(at)]), RULE.defaults)
    after = RULE.judge(window(night, heard=[opened(at)]), RULE.defaults)

    assert (during.next, after.next) == (night, None)


def test_a_night_that_the_window_cuts_is_not_judged() -> None:
    at = local("2027-01-11 01:00")
    cut = window(at, heard=[opened(at)], back=timedelta(hours=1))

    judged = RULE.judge(cut, RULE.defaults)

    assert judged.findings == ()
    assert judged.covered_from == local("2027-01-11 23:00")


def test_a_night_within_one_date_can_be_set() -> None:
    settings = RULE.configured({"night_from": "00:30", "night_to": "05:00"})
    facts = [opened(local(at)) for at in ("2027-01-11 00:10", "2027-01-11 00:40")]

    (found,) = RULE.judge(window(local("2027-01-11 01:00"), heard=facts), settings).findings

    assert (found.subject, found.since) == ("2027-01-11", local("2027-01-11 00:40"))

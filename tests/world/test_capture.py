"""A home's air: the recording is read whole, and what is made in its place is like it."""

from collections import Counter

import pytest

from deploy.world.bench.edge_air import rounds
from deploy.world.capture import ALL, OURS, RECORDED, home_air, made, passers_by, read


def test_the_recording_is_read_whole() -> None:
    if not RECORDED.exists():
        pytest.skip(f"{RECORDED.name} is not here")
    reports, _ = home_air()

    by_address = Counter(report.address for report in reports)

    assert (len(reports), len(by_address)) == (412, ALL)
    assert len({one.address for one in reports if one.is_ours}) == OURS
    assert 12 < reports[-1].at < 14
    assert all(-128 < report.rssi < 0 for report in reports)


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="btsnoop"):
        list(read(b"pcap"))


def test_the_made_air_has_the_recordings_figures() -> None:
    reports = list(made())

    assert 380 < len(reports) < 440
    assert len({report.address for report in reports}) == ALL
    assert len({report.address for report in reports if report.is_ours}) == OURS


def test_every_passer_by_is_another() -> None:
    assert len({report.address for report in passers_by(1_000)}) == 1_000


def test_what_is_chosen_says_something_new_in_every_round() -> None:
    reports = list(made())

    heard = list(rounds(reports, 2, news=lambda one: one.is_ours))

    ours = [str(report.said) for report in heard if report.is_ours]
    assert len(heard) == 2 * len(reports)
    assert len(set(ours)) == len(ours)
    assert [report.at for report in heard] == sorted(report.at for report in heard)

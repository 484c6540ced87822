"""The benchmark of alerts follows every press to its notice, and sees one that is missing."""

import pytest

from deploy.world.bench.alert import follow, shares
from tests.world.test_bench_ingest import bench


@pytest.mark.long
async def test_every_press_is_told_while_telemetry_pours_in_and_boxes_drain() -> None:
    figures = await bench(
        *("alert", "--background", "1000", "--homes", "20", "--boxes", "12", "--draining", "3"),
        *("--kept", "400", "--presses", "36", "--seconds", "6"),
    )

    assert (figures["presses"], figures["lost"], figures["notices_surplus"]) == (36, 0, 0)
    assert (figures["observations_lost"], figures["observations_duplicated"]) == (0, 0)
    assert (figures["findings_missing"], figures["findings_surplus"]) == (0, 0)
    assert figures["drained"]
    assert figures["complaints"] == 0
    assert figures["background_per_s"] > 0
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]


def test_shares_are_of_all_there_is() -> None:
    assert shares([float(one) for one in range(1, 102)]) == {
        "p50_ms": 51.0,
        "p99_ms": 100.0,
        "max_ms": 101.0,
    }
    assert shares([7.04]) == {"p50_ms": 7.0, "p99_ms": 7.0, "max_ms": 7.0}
    assert shares([]) == {"p50_ms": None, "p99_ms": None, "max_ms": None}


def test_each_press_is_followed_to_the_notice_of_its_home() -> None:
    took, lost, surplus = follow({1: [10.0, 20.0], 2: [15.0]}, {1: [10.25, 20.5], 2: [16.0]})

    assert took == {1: [250.0, 500.0], 2: [1_000.0]}
    assert (lost, surplus) == (0, 0)


def test_a_press_that_was_never_told_is_lost_and_a_notice_too_many_is_seen() -> None:
    _, lost, surplus = follow({1: [10.0, 20.0], 2: [15.0]}, {1: [10.25], 2: [16.0, 17.0]})

    assert (lost, surplus) == (1, 1)

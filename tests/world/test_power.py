"""Power cuts on a real file system: nothing appended is lost, and a spool that loses is seen."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.runtime.exits import Exit
from deploy.runtime.machine import lacks_for_power_cuts
from deploy.runtime.paths import ROOT
from deploy.world.chaos.power_ledger import KEPT_HOURS, Ledger

CUTS, FEW = 20, 3
PATIENCE = 120

needs_rig = pytest.mark.skipif(
    lacks_for_power_cuts() is not None, reason=f"no power cuts here: {lacks_for_power_cuts()}"
)


@needs_rig
@pytest.mark.slow
def test_nothing_is_lost_to_twenty_power_cuts() -> None:
    code, result, said = _power("--cuts", str(CUTS))

    assert code == 0, said
    assert (result["cuts"], result["lost"], result["unreadable"]) == (CUTS, 0, 0)
    assert result["appended"] > CUTS * 50


@needs_rig
@pytest.mark.slow
def test_a_spool_that_does_not_wait_for_the_disk_is_seen_to_lose() -> None:
    code, result, _ = _power("--cuts", str(FEW), "--saboteur", "synchronous-normal")

    assert code == 1
    assert result["lost"] > 0


@needs_rig
@pytest.mark.long
@pytest.mark.timeout(1_100)
def test_nothing_is_lost_to_a_thousand_power_cuts() -> None:
    code, result, said = _power("--cuts", "1000", "--seed", "2", patience=1_000)

    assert code == 0, said
    assert (result["cuts"], result["lost"], result["unreadable"]) == (1_000, 0, 0)


def test_where_the_power_cannot_be_cut_it_is_said_in_a_sentence() -> None:
    done = _run("--cuts", "1", alone=True)

    assert done.returncode in {Exit.UNSUPPORTED_SYSTEM, Exit.PACKAGE_MISSING}
    assert "The power cannot be cut" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_frame_that_waited_and_is_gone_is_lost() -> None:
    ledger = _kept("a", "b")

    _look(ledger, waiting=["b"])

    assert len(ledger.lost) == 1
    assert ledger.appended == 2


def test_a_frame_is_lost_that_was_changed_or_stands_in_another_lane() -> None:
    changed, moved = _kept("a"), _kept("a")

    _look(changed, waiting=["A"])
    _look(moved, waiting=["a"], lane="urgent")

    assert (len(changed.lost), len(changed.unreadable)) == (1, 1)
    assert len(moved.unreadable) == 1


def test_an_append_that_had_not_returned_may_have_been_done_or_not() -> None:
    for waiting in ([], ["a"]):
        ledger = Ledger()
        ledger.hear({"begins": "bulk", "texts": ["a"]}, hour=0)

        _look(ledger, waiting=waiting)
        _look(ledger, waiting=waiting)

        assert (ledger.lost, ledger.unreadable) == ([], [])


def test_a_receipted_frame_may_go_after_its_days_and_not_before() -> None:
    for hours, lost in ((KEPT_HOURS, 1), (KEPT_HOURS + 1, 0)):
        ledger = _kept("a")
        ledger.hear({"receipts": ["a"]}, hour=0)

        _look(ledger, waiting=[], hour=hours)

        assert len(ledger.lost) == lost


def test_on_a_full_card_the_oldest_of_bulk_may_go_and_no_more_than_is_told() -> None:
    for left, told, lost in (("bc", 1, 0), ("c", 1, 1), ("ac", 1, 1), ("bc", 0, 1)):
        ledger = _kept("a", "b", "c")

        _look(ledger, waiting=list(left), given_up=told)

        assert len(ledger.lost) == lost


def _kept(*texts: str) -> Ledger:
    ledger = Ledger()
    ledger.hear({"begins": "bulk", "texts": texts}, hour=0)
    ledger.hear({"kept": len(texts)}, hour=0)
    return ledger


def _look(
    ledger: Ledger, *, waiting: list[str], lane: str = "bulk", hour: int = 0, given_up: int = 0
) -> None:
    told: Mapping[str, Any] = {"spoilt": 0, "noted": 0, "early": 0, "given_up": given_up}
    ledger.hear({"look": {lane: waiting}, "file": waiting, **told}, hour=hour)


def _power(*words: str, patience: float = PATIENCE) -> tuple[int, dict[str, Any], str]:
    """Exit code, the object on the last line, and what was said meanwhile."""
    done = _run(*words, patience=patience)
    assert done.stdout, done.stderr[-4_000:]
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def _run(
    *words: str, alone: bool = False, patience: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """`alone`: on a path on which nothing is installed."""
    found = {"PATH": "/nowhere"} if alone else {}
    return subprocess.run(
        [sys.executable, "-P", "-m", "deploy.world.chaos", "power", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | found,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )

"""Faults at random on the real parts: nothing lost, nothing twice, every case and no other.

Each way of breaking the promise is seen to be found by the same command.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from deploy.runtime.paths import ROOT
from deploy.world.chaos.saboteurs import NAMES, PUBACK

pytestmark = pytest.mark.slow

ROUNDS, MANY, FEW = 12, 200, 8
PATIENCE = 590


def test_random_faults_lose_nothing_and_double_nothing() -> None:
    code, result, said = _chaos("--rounds", str(ROUNDS), "--seed", "5")

    assert code == 0, said
    assert _counts(result) == (0, 0, 0, 0)
    assert sum(result["faults"].values()) == ROUNDS
    assert result["sent"] > ROUNDS * 50


def test_a_box_that_trusts_the_broker_is_found_out() -> None:
    code, result, _ = _chaos("--rounds", str(FEW), "--seed", "5", "--saboteur", PUBACK)

    assert code == 1
    assert result["lost"] > 0


@pytest.mark.long
@pytest.mark.parametrize("saboteur", NAMES)
def test_every_saboteur_is_found_out(saboteur: str) -> None:
    code, result, _ = _chaos("--rounds", str(FEW), "--seed", "5", "--saboteur", saboteur)

    assert code == 1
    assert result["lost"] + result["duplicated"] > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_hundred_faults_lose_nothing_and_double_nothing(seed: int) -> None:
    code, result, said = _chaos("--rounds", str(MANY), "--seed", str(seed))

    assert code == 0, said
    assert _counts(result) == (0, 0, 0, 0)


def _counts(result: dict[str, Any]) -> tuple[int, ...]:
    names = ("lost", "duplicated", "alerts_missing", "alerts_false")
    return tuple(result[name] for name in names)


def _chaos(*words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the object on the last line, and what was said meanwhile."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "deploy.world.chaos", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout, done.stderr[-4_000:]
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr

"""The spool is killed at every write, fdatasync and unlink of a life, and keeps it all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.runtime.paths import ROOT
from deploy.world.chaos.power_ledger import Ledger
from deploy.world.chaos.power_life import look
from edge.keeping.spool import Spool
from tests.edge.frames import HOUR, HandClock
from tests.edge.killed import AT, KINDS, LIVED

WRITES = {"pwrite": 40, "fdatasync": 8, "fsync": 1, "ftruncate": 1, "unlink": 2, "fallocate": 1}
"""How many points of each kind a life has at least; fewer would mean that the sweep missed them."""


@pytest.mark.slow
def test_nothing_is_lost_to_a_kill_at_any_write_of_a_spools_life(tmp_path: Path) -> None:
    _kill_everywhere(tmp_path, "honest")

    points = {kind: len(list((tmp_path / kind).iterdir())) - 1 for kind in KINDS}
    wrong = {str(life): found for life in sorted(tmp_path.glob("*/*")) if (found := _judged(life))}

    assert wrong == {}
    assert all((tmp_path / kind / f"{points[kind] + 1:03}" / LIVED).exists() for kind in KINDS)
    assert all(points[kind] >= least for kind, least in WRITES.items()), points


@pytest.mark.slow
def test_a_spool_that_writes_with_the_next_append_is_seen_to_lose(tmp_path: Path) -> None:
    _kill_everywhere(tmp_path, "late")

    assert any(_judged(life) for life in tmp_path.glob("*/*"))


def _kill_everywhere(folder: Path, spool: str) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode:
        pytest.skip("ptrace is not allowed here")
    calls = [f"--inject={name}:signal=SIGKILL:when={AT}" for name, _ in KINDS.values()]
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", *calls]
    subprocess.run(
        [*command, sys.executable, "-P", "-m", "tests.edge.killed", str(folder), spool],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        timeout=200,
    )


def _judged(folder: Path) -> list[str]:
    """What a start of the box finds missing or wrong in what a killed life has left."""
    ledger, hour = Ledger(), 0
    for text in (folder / "told").read_text().splitlines():
        line = json.loads(text)
        hour = line["hour"]
        ledger.hear(line, hour=hour)
    clock = HandClock(ms=hour * HOUR or HandClock().ms)
    with Spool(folder / "spool.sqlite", clock) as spool:
        ledger.hear(look(spool), hour=hour)
    return ledger.lost + ledger.unreadable

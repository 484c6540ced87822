"""The systemd unit fits the program: its command, its settings and its exit codes."""

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from deploy.packaging.tree import BOX
from deploy.runtime.paths import DEPLOY
from edge.main import NOT_JOINED, USAGE
from edge.settings import PREFIX, Settings

UNIT = (DEPLOY / "edge.service").read_text()


def test_the_unit_runs_the_box_with_settings_that_exist() -> None:
    known = {PREFIX + each.name.upper() for each in fields(Settings)}

    assert "ExecStart=/opt/trygport/bin/edge run\n" in UNIT
    assert set(re.findall(r"Environment=(EDGE_\w+)=", UNIT)) <= known
    assert f"Environment=EDGE_HOME={Settings().home}\n" in UNIT


def test_the_package_makes_what_the_unit_names() -> None:
    users = (BOX / "sysusers.conf").read_text()
    folders = (BOX / "tmpfiles.conf").read_text()
    [user] = re.findall(r"^User=(\w+)$", UNIT, re.MULTILINE)
    [group] = re.findall(r"^SupplementaryGroups=(\w+)$", UNIT, re.MULTILINE)
    home = Settings().home

    assert re.search(rf"^u {user} .* {home} ", users, re.MULTILINE)
    assert f"m {user} {group}\n" in users
    assert f"d {home} 0700 {user} {user} -\n" in folders


def test_the_runbook_tells_how_the_package_is_installed_and_joined() -> None:
    runbook = (DEPLOY / "README.md").read_text(encoding="utf-8")

    for line in (
        r"\./deploy/package\b.*",
        r"apt install \./trygport-edge_\*\.deb\b.*",
        r"edge join CODE\b.*",
        r"systemctl start edge",
    ):
        assert re.search(f"^{line}$", runbook, re.MULTILINE), line


def test_a_wrong_setting_is_not_tried_again_and_everything_else_is() -> None:
    assert f"RestartPreventExitStatus={USAGE} {NOT_JOINED}\n" in UNIT
    assert "Restart=always\n" in UNIT


def test_a_hook_that_takes_all_the_memory_does_not_end_the_box() -> None:
    assert "OOMPolicy=continue\n" in UNIT
    assert re.search(r"^TasksMax=\d+$", UNIT, re.MULTILINE)


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "edge.service"
    unit.write_text(UNIT.replace("/opt/trygport/bin/edge", "/bin/true"))

    told = subprocess.run(
        [analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )

    assert (told.returncode, told.stderr) == (0, "")

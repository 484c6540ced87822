"""The package's units: systemd understands them, and how far each is shut in, as it counts that."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.packaging.tree import BOX
from deploy.runtime.paths import DEPLOY
from edge.installed import SETTINGS, USER
from edge.updating.fetched import FOLDER, REQUEST
from edge.updating.installer import Places

UNITS = {
    "edge.service": DEPLOY / "edge.service",
    "edge-update.service": BOX / "edge-update.service",
    "edge-update.path": BOX / "edge-update.path",
}
MOST = {"edge.service": 1.5, "edge-update.service": 2.0}
"""`systemd-analyze security` says 0.0 (shut in) to 10.0 (open)."""


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed")
    return found


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with programs that this machine has."""
    for name, source in UNITS.items():
        text = re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", source.read_text())
        (tmp_path / name).write_text(text)
    return tmp_path


def test_systemd_understands_the_units(analyze: str, units: Path) -> None:
    command = [analyze, "verify", "--man=no", *(units / name for name in UNITS)]

    told = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize("name", MOST)
def test_a_unit_is_shut_in(
    analyze: str, units: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    command = [analyze, "security", "--offline=true", "--no-pager", units / name]

    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    [figure] = re.findall(r"exposure level for \S+: ([\d.]+)", told)

    print(f"systemd-analyze security {name}: {figure}")  # noqa: T201 - the figure that is asked for
    record_property(f"exposure of {name}", figure)
    assert float(figure) <= MOST[name], told


def test_the_box_has_no_right_beyond_a_users(units: Path) -> None:
    unit = (units / "edge.service").read_text()

    for line in (
        "Type=notify",
        f"User={USER}",
        f"EnvironmentFile=-{SETTINGS}",
        "CapabilityBoundingSet=",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "WatchdogSec=120",
    ):
        assert re.search(f"(?m)^{re.escape(line)}$", unit), line
    assert re.search(r"(?m)^MemoryMax=\d+M$", unit)


def test_the_installer_is_woken_by_what_it_looks_for_and_reaches_no_network(units: Path) -> None:
    path, service = ((units / f"edge-update.{kind}").read_text() for kind in ("path", "service"))

    assert f"PathExists={Places().box / FOLDER / REQUEST}\n" in path
    assert f"PathExists={Places().own / 'state.json'}\n" in path
    assert "PrivateNetwork=yes\n" in service
    assert "edge/updating/installer.py\n" in (BOX / "edge-update.service").read_text()

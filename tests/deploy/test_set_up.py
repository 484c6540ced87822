"""What cannot be set up is said in one sentence with a code of its own; what is, is quick."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.runtime.command import told
from deploy.runtime.exits import Exit, Stop
from deploy.runtime.machine import (
    Need,
    architecture_of,
    make_sure_of_packages,
    make_sure_of_room,
)
from deploy.runtime.paths import DEPLOY, ROOT, RUNTIME
from deploy.runtime.steps import Stamp, replace_folder, run

OFFLINE = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--net")
QUICK = 5.0
"""Seconds that the issue allows a second start."""

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("E: Could not connect to mirror.example:80 (10.0.0.1)", Exit.NO_NETWORK),
        ("Temporary failure resolving 'mirror.example'", Exit.NO_NETWORK),
        ("error sending request: dns error: failed to lookup address", Exit.NO_NETWORK),
        ("tar: x: Cannot write: No space left on device", Exit.NO_DISK),
        ("E: Version 9 was not found", Exit.DOWNLOAD_REFUSED),
    ],
)
def test_a_tools_complaint_becomes_a_sentence(said: str, code: Exit, capsys: Capture) -> None:
    def job() -> int:
        run(["sh", "-c", 'echo "$0"; exit 100', said], failed=refused)
        return 0

    def refused(output: str) -> Stop:
        return Stop(Exit.DOWNLOAD_REFUSED, f"Refused: {output.strip()}")

    assert told(job) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Exit.NO_DISK),
        (PermissionError(errno.EACCES, "Permission denied", "/somewhere"), Exit.NO_DISK),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (Stop(Exit.PORT_IN_USE, "Port 1 is in use."), Exit.PORT_IN_USE),
    ],
)
def test_every_early_end_has_its_code(problem: BaseException, code: Exit, capsys: Capture) -> None:
    def job() -> int:
        raise problem

    assert told(job) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_codes_are_all_different_from_what_the_tools_say() -> None:
    assert all(code > max(pytest.ExitCode) for code in Exit)


def test_too_little_room_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(Stop) as refused:
        make_sure_of_room(tmp_path, needed=10**18)

    assert refused.value.code == Exit.NO_DISK
    assert "1000000000.0 GB are needed" in refused.value.sentence


@pytest.mark.parametrize(
    "os_release",
    ['ID=fedora\nPRETTY_NAME="Fedora Linux 43"\n', "ID=alpine\nPRETTY_NAME='Alpine'\n", ""],
)
def test_another_family_of_systems_is_refused(tmp_path: Path, os_release: str) -> None:
    file = tmp_path / "os-release"
    file.write_text(os_release)

    with pytest.raises(Stop, match="Debian 12 or 13") as refused:
        architecture_of(os_release=file)

    assert refused.value.code == Exit.UNSUPPORTED_SYSTEM


def test_a_missing_package_is_named_with_the_words_to_type() -> None:
    needs = (
        Need(package="there-already", is_met=lambda: True),
        Need(package="one", is_met=lambda: False),
        Need(package="two", is_met=lambda: False),
    )

    with pytest.raises(Stop) as refused:
        make_sure_of_packages(needs, is_root=False)

    assert refused.value.code == Exit.PACKAGE_MISSING
    assert refused.value.sentence == (
        "Missing from the system: one, two; type: sudo apt-get update && "
        "sudo apt-get install -y --no-install-recommends one two"
    )


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)

    done = entry({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, script=DEPLOY / "test")

    assert done.returncode == Exit.UNSUPPORTED_SYSTEM
    assert done.stderr == (
        "Python 3.11 or newer is needed as python3 (Debian 12 or later has it).\n"
    )


def test_a_processor_without_packages_is_refused(tmp_path: Path) -> None:
    dpkg = tmp_path / "dpkg"
    dpkg.write_text("#!/bin/sh\necho armhf\n")
    dpkg.chmod(0o755)

    done = entry({"PATH": f"{tmp_path}:{os.environ['PATH']}"}, script=DEPLOY / "test")

    assert done.returncode == Exit.UNSUPPORTED_SYSTEM
    assert done.stderr == (
        "The processor architecture armhf is not supported: amd64 or arm64 is needed.\n"
    )


@pytest.mark.slow
def test_a_fresh_clone_without_network_says_so(tmp_path: Path) -> None:
    _needs_a_network_of_its_own()
    shutil.copytree(DEPLOY, tmp_path / "clone" / "deploy")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "clone")

    done = entry({}, script=tmp_path / "clone" / "deploy" / "test", before=OFFLINE)

    assert done.returncode == Exit.NO_NETWORK
    assert done.stderr.splitlines()[-1].startswith("No network: ")
    assert "Traceback" not in done.stderr


def test_a_second_start_is_quick_silent_and_needs_no_network() -> None:
    _needs_a_network_of_its_own()
    set_up()
    begun = time.monotonic()

    done = set_up(before=OFFLINE)

    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - begun < QUICK


def test_what_was_installed_is_written_down() -> None:
    written = (RUNTIME / "versions.txt").read_text()

    for word in ("mosquitto 2.0", "postgresql-17 17.", "timescaledb 2.", "paho-mqtt==", "uv=="):
        assert word in written


def test_no_lock_names_a_registry() -> None:
    for lock in DEPLOY.glob("*.lock"):
        assert "://" not in lock.read_text()


def test_a_step_is_done_again_when_its_inputs_change(tmp_path: Path) -> None:
    Stamp(file=tmp_path / "stamps" / "step", inputs="one").write()

    assert Stamp(file=tmp_path / "stamps" / "step", inputs="one").is_current()
    assert not Stamp(file=tmp_path / "stamps" / "step", inputs="two").is_current()


def test_a_finished_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    for name in ("fresh", "final", "final.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)

    replace_folder(tmp_path / "fresh", tmp_path / "final")

    assert (tmp_path / "final" / "file").read_text() == "fresh"
    assert [entry.name for entry in tmp_path.iterdir()] == ["final"]


@pytest.mark.long
@pytest.mark.parametrize("seconds", [1.0, 3.0, 6.0, 9.0])
def test_an_interrupted_set_up_goes_on(tmp_path: Path, seconds: float) -> None:
    for name in ("deploy", "adapters", "edge", "gateway"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    _killed_after(seconds, tmp_path)

    done = set_up(root=tmp_path)

    assert done.returncode == 0
    gateway = [tmp_path / ".runtime/venv/bin/python", "-c", "import gateway, asyncpg, bleak"]
    assert subprocess.run(gateway, cwd="/", check=False).returncode == 0
    assert set_up(root=tmp_path).stderr == ""


def entry(
    env: dict[str, str], *, script: Path, before: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*before, "bash", script],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def set_up(*, root: Path = ROOT, before: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    # the machine's Python, as deploy/test finds it: it is what the environment was made from
    python = os.path.realpath(sys.executable)
    return subprocess.run(
        [*before, python, "-P", "-m", "deploy.runtime.command", "set-up"],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _killed_after(seconds: float, root: Path) -> None:
    python = os.path.realpath(sys.executable)
    with subprocess.Popen(
        [python, "-P", "-m", "deploy.runtime.command", "set-up"],
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as started:
        time.sleep(seconds)
        os.killpg(started.pid, signal.SIGKILL)


def _needs_a_network_of_its_own() -> None:
    if subprocess.run([*OFFLINE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a network namespace")

"""What is in the package runs on Debian 13's own Python, under a socket such as systemd's."""

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.packaging.tree import LIB, programs
from deploy.runtime.box_python import build_box_python
from deploy.runtime.exits import Exit, Stop
from deploy.runtime.paths import ROOT
from edge.main import NOT_JOINED, USAGE
from edge.updating.installer import STATUS
from tests.deploy.boxes import architecture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
NOBODY = "65534"
UNPRIVILEGED = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    # the checkout may lie where only root may enter; the box itself has none of these
    *("--inh-caps=+dac_override,+dac_read_search", "--ambient-caps=+dac_override,+dac_read_search"),
)


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return build_box_python()
    except Stop as stop:
        if stop.code == Exit.NO_NETWORK:
            pytest.skip(stop.sentence)
        raise


@pytest.fixture
def edge(trees: Mapping[str, Path], python: Path) -> tuple[str, ...]:
    """The package's command, as a user who is not root."""
    command = (str(python), "-I", str(trees[architecture()] / "opt/trygport/bin/edge"))
    return (*UNPRIVILEGED, *command) if os.geteuid() == 0 else command


def test_the_service_says_that_it_is_ready_and_alive_and_stops_when_told(
    edge: tuple[str, ...], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    settings = {"EDGE_BROKER": "mqtt://127.0.0.1:1", "EDGE_ID": "box-01", "EDGE_PASSWORD": "none"}

    with notified() as (address, words):
        agent = subprocess.Popen(
            [*edge, "run"],
            env={**settings, "EDGE_HOME": str(home), "NOTIFY_SOCKET": address},
            stderr=subprocess.PIPE,
            text=True,
        )
        heard = {next(words), next(words)}
        agent.send_signal(signal.SIGTERM)
        stopping = list(words)
        said = agent.communicate(timeout=20)[1]

    assert heard == {"READY=1", "WATCHDOG=1"}, said
    assert "STOPPING=1" in stopping
    assert agent.returncode == 0
    told = json.loads((home / STATUS).read_text())
    # what the installer judges a new version by
    assert (told["version"], told["connected"], told["heard"]) == ("1.0", False, 0)


def test_every_file_of_the_box_can_be_loaded(python: Path, trees: Mapping[str, Path]) -> None:
    lib = trees[architecture()] / LIB
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in programs()]
    wanted = [name for name in names if name not in ("edge.installed", "edge.__init__")]
    # bleak's Linux part, and that the compiled files are used, not the slow ones beside them
    code = (
        f"import sys; sys.path.insert(0, {str(lib)!r})\n"
        f"import importlib; [importlib.import_module(name) for name in {wanted}]\n"
        "import bleak.backends.bluezdbus.scanner, dbus_fast._private.unmarshaller as fast\n"
        f"assert fast.__file__.endswith('.so') and {str(lib)!r} in fast.__file__, fast.__file__"
    )

    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_a_box_that_has_not_joined_says_so(edge: tuple[str, ...], tmp_path: Path) -> None:
    done = run(edge, "run", EDGE_HOME=str(tmp_path))

    assert done.returncode == NOT_JOINED
    assert "this box has not joined" in done.stderr


def test_a_wrong_setting_is_refused(edge: tuple[str, ...], tmp_path: Path) -> None:
    done = run(edge, "status", EDGE_HOME=str(tmp_path), EDGE_SPOLL_MB="1")

    assert done.returncode == USAGE
    assert "EDGE_SPOLL_MB: there is no such setting" in done.stderr


def run(edge: tuple[str, ...], word: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*edge, word], env=env, capture_output=True, text=True, check=False)


@contextmanager
def notified() -> Generator[tuple[str, Iterator[str]]]:
    """A socket for sd_notify(3), and the words that come in; they end when none came for long.

    In the abstract namespace: it has no path, which may be too long, and everybody may send to it.
    """
    name = f"trygport-{secrets.token_hex(8)}"
    address = f"@{name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        heard.settimeout(10)
        yield address, _words(heard)


def _words(heard: socket.socket) -> Iterator[str]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            word = heard.recv(200).decode()
        except TimeoutError:
            return
        yield word
        if word == "STOPPING=1":
            return

"""`gateway authority`: what it makes runs a real broker, and what it refuses says what to type."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.runtime.paths import program
from deploy.runtime.ports import answers
from deploy.runtime.services import Guarded, free_port
from gateway.edges.authority import OWN, Authority, hosts_of
from tests.gateway.edges.trust import Trust, connected, now
from tests.gateway.test_main import gateway


def test_from_nothing_to_a_broker_that_wants_certificates(tmp_path: Path) -> None:
    folder, files, pid = tmp_path / "authority", tmp_path / "files", tmp_path / "pid"
    told = {
        "authority": folder,
        "edge_broker": "mqtts://mqtt.kommune.dk:8883",
        "edge_address": "boxes.kommune.dk:8444",
        "broker_pid_file": pid,
    }
    made = gateway("authority", "begin", "--broker", "192.0.2.7", **told)
    assert made.returncode == 0, made.stderr
    ours = Authority.read(folder)
    assert ours.fingerprint in made.stdout
    assert "root.key" in made.stdout
    assert hosts_of(ours.own("broker"))[1:] == ["mqtt.kommune.dk", "127.0.0.1", "192.0.2.7"]
    assert "boxes.kommune.dk" in hosts_of(ours.own("https"))

    port, inner, user = free_port(), free_port(), "root" if os.geteuid() == 0 else "mosquitto"
    place = ("--listen", f"127.0.0.1:{port}", "--gateway-port", inner)
    store = ("--store", tmp_path, "--user", user, "--log", tmp_path / "mosquitto.log")
    written = gateway(
        "authority", "broker", "--out", str(files), *map(str, place), *map(str, store), **told
    )
    assert written.returncode == 0, written.stderr
    assert f"GATEWAY_BROKER_FILES={files}" in written.stdout
    running = Guarded.start(
        [program("mosquitto"), "-c", files / "mosquitto.conf"], log=tmp_path / "log"
    )
    try:
        running.wait_until(lambda: answers(port) and answers(inner))
        trust = Trust(folder=tmp_path, authority=ours, broker=None)  # pyright: ignore[reportArgumentType] - its own
        with connected(port, trust.box("box-1234")) as box:
            assert box.publish("edges/box-1234/bulk") == "No matching subscribers"
        with (
            pytest.raises(ConnectionRefusedError),
            connected(port, trust.own("canary")),
        ):
            pass
        assert "certificate verify failed" in (tmp_path / "mosquitto.log").read_text()
    finally:
        running.stop()


def test_nothing_that_it_writes_can_be_read_by_everybody_who_should_not(trust: Trust) -> None:
    key = trust.broker.files / "broker.key"

    assert not key.stat().st_mode & 0o007


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    made = Trust.start(tmp_path)
    made.broker.stop()
    return made


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("broker", {"broker"}),
        ("https", {"https"}),
        ("gateway", {"gateway-urgent", "gateway-bulk", "gateway-config"}),
        ("canary", {"canary"}),
        ("issuer", set(OWN)),
    ],
)
def test_each_secret_is_rotated_by_a_command(what: str, names: set[str], trust: Trust) -> None:
    before = {name: trust.authority.own(name) for name in OWN}

    done = gateway(
        "authority",
        "rotate",
        what,
        authority=trust.authority.folder,
        broker_files=trust.broker.files,
    )

    assert done.returncode == 0, done.stderr
    after = Authority.read(trust.authority.folder)
    fresh = {name for name in OWN if after.own(name).public_key() != before[name].public_key()}
    assert fresh == names
    assert len(after.issuers) == (2 if what == "issuer" else 1)
    shown = gateway("authority", "show", authority=trust.authority.folder)
    assert after.fingerprint in shown.stdout
    assert trust.authority.fingerprint == after.fingerprint


def test_without_the_roots_key_no_issuer_is_made(trust: Trust) -> None:
    (trust.authority.folder / "root.key").unlink()

    done = gateway("authority", "rotate", "issuer", authority=trust.authority.folder)

    assert done.returncode == 1
    assert "put root.key back" in done.stderr


def test_check_says_what_is_wrong_and_then_that_all_is_well(trust: Trust) -> None:
    folder, files = trust.authority.folder, trust.broker.files
    told = {"authority": folder, "broker_files": files}
    first = gateway("authority", "check", **told)
    (folder / "root.key").unlink()
    second = gateway("authority", "check", **told)
    (files / "revoked.pem").write_bytes(b"")
    third = gateway("authority", "check", **told)

    assert (first.returncode, second.returncode, third.returncode) == (1, 0, 1)
    assert "root.key" in first.stdout
    assert second.stdout == "all is well\n"
    assert "there is no list in it" in third.stdout


def test_what_cannot_be_done_says_what_to_type(tmp_path: Path, trust: Trust) -> None:
    folder = trust.authority.folder
    for words, settings, code, said in (
        (["show"], {}, 78, "GATEWAY_AUTHORITY"),
        (["show"], {"authority": tmp_path / "none"}, 1, "type gateway authority begin"),
        (["begin"], {"authority": folder}, 1, "there is an authority"),
    ):
        done = gateway("authority", *words, **settings)

        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr
    folder.chmod(0o755)
    assert "chmod 700" in gateway("authority", "check", authority=folder).stderr


def test_the_certificates_of_today_are_good_today(trust: Trust) -> None:
    for name in OWN:
        own = trust.authority.own(name)
        assert own.not_valid_before_utc < now() < own.not_valid_after_utc


def test_a_command_of_the_shell_sees_no_key(trust: Trust) -> None:
    done = gateway("authority", "show", authority=trust.authority.folder)

    assert "PRIVATE" not in done.stdout + done.stderr
    assert isinstance(done, subprocess.CompletedProcess)

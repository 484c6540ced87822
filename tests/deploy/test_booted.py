"""The package's life on a booted Debian 13: installed, upgraded, rolled back, removed; in order.

The machine is emulated, its processor too; systemd, D-Bus, polkit, dpkg, bluetoothd and the broker
are Debian's own. It has no radio: that a version hears is shown in test_update.py.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.packaging.signing import sign
from deploy.runtime.debian import build_debian
from deploy.runtime.exits import Exit, Stop
from deploy.runtime.machine import lacks_for_booted
from tests.deploy.boxes import NAME, Release
from tests.deploy.conftest import built
from tests.deploy.virtual import Machine

pytestmark = pytest.mark.long
MANAGER = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"
LOGIND = "org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"
AS_BOX = "setpriv --reuid trygport --regid trygport --init-groups"
DENIED = "Interactive authentication required"
TELL = "{ journalctl -u edge -n 20 --no-pager >&2; false; }"
PATIENCE = 30
"""Seconds that a new version is given here; 900 on a box."""
DROP_INS = f"""\
mkdir -p /etc/systemd/system/edge.service.d /etc/systemd/system/edge-update.service.d
printf '[Unit]\\nConditionPathExists=\\n' > /etc/systemd/system/edge.service.d/trial.conf
cat > /etc/systemd/system/edge-update.service.d/trial.conf <<X
[Service]
ExecStart=
ExecStart=/usr/bin/python3.13 -I /opt/trygport/lib/edge/updating/installer.py {PATIENCE}
X
printf 'EDGE_BROKER=mqtt://127.0.0.1:1883\\nEDGE_ID=box-01\\nEDGE_PASSWORD=none\\n' \\
  >> /etc/trygport/edge.env
systemctl daemon-reload
"""
"""It is joined to the machine's own broker by settings; the rest is as on any box."""


@pytest.fixture(scope="module")
def machine(service_folder: Path, release: Release) -> Iterator[Machine]:
    if (lacks := lacks_for_booted()) is not None:
        pytest.skip(lacks)
    try:
        build_debian()
    except Stop as stop:
        if stop.code == Exit.NO_NETWORK:
            pytest.skip(stop.sentence)
        raise
    for package in (built(release, "amd64", "1.1"), mute(release), release.package("amd64", "1.0")):
        sign(package, release.private)
    files = service_folder / "files"
    files.mkdir()
    for each in release.folder.glob(f"{NAME}_*_amd64.*"):
        shutil.copy(each, files)
    machine = Machine.make(service_folder / "machine", files)
    machine.start()
    yield machine
    machine.cut()


def test_installed_it_runs_ready_and_watched_as_a_user_of_its_own(machine: Machine) -> None:
    machine.done(f"dpkg -i /files/{NAME}_1.0_amd64.deb", within=300)
    assert machine.order("systemctl is-active edge").out.strip() == "inactive"  # not joined yet
    assert machine.done("systemctl is-enabled edge edge-update.path") == "enabled\nenabled"
    machine.done(DROP_INS)

    machine.done(f"systemctl restart edge || {TELL}", within=200)

    assert machine.done("systemctl is-active edge edge-update.path") == "active\nactive"
    shown = machine.done("systemctl show edge -p Type,WatchdogUSec,User,NRestarts,MemoryCurrent")
    assert {"Type=notify", "WatchdogUSec=2min", "User=trygport", "NRestarts=0"} <= set(
        shown.split()
    )
    machine.wait_until(speaks("1.0"), within=60)
    assert "agent    running" in machine.done("edge status")  # root's words, as the box's user
    assert machine.done("find /var/lib/trygport ! -user trygport") == ""
    print(f"\n{shown}")  # noqa: T201 - what a person asks of it


def test_systemd_of_debian_13_understands_the_units_and_finds_them_shut_in(
    machine: Machine,
) -> None:
    units = "edge.service edge-update.service edge-update.path"
    verified = machine.order(f"systemd-analyze verify --man=no {units} 2>&1")
    security = machine.done("systemd-analyze security edge --no-pager | tail -1")

    assert (verified.code, verified.out) == (0, "")
    print(f"\n{security}")  # noqa: T201 - the figure that is asked for
    assert float(security.split(": ")[1].split()[0]) <= 1.5


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("RestartUnit ss bluetooth.service replace", True),
        ("StopUnit ss bluetooth.service replace", False),
        ("RestartUnit ss mosquitto.service replace", False),
        ("StartUnit ss edge-update.service replace", False),
        ("Reload", False),
    ],
)
def test_polkit_lets_the_box_restart_bluetoothd_and_no_other_unit(
    machine: Machine,
    asked: str,
    allowed: bool,  # noqa: FBT001 - a table
) -> None:
    said = machine.order(f"{AS_BOX} busctl call {MANAGER} {asked} 2>&1")

    assert (said.code == 0, DENIED in said.out) == (allowed, not allowed), said.out


def test_polkit_lets_the_box_start_anew_and_not_switch_off(machine: Machine) -> None:
    answers = [
        machine.done(f"{AS_BOX} busctl call {LOGIND} {asked}")
        for asked in ("CanReboot", "CanPowerOff")
    ]
    other = machine.done(f"setpriv --reuid 65534 --clear-groups busctl call {LOGIND} CanReboot")

    assert answers == ['s "yes"', 's "challenge"']
    assert other == 's "challenge"'


def test_a_signed_update_is_installed_and_keeps_spool_and_keys(machine: Machine) -> None:
    machine.done(f"{AS_BOX} sh -c 'echo a key > /var/lib/trygport/box.pem'")
    spool = machine.done("stat -c %i /var/lib/trygport/spool.sqlite")

    told = update(machine, "1.1")

    assert (told["result"], told["installed"]) == ("installed", "1.1")
    assert machine.done("cat /var/lib/trygport/box.pem") == "a key"
    assert machine.done("stat -c %i /var/lib/trygport/spool.sqlite") == spool
    assert machine.done("systemctl is-active edge edge-update.path") == "active\nactive"


def test_a_wrong_signature_is_refused(machine: Machine) -> None:
    told = update(machine, "1.2", signature="A" * 86 + "==")

    assert (told["result"], told["why"]) == ("refused", "signature")
    assert installed(machine) == "1.1"


def test_a_version_that_does_not_start_goes_back_by_itself(machine: Machine) -> None:
    told = update(machine, "1.2")

    assert (told["result"], told["why"], told["installed"]) == ("rolled_back", "not_heard", "1.1")
    machine.wait_until(speaks("1.1"), within=90)


def test_a_version_whose_trial_the_power_ends_goes_back_after_the_next_start(
    machine: Machine,
) -> None:
    ask(machine, "1.2")
    machine.wait_until("grep -q waiting /var/lib/trygport-update/state.json", within=200)
    machine.done("sync")

    machine.cut()
    machine.start()

    told = outcome(machine)
    assert (told["result"], told["why"], told["installed"]) == ("rolled_back", "not_heard", "1.1")
    machine.wait_until(speaks("1.1"), within=90)


def test_the_version_before_comes_back_when_it_is_asked_for(machine: Machine) -> None:
    machine.done(f"dpkg -i /files/{NAME}_1.0_amd64.deb", within=300)
    update(machine, "1.1")

    request(machine, {"id": "c-1", "do": "rollback"})

    assert outcome(machine)["result"] == "rolled_back"
    assert installed(machine) == "1.0"
    machine.wait_until(speaks("1.0"), within=90)


def test_the_box_starts_the_machine_anew_and_runs_again(machine: Machine) -> None:
    boot = machine.done("cat /proc/sys/kernel/random/boot_id")

    machine.order(f"{AS_BOX} busctl call {LOGIND} Reboot b false", within=10)

    machine.wait_until(f"! grep -q {boot} /proc/sys/kernel/random/boot_id", within=240)
    machine.wait_until(speaks("1.0"), within=120)


def test_removed_it_keeps_spool_and_keys_and_purged_nothing(machine: Machine) -> None:
    said = machine.done(f"dpkg -r {NAME}", within=200)

    assert "kept in /var/lib/trygport" in said
    assert machine.order("systemctl is-active edge").code != 0
    assert machine.done("cat /var/lib/trygport/box.pem") == "a key"
    assert machine.order("test -e /opt/trygport").code == 1

    machine.done(f"dpkg -P {NAME}", within=200)

    left = "find / -xdev -name '*trygport*' ! -path '/files/*' ! -path '/proc/*'"
    assert machine.done(left) == ""


def mute(release: Release) -> Path:
    """A version that somebody signed and that does not even start."""
    package = built(release, "amd64", "1.2")
    tree = release.folder / "mute"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    (tree / "opt/trygport/lib/edge/main.py").write_text('raise SystemExit("not today")\n')
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, package]
    subprocess.run(command, check=True, capture_output=True)
    return package


def ask(machine: Machine, version: str, **other: str) -> None:
    """As the box does when it has fetched a package."""
    package = f"/files/{NAME}_{version}_amd64"
    told = json.loads(machine.done(f"cat {package}.json"))
    names = ("version", "size", "digest", "signature")
    machine.done(f"{AS_BOX} cp {package}.deb /var/lib/trygport/update/package.deb")
    request(machine, {"id": "c-1", "do": "install", **{n: told[n] for n in names}, **other})


def request(machine: Machine, words: dict[str, object]) -> None:
    machine.done("rm -f /var/lib/trygport-update/outcome.json")
    fresh = "/var/lib/trygport/update/fresh"
    machine.done(f"{AS_BOX} tee {fresh} <<'X'\n{json.dumps(words)}\nX")
    machine.done(f"{AS_BOX} mv {fresh} /var/lib/trygport/update/request.json")


def update(machine: Machine, version: str, **other: str) -> dict[str, object]:
    ask(machine, version, **other)
    return outcome(machine)


def outcome(machine: Machine) -> dict[str, object]:
    machine.wait_until("test -e /var/lib/trygport-update/outcome.json", within=400)
    machine.wait_until("! systemctl -q is-active edge-update.service", within=60)
    return json.loads(machine.done("cat /var/lib/trygport-update/outcome.json"))


def installed(machine: Machine) -> str:
    return machine.done(f"dpkg-query -W -f '${{Version}}' {NAME}")


def speaks(version: str) -> str:
    """The shell's words for: this version runs and reaches the broker."""
    said = f'"version": "{version}", "connected": true'
    return f"systemctl -q is-active edge && grep -q '{said}' /var/lib/trygport/status.json"

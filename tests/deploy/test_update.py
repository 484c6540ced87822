"""An update is installed when a release key signed it, and taken back when nothing is heard."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.runtime.paths import ROOT
from edge.updating.installer import Installer
from tests.deploy.boxes import fields
from tests.deploy.updating import Cut, Updating, crafted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user"),
]

INSTALLER = str(ROOT / "edge/updating/installer.py")


def test_a_signed_newer_package_is_installed_and_the_one_before_kept(
    updating: Updating, newer: Path
) -> None:
    updating.offer(newer)

    told = updating.run()

    assert (told["result"], told["why"], told["id"]) == ("installed", None, "c-1")
    assert (told["installed"], updating.box.status()) == ("1.1", "ii 1.1")
    [kept] = (updating.places.own / "previous").iterdir()
    assert fields(kept)["Version"] == "1.0"
    assert (updating.places.box / "box.pem").read_text() == "a key"
    assert left(updating) == {"outcome.json", "previous"}
    assert not (updating.places.box / "update/request.json").exists()


def test_a_version_that_hears_nothing_goes_back_by_itself(updating: Updating, newer: Path) -> None:
    updating.agent.deaf = ("1.1",)
    updating.offer(newer)

    told = updating.run()

    assert (told["result"], told["why"]) == ("rolled_back", "not_heard")
    assert "1.1 heard no sensor in 1 minutes; 1.0 runs again" in told["sentence"]
    assert updating.box.status() == "ii 1.0"
    assert (updating.places.box / "box.pem").read_text() == "a key"


def test_a_version_that_does_not_reach_the_gateway_goes_back_by_itself(
    updating: Updating, newer: Path
) -> None:
    updating.agent.mute = ("1.1",)
    updating.offer(newer)

    assert updating.run()["why"] == "not_heard"
    assert updating.box.status() == "ii 1.0"


def test_a_home_without_sensors_is_not_asked_to_hear_any(updating: Updating, newer: Path) -> None:
    updating.agent.heard = 0
    updating.agent.speak()
    updating.offer(newer)

    assert updating.run()["result"] == "installed"


def test_a_package_that_cannot_be_configured_goes_back(updating: Updating) -> None:
    updating.offer(crafted(updating.scratch, "1.2", postinst="echo no room >&2; exit 1"))

    told = updating.run()

    assert (told["result"], told["why"]) == ("rolled_back", "dpkg")
    assert updating.box.status() == "ii 1.0"
    assert (updating.box.root / "opt/trygport/lib/edge/main.py").exists()


def test_what_goes_back_is_the_same_file_by_file(updating: Updating, newer: Path) -> None:
    before = contents(updating.box.root)
    updating.offer(newer)
    updating.run()
    assert contents(updating.box.root) != before
    updating.ask("rollback")

    told = updating.run()

    assert (told["result"], told["why"], told["installed"]) == ("rolled_back", None, "1.0")
    assert contents(updating.box.root) == before


def test_what_the_operator_wrote_outlives_going_back_and_the_upgrade_after_it(
    updating: Updating, newer: Path
) -> None:
    settings = updating.box.root / "etc/trygport/edge.env"
    settings.write_text("EDGE_SPOOL_MB=64\n")
    updating.offer(newer)
    updating.run()
    updating.ask("rollback")
    updating.run()

    done = updating.box.dpkg("--force-confold", "-i", other_settings(updating, newer))

    assert (done.returncode, updating.box.status()) == (0, "ii 1.4"), done.stderr
    assert settings.read_text() == "EDGE_SPOOL_MB=64\n"
    assert "dpkg-dist" in str(list(settings.parent.iterdir()))


def test_going_back_needs_no_file_that_the_system_left_out(updating: Updating, newer: Path) -> None:
    (updating.box.root / "usr/share/doc/trygport-edge/copyright").unlink()
    (updating.box.root / "etc/trygport/edge.env").unlink()
    updating.offer(newer)
    updating.run()
    updating.ask("rollback")

    assert updating.run()["result"] == "rolled_back"


def test_going_back_twice_is_refused(updating: Updating, newer: Path) -> None:
    updating.offer(newer)
    updating.run()
    updating.ask("rollback")
    updating.run()
    updating.ask("rollback")

    told = updating.run()

    assert (told["result"], told["why"]) == ("refused", "nothing_previous")
    assert updating.box.status() == "ii 1.0"


def test_going_back_before_any_update_is_refused(updating: Updating) -> None:
    updating.ask("rollback")

    assert updating.run()["why"] == "nothing_previous"


def test_a_power_cut_while_it_waits_is_waited_out_at_the_next_start(
    updating: Updating, newer: Path
) -> None:
    updating.agent.deaf, updating.agent.on_wait = ("1.1",), cut
    updating.offer(newer)
    with pytest.raises(Cut):
        updating.run()
    updating.agent.on_wait = None

    assert updating.box.status() == "ii 1.1"
    assert updating.run()["why"] == "not_heard"
    assert updating.box.status() == "ii 1.0"


def test_a_power_cut_while_dpkg_works_is_mended_by_the_one_file_alone(
    updating: Updating, newer: Path
) -> None:
    updating.kind = CutInDpkg
    updating.offer(newer)
    with pytest.raises(Cut):
        updating.run()
    places = updating.places
    # without our libraries, and without our other files: of these, any may be of either version
    code = (
        "import sys, importlib.util as util; from pathlib import Path\n"
        f"spec = util.spec_from_file_location('installer', {INSTALLER!r})\n"
        "module = sys.modules['installer'] = util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        f"places = module.Places(box=Path({str(places.box)!r}), own=Path({str(places.own)!r}),\n"
        f"    root=Path({str(places.root)!r}), dpkg={places.dpkg!r})\n"
        "module.Installer(places=places).run()"
    )

    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False, capture_output=True)

    told = updating.outcome()
    assert (told["result"], told["why"]) == ("rolled_back", "interrupted")
    assert updating.box.status() == "ii 1.0"
    assert not (places.own / "state.json").exists()


def other_settings(updating: Updating, package: Path) -> Path:
    """A later version that brings other settings: where it asks, nobody answers."""
    tree, into = updating.scratch / "other", updating.scratch / "other.deb"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    (tree / "etc/trygport/edge.env").write_text("# other words\n")
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("Version: 1.1", "Version: 1.4"))
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, into]
    subprocess.run(command, check=True, capture_output=True)
    return into


class CutInDpkg(Installer):
    def _dpkg_install(self, package: Path) -> None:
        """As dpkg leaves a package when the power goes in the middle."""
        self._run("dpkg", *self.places.dpkg, "--unpack", str(package))
        raise Cut


def cut() -> None:
    raise Cut


def contents(root: Path) -> dict[str, bytes]:
    found = [*(root / "opt").rglob("*"), *(root / "usr").rglob("*"), *(root / "etc").rglob("*")]
    return {str(path): path.read_bytes() for path in found if path.is_file()}


def left(updating: Updating) -> set[str]:
    return {path.name for path in updating.places.own.iterdir()}

"""Looks at the machine: is it one we can run on, is there room, which packages are missing."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.steps import run, step

ARCHITECTURES = ("amd64", "arm64")
ROOM = 1_200_000_000
"""Bytes that a whole set-up needs while it is made (measured: 0.9 GB, downloads included)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A package of the distribution that only the distribution can give."""

    package: str
    is_met: Callable[[], bool]


def _has_zones() -> bool:
    # PostgreSQL looks for the zones there and nowhere else: Debian compiles the path in
    return Path("/usr/share/zoneinfo/Europe/Copenhagen").exists()


ALWAYS = (
    Need(package="python3-venv", is_met=lambda: importlib.util.find_spec("ensurepip") is not None),
    Need(package="dbus-daemon", is_met=lambda: shutil.which("dbus-daemon") is not None),
    Need(package="tzdata", is_met=_has_zones),
)
DEVICES_FOR_POWER_CUTS = (Path("/dev/fuse"), Path("/dev/loop-control"))


def _has_nbdkit_python() -> bool:
    asked = ["nbdkit", "--dump-plugin", "python"]
    return shutil.which("nbdkit") is not None and (
        subprocess.run(asked, capture_output=True, check=False).returncode == 0
    )


FOR_POWER_CUTS = (
    Need(package="nbdkit", is_met=lambda: shutil.which("nbdkit") is not None),
    Need(package="nbdkit-plugin-python", is_met=_has_nbdkit_python),
    Need(package="libnbd-bin", is_met=lambda: shutil.which("nbdfuse") is not None),
    Need(package="e2fsprogs", is_met=lambda: shutil.which("mkfs.ext4") is not None),
    Need(package="mount", is_met=lambda: shutil.which("losetup") is not None),
)
"""A disk whose power can be cut, as a file through FUSE, formatted and mounted."""
FOR_KILLS = (Need(package="strace", is_met=lambda: shutil.which("strace") is not None),)
FOR_LONG_TESTS = (Need(package="chromium", is_met=lambda: shutil.which("chromium") is not None),)

FOR_BOOTED = (
    Need(package="qemu-system-x86", is_met=lambda: shutil.which("qemu-system-x86_64") is not None),
    Need(package="mmdebstrap", is_met=lambda: shutil.which("mmdebstrap") is not None),
)
"""A Debian 13 that is booted on an emulated machine, to install the box's package on."""


def lacks_for_booted() -> str | None:
    """Why no package would help this machine to a booted Debian 13; None when it may."""
    if os.geteuid() != 0:
        return "only root may lay out a system's files"
    return None if architecture_of() == "amd64" else "the processor is not an amd64"


def lacks_for_power_cuts() -> str | None:
    """Why no package would help this machine to a disk whose power can be cut; None when it may."""
    if os.geteuid() != 0:
        return "only root may mount"
    absent = [str(device) for device in DEVICES_FOR_POWER_CUTS if not device.exists()]
    return f"the machine has no {' and no '.join(absent)}" if absent else None


def architecture_of(*, os_release: Path = Path("/etc/os-release")) -> str:
    """Debian's name for this machine's processor, when we can run on the machine.

    Raises Stop when it is not Debian or like it, or neither amd64 nor arm64.
    """
    told = _os_release(os_release)
    family = {told.get("ID", ""), *told.get("ID_LIKE", "").split()}
    if "debian" not in family or shutil.which("apt-get") is None:
        raise Stop(
            Exit.UNSUPPORTED_SYSTEM,
            f"{told.get('PRETTY_NAME', 'This system')} is not supported: "
            "Debian 12 or 13, or a system made from one of them, is needed.",
        )
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if architecture not in ARCHITECTURES:
        raise Stop(
            Exit.UNSUPPORTED_SYSTEM,
            f"The processor architecture {architecture} is not supported: "
            f"{' or '.join(ARCHITECTURES)} is needed.",
        )
    return architecture


def make_sure_of_room(folder: Path, *, needed: int = ROOM) -> None:
    """Raises Stop when the disk under the folder has too little room for a set-up."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Stop(
            Exit.NO_DISK,
            f"Too little room on the disk of {folder}: {needed / 1e9:.1f} GB are needed, "
            f"{free / 1e9:.1f} GB are free.",
        )


def make_sure_of_packages(needs: Iterable[Need], *, is_root: bool | None = None) -> None:
    """Install the packages that are missing when root, else say what to type.

    Raises Stop.
    """
    missing = [need.package for need in needs if not need.is_met()]
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if not (os.geteuid() == 0 if is_root is None else is_root):
        raise Stop(
            Exit.PACKAGE_MISSING,
            f"Missing from the system: {', '.join(missing)}; "
            f"type: sudo apt-get update && sudo {' '.join(install)}",
        )
    with step(f"system packages: install {', '.join(missing)}"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        patience = ["-o", "DPkg::Lock::Timeout=120"]
        run(["apt-get", *patience, "update"], env=env, failed=_refused)
        run([*install, *patience], env=env, failed=_refused)
    importlib.invalidate_caches()


def _refused(output: str) -> Stop:
    lines = [line for line in output.splitlines() if line.startswith("E:")]
    return Stop(
        Exit.PACKAGE_MISSING, f"apt-get could not install: {lines[-1] if lines else output[-200:]}"
    )


def _os_release(file: Path) -> dict[str, str]:
    """The settings of os-release(5); empty when there is no such file."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name: value.strip("\"'") for name, value in pairs}

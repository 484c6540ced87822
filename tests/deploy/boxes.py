"""A box's file system in a folder of a test's own, and the real dpkg at work in it."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "trygport-edge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A folder of packages, the private key that signs them, the public ones that boxes know."""

    folder: Path
    private: Path
    keys: tuple[Path, ...]

    def package(self, architecture: str, version: str) -> Path:
        return self.folder / f"{NAME}_{version}_{architecture}.deb"


@dataclass(frozen=True, slots=True)
class Box:
    """A root that has what the package depends on; its scripts run with DPKG_ROOT, as dpkg does."""

    root: Path
    options: tuple[str, ...] = (
        "--force-script-chrootless",
        "--force-not-root",
        "--force-unsafe-io",
    )

    @classmethod
    def make(cls, root: Path, *, version: str = "13") -> "Box":
        box = cls(root)
        for folder in ("etc", "var/lib/dpkg/updates", "var/lib/dpkg/info", "var/log"):
            (root / folder).mkdir(parents=True)
        (root / "etc/os-release").write_text(f'ID=debian\nVERSION_ID="{version}"\n')
        (root / "var/lib/dpkg/status").write_text(_dependencies())
        return box

    @property
    def dpkg_options(self) -> tuple[str, ...]:
        return (f"--root={self.root}", *self.options)

    def dpkg(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        return said("dpkg", *self.dpkg_options, *words)

    def status(self) -> str:
        query = ("dpkg-query", f"--root={self.root}", "-W", "-f", "${db:Status-Abbrev}${Version}")
        return said(*query, NAME).stdout.strip()


def said(*command: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "LC_ALL": "C.UTF-8", **env},
        capture_output=True,
        text=True,
        check=False,
    )


def unpacked(package: Path, into: Path) -> Path:
    subprocess.run(["dpkg-deb", "-x", package, into], check=True)
    return into


def fields(package: Path) -> Mapping[str, str]:
    lines = said("dpkg-deb", "-f", package).stdout.splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def is_elf(path: Path) -> bool:
    with path.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"


def _dependencies() -> str:
    """What dpkg thinks is installed, so that it checks the dependencies by their versions."""
    installed = {"python3": "3.13.5-1", "bluez": "5.82", "polkitd": "126", "dbus": "1.16"}
    return "".join(
        f"Package: {name}\nStatus: install ok installed\nMaintainer: a <a@a>\n"
        f"Architecture: {architecture()}\nVersion: {version}\nDescription: x\n\n"
        for name, version in {**installed, "systemd": "257"}.items()
    )


def architecture() -> str:
    return said("dpkg", "--print-architecture").stdout.strip()

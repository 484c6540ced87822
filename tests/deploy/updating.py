"""A box that takes updates: the real installer and the real dpkg, and a stand-in for the agent."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.packaging.signing import sign
from edge.updating.installer import Installer, Places
from tests.deploy.boxes import NAME, Box, Release, architecture

WITHIN = 60.0


class Cut(BaseException):
    """The power goes."""


@dataclass(slots=True, kw_only=True)
class Agent:
    """What the box says of itself after each start, as edge/main.py writes it.

    `deaf` are versions that hear nothing, `mute` those that do not reach the gateway. Time passes
    only when the installer waits.
    """

    box: Box
    deaf: tuple[str, ...] = ()
    mute: tuple[str, ...] = ()
    heard: int = 3
    time: float = 0.0
    on_wait: Callable[[], None] | None = None

    def speak(self) -> None:
        version = self.box.status().split()[-1]
        said = {
            "version": version,
            "connected": version not in self.mute,
            "heard": 0 if version in self.deaf else self.heard,
        }
        (self.box.root / "var/lib/trygport/status.json").write_text(json.dumps(said))

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.speak()
        if self.on_wait is not None:
            self.on_wait()


@dataclass(slots=True, kw_only=True)
class Updating:
    """A box with version 1.0, whose folder is written as its user would."""

    box: Box
    release: Release
    agent: Agent
    scratch: Path
    kind: type[Installer] = Installer
    request: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def places(self) -> Places:
        root = self.box.root
        return Places(
            box=root / "var/lib/trygport",
            own=root / "var/lib/trygport-update",
            keys=root / "usr/share/trygport/release-keys",
            root=root,
            dpkg=self.box.dpkg_options,
        )

    @property
    def fetched(self) -> Path:
        return self.places.box / "update/package.deb"

    def offer(self, package: Path, *, key: Path | None = None, **other: object) -> None:
        """The box has fetched this package and been told of it; `other` is told differently."""
        copy = self.scratch / package.name
        shutil.copy(package, copy)
        told: Mapping[str, Any] = json.loads(sign(copy, key or self.release.private).read_text())
        shutil.copy(copy, self.fetched)
        names = ("version", "size", "digest", "signature")
        self.ask("install", **{**{name: told[name] for name in names}, **other})

    def ask(self, do: str, **told: object) -> None:
        text = json.dumps({"id": "c-1", "do": do, **told})
        (self.places.box / "update/request.json").write_text(text)

    def run(self) -> dict[str, Any]:
        """Wake the installer; its outcome."""
        agent = self.agent
        self.kind(
            places=self.places, within=WITHIN, sleep=agent.sleep, now=lambda: agent.time
        ).run()
        return self.outcome()

    def outcome(self) -> dict[str, Any]:
        return json.loads((self.places.own / "outcome.json").read_text())


def crafted(folder: Path, version: str, *, name: str = NAME, postinst: str = "exit 0") -> Path:
    """A small package that nobody of ours made."""
    into = folder / "crafted"
    tree = into / f"tree-{version}-{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture()}\n"
        "Maintainer: a <a@a>\nDescription: x\n"
    )
    (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\n{postinst}\n")
    (tree / "DEBIAN/postinst").chmod(0o755)
    package = into / f"{NAME}_{version}_{architecture()}.deb"
    command = ["dpkg-deb", "--root-owner-group", "--build", tree, package]
    subprocess.run(command, check=True, capture_output=True)
    return package

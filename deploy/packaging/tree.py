"""Lays out what the package puts on a box, file by file."""

import shutil
from collections.abc import Iterator, Sequence
from email.parser import HeaderParser
from pathlib import Path

from deploy.runtime.paths import DEPLOY, ROOT
from edge.updating.repack import ORIGINALS

BOX = DEPLOY / "packaging" / "box"
LIB = "opt/trygport/lib"
"""Python packages, ours among them; no other Python looks there."""

_SYSTEM = {
    DEPLOY / "edge.service": "usr/lib/systemd/system/edge.service",
    DEPLOY / "edge.rules": "usr/share/polkit-1/rules.d/50-trygport.rules",
    BOX / "edge-update.service": "usr/lib/systemd/system/edge-update.service",
    BOX / "edge-update.path": "usr/lib/systemd/system/edge-update.path",
    BOX / "sysusers.conf": "usr/lib/sysusers.d/trygport.conf",
    BOX / "tmpfiles.conf": "usr/lib/tmpfiles.d/trygport.conf",
    BOX / "udev.rules": "usr/lib/udev/rules.d/60-trygport.rules",
    BOX / "edge.env": "etc/trygport/edge.env",
    BOX / "edge": "opt/trygport/bin/edge",
}
CONFFILES = ("/etc/trygport/edge.env",)
"""What dpkg leaves as the operator wrote it."""


def lay_out(tree: Path, *, version: str, keys: Sequence[Path]) -> None:
    """Put everything but the wheels into the folder; these must lie in LIB already."""
    _copy_ours(tree / LIB)
    _tell_version(tree / LIB, version)
    for source, name in _SYSTEM.items():
        _put(source, tree / name)
    for name in CONFFILES:
        _put(tree / name.strip("/"), tree / ORIGINALS / Path(name).name)
    (tree / "opt/trygport/bin/edge").chmod(0o755)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/edge").symlink_to("/opt/trygport/bin/edge")
    pinned = tree / "usr/share/trygport/release-keys"
    pinned.mkdir(parents=True)
    for key in keys:
        _put(key, pinned / key.name)
    _write(tree / "usr/share/doc/trygport-edge/copyright", _copyright(tree / LIB))


def programs() -> Iterator[Path]:
    """Our own files that a box runs: the room of the box, and the frame it shares."""
    yield ROOT / "adapters/__init__.py"
    yield ROOT / "adapters/frame.py"
    yield from sorted((ROOT / "edge").rglob("*.py"))


def _copy_ours(lib: Path) -> None:
    for source in programs():
        _put(source, lib / source.relative_to(ROOT))


def _tell_version(lib: Path, version: str) -> None:
    """What `importlib.metadata` and so the box's state message say: the package's version."""
    words = f"Metadata-Version: 2.1\nName: trygport\nVersion: {version}\n"
    _write(lib / f"trygport-{version}.dist-info/METADATA", words)


def _copyright(lib: Path) -> str:
    """Whose work is inside, as each says itself."""
    lines = [
        "What this package carries besides Trygport; the licences' texts lie in",
        f"/{LIB}",
        "",
    ]
    for file in sorted(lib.glob("*.dist-info/METADATA")):
        about = HeaderParser().parsestr(file.read_text(encoding="utf-8"))
        licence = about.get("License-Expression") or about.get("License") or "see its folder"
        lines.append(f"{about['Name']} {about['Version']}: {licence.splitlines()[0]}")
    return "\n".join((*lines, ""))


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")

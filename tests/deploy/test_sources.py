"""The mirror is the one that the machine already trusts, in whichever format it was told."""

from pathlib import Path

import pytest

from deploy.runtime.sources import Mirror, mirrors, read_sources

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
 non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
# https://snapshot.example/debian-security
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
deb [arch=amd64 signed-by=/etc/apt/keyrings/other.gpg] https://other.example/linux trixie stable
# deb http://off.example/debian trixie main
deb http://mirror.example/debian trixie main contrib  # nearest
deb-src http://mirror.example/debian trixie main
deb [ arch=amd64 ] http://mirror.example/debian-security trixie-security main
"""


def etc(folder: Path, files: dict[str, str]) -> Path:
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_stanzas_are_read(tmp_path: Path) -> None:
    found = mirrors(read_sources(etc(tmp_path, {"sources.list.d/debian.sources": DEB822})))

    assert found == (
        Mirror(
            main="http://mirror.example/debian",
            security="http://mirror.example/debian-security",
            signed_by="/usr/share/keyrings/debian-archive-keyring.gpg",
        ),
    )


def test_lines_are_read(tmp_path: Path) -> None:
    found = mirrors(read_sources(etc(tmp_path, {"sources.list": ONE_LINE})))

    assert found == (
        Mirror(
            main="http://mirror.example/debian",
            security="http://mirror.example/debian-security",
            signed_by=None,
        ),
    )


def test_a_machine_without_security_updates_is_served_too(tmp_path: Path) -> None:
    line = "deb http://mirror.example/debian bookworm main\n"

    (found,) = mirrors(read_sources(etc(tmp_path, {"sources.list": line})))

    assert found.security is None


def test_debian_comes_before_others_that_use_its_names(tmp_path: Path) -> None:
    lines = (
        "deb https://packages.example/php bookworm main\n"
        "deb mirror+file:/etc/apt/mirrors/debian.list bookworm main\n"
    )

    found = mirrors(read_sources(etc(tmp_path, {"sources.list.d/a.list": lines})))

    assert [mirror.main for mirror in found] == [
        "mirror+file:/etc/apt/mirrors/debian.list",
        "https://packages.example/php",
    ]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"sources.list.d/other.list": "deb https://other.example/linux/debian bookworm stable\n"},
        {"sources.list": "deb cdrom:[Debian 12]/ bookworm main\n"},
        {"sources.list.d/debian.sources.save": DEB822},
        {"sources.list.d/ubuntu.list": "deb http://archive.example/ubuntu noble main\n"},
    ],
)
def test_what_is_not_debian_is_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert mirrors(read_sources(etc(tmp_path, files))) == ()


def test_this_machines_own_sources_name_a_mirror() -> None:
    assert mirrors(read_sources(Path("/etc/apt")))

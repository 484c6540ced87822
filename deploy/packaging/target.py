"""The machines that the package is made for."""

from collections.abc import Mapping
from dataclasses import dataclass

PYTHON = "3.13"
"""Debian 13's, which the compiled packages are made for and no other can load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`architecture` as Debian calls it, `platform` as Python's packages do, `elf` the number."""

    architecture: str
    platform: str
    elf: int
    python: str = PYTHON


TARGETS: Mapping[str, Target] = {
    # 2.40: Debian 13 has glibc 2.41; e_machine of elf(5)
    "arm64": Target(architecture="arm64", platform="aarch64-manylinux_2_40", elf=183),
    "amd64": Target(architecture="amd64", platform="x86_64-manylinux_2_40", elf=62),
}

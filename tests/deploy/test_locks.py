"""What is installed on a gateway or a box is what was tested, and no tool of the tests."""

import re
from pathlib import Path

import pytest

from deploy.runtime.paths import DEPLOY

_PIN = re.compile(
    r"^([a-z0-9][a-z0-9._-]*==\S+)(?: ;[^\n\\]*)? \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
)
_OF_TESTS = {"pytest", "hypothesis", "schemathesis", "ruff", "pyright", "import-linter"}


def pins(lock: Path) -> dict[str, set[str]]:
    """The hashes of each package and version."""
    found = {
        one[1]: set(re.findall(r"sha256:\w+", one[2])) for one in _PIN.finditer(lock.read_text())
    }
    assert len(found) == lock.read_text().count("==") - lock.read_text().count(" == ")
    return found


@pytest.mark.parametrize("name", ["requirements-gateway.lock", "requirements-edge.lock"])
def test_what_a_machine_installs_was_tested_in_that_version(name: str) -> None:
    tested, installed = pins(DEPLOY / "requirements.lock"), pins(DEPLOY / name)

    assert {pin: tested.get(pin) for pin in installed} == installed
    assert {pin.partition("==")[0] for pin in installed}.isdisjoint(_OF_TESTS)
    assert len(installed) < len(tested)


def test_a_box_installs_the_protocol_and_a_gateway_the_database() -> None:
    gateway, edge = (
        {pin.partition("==")[0] for pin in pins(DEPLOY / f"requirements-{side}.lock")}
        for side in ("gateway", "edge")
    )

    assert "asyncpg" in gateway - edge
    assert "bleak" in edge

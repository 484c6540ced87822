"""What the tests of the box may ask for: a place for a spool, a clock, the emulated radio too."""

from pathlib import Path

import pytest

from tests.edge.frames import HandClock
from tests.world.radio import bluez, dbus, radio

__all__ = ["bluez", "dbus", "radio"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()

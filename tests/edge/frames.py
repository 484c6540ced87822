"""Frames and clocks for the tests of the box; a test names only what it is about."""

from dataclasses import dataclass
from datetime import UTC, datetime

from adapters.frame import Frame

HOUR = 3_600_000
"""Milliseconds."""


def heard(
    number: int = 1,
    *,
    device: str = "A4:C1:38:00:00:01",
    at: int = 1_790_000_000_000,
    uptime: float = 100.0,
    size: int = 2,
) -> Frame:
    """An advertisement whose bytes hold a number."""
    said = number.to_bytes(size, "little")
    return Frame(
        device=device, heard="advertisement", at=at + number, uptime=uptime, data={"fcd2": said}
    )


@dataclass(slots=True)
class HandClock:
    """A clock that the test moves."""

    ms: int = 1_790_000_000_000
    boot: str = "00000000-0000-4000-8000-000000000001"
    running: float = 100.0
    sure: bool = True
    driven: bool = False

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.ms / 1000, UTC)

    def now_ms(self) -> int:
        return self.ms

    def uptime(self) -> float:
        return self.running

    def synchronised(self) -> bool:
        return self.sure

"""A busy home by the hour: 15,000 frames a day, and a clock that is moved by hand through them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from adapters.frame import Frame, Lane
from deploy.world.frames import advertisement, static_address
from deploy.world.payloads import (
    BTHOME,
    COMPANY,
    CallFlag,
    bthome_payload,
    call_button_bytes,
    motion_object,
)
from edge.clock import boot_id

A_DAY = 15_000
"""Frames of a busy home in a day."""
CALL_EVERY = 3_000
"""Of so many frames one is a call: five a day."""
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@dataclass(slots=True)
class HandClock:
    """A clock that stands still until it is moved; milliseconds since 1970."""

    ms: int
    boot: str = field(default_factory=boot_id)
    driven: bool = True

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.ms / 1000, UTC)

    def now_ms(self) -> int:
        return self.ms

    def uptime(self) -> float:
        return self.ms / 1000

    def synchronised(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class BusyHome:
    """Sensors that never rest and a call button, the same for the same name."""

    name: str
    sensors: int = 12

    def motion(self, number: int) -> str:
        """The address of a motion sensor."""
        return static_address(self.name, f"motion {number % self.sensors}")

    @property
    def button(self) -> str:
        """The address of the call button."""
        return static_address(self.name, "button")

    def between(
        self, start: int, end: int, *, first: int = 0, call_every: int = CALL_EVERY
    ) -> Iterator[tuple[Frame, Lane]]:
        """What is heard from `start` to `end` (milliseconds), in time order, each with its lane.

        `first` numbers the first frame: go on counting from call to call.
        """
        step = DAY_MS / A_DAY
        for number in range(round((end - start) / step)):
            at = round(start + number * step)
            if (first + number) % call_every == call_every - 1:
                yield self.call(at, (first + number) // call_every), "urgent"
            else:
                yield self._motion(at, first + number), "bulk"

    def call(self, at: int, number: int) -> Frame:
        """The call button is pressed for the so-manieth time."""
        said = call_button_bytes(CallFlag.PRESSED, counter=number & 0xFFFF, battery=80)
        return advertisement(self.button, at=at, uptime=0.0, manufacturer={COMPANY: said})

    def _motion(self, at: int, number: int) -> Frame:
        moving = [motion_object(moving=number // self.sensors % 2 == 0)]
        said = {BTHOME: bthome_payload(moving, number // self.sensors & 0xFF)}
        return advertisement(self.motion(number), at=at, uptime=0.0, data=said)

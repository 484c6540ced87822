"""What happens in the homes while everything breaks, and what their devices say of it."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.frame import Frame, Lane
from deploy.world.chaos.obligations import Meaning, Saying
from deploy.world.dispenser import EVENT, NO_SLOT, Event, Record, record_bytes
from deploy.world.frames import advertisement, static_address
from deploy.world.payloads import (
    BTHOME,
    COMPANY,
    CallFlag,
    bthome_payload,
    call_button_bytes,
    climate_frame_bytes,
    door_object,
    motion_object,
)
from edge.clock import Clock

BELIEVED = 240.0
"""Seconds that a box may be ahead of the world before nothing certain can be said of its times."""
JOINT_EVERY = 6.0
"""Seconds between two presses of a button that the next home's box hears as well."""

_JOINT_COUNTERS = 50_000
_OWN_COUNTERS = 250
"""Presses of a button between two starts of its box."""
_AGAIN = 3
"""Records that a box asks the dispenser for once more when it starts."""
_WORDS: Mapping[Event, str] = {
    Event.DOSE_DUE: "dose_due",
    Event.DOSE_DISPENSED: "dose_dispensed",
    Event.DOSE_TAKEN: "dose_taken",
    Event.TRAY_OPEN: "tray_open",
}


class MovedClock:
    """The world's clock with a `step` (seconds) that this box's own clock has made on top."""

    driven = False

    def __init__(self, world: Clock) -> None:
        self.world = world
        self.step = 0.0

    @property
    def boot(self) -> str:
        return self.world.boot

    def now(self) -> datetime:
        return self.world.now() + timedelta(seconds=self.step)

    def now_ms(self) -> int:
        return self.world.now_ms() + round(self.step * 1000)

    def uptime(self) -> float:
        return self.world.uptime()

    def synchronised(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One home of the town: its number, and the addresses of its devices.

    `stray` is a call button that nobody has placed, `takes` the dose slots that will be taken.
    """

    index: int
    homes: int
    name: str
    dispenser: str | None = None
    stray: str | None = None
    takes: tuple[int, ...] = ()

    def address(self, device: str, *, of: int | None = None) -> str:
        """The address of a device, of this home or of another."""
        return static_address(self.name, str(self.index if of is None else of), device)

    @property
    def placed(self) -> Mapping[str, tuple[str, str, str]]:
        """Every device to place: its model, role and room."""
        found = {
            self.address("button"): ("call_button", "call", "Halssmykke"),
            self.address("door"): ("bthome", "door", "Hoveddør"),
            self.address("motion"): ("bthome", "motion", "Stue"),
            self.address("climate"): ("bthome", "climate", "Stue"),
        }
        if self.dispenser is not None:
            found[self.dispenser] = ("dispenser", "dispenser", "Køkken")
        return found


@dataclass(slots=True, kw_only=True)
class Life:
    """Makes up what happens in one home, the same for the same seed and number of starts.

    `clock` is the box's, `log` the dispenser's memory, `starts` how often the box has started.
    """

    home: Home
    rng: random.Random
    clock: MovedClock
    starts: int
    log: Path
    presses: int = 0
    records: list[Record] = field(default_factory=list[Record])

    def __post_init__(self) -> None:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.records = [Record(**json.loads(line)) for line in lines]

    @property
    def certain(self) -> bool:
        """Whether the gateway will believe this box's clock."""
        return self.clock.step < BELIEVED

    def asked_again(self) -> Sequence[Saying]:
        """What the dispenser gives a box that has just started: its last records once more."""
        return [self._record_said(record) for record in self.records[-_AGAIN:]]

    def something(self) -> tuple[Lane, Sequence[Saying]]:
        """The next thing that happens."""
        chance = self.rng.random()
        if chance < 0.5 or not self.certain:  # noqa: PLR2004 - the weights of this table
            return "bulk", [self._motion()]
        if chance < 0.72:  # noqa: PLR2004
            return "bulk", [self._climate() for _ in range(self.rng.randint(1, 12))]
        if chance < 0.84:  # noqa: PLR2004
            return "urgent", [self._door()]
        if chance < 0.92 and self.presses < _OWN_COUNTERS:  # noqa: PLR2004
            return "urgent", self._press()
        if self.home.dispenser is not None:
            return "urgent", [self._record_said(self._record())]
        return "bulk", [self._climate()]

    def joint(self, number: int, *, of: int) -> Saying:
        """One hearing of a press that two boxes may hear."""
        button = self.home.address("button", of=of)
        return self._call(button, _JOINT_COUNTERS + number % 15_000)

    # -- what devices say

    def _press(self) -> Sequence[Saying]:
        self.presses += 1
        counter = (self.starts * _OWN_COUNTERS + self.presses) % _JOINT_COUNTERS
        stray = self.home.stray is not None and self.rng.random() < 0.3  # noqa: PLR2004
        button = self.home.stray if stray and self.home.stray else self.home.address("button")
        return [self._call(button, counter) for _ in range(self.rng.randint(1, 3))]

    def _call(self, button: str, counter: int) -> Saying:
        battery = 60 + counter % 40
        said = call_button_bytes(CallFlag.PRESSED, counter=counter, battery=battery)
        frame = self._advertised(button, manufacturer={COMPANY: said})
        return self._saying(frame, ("call_pressed", counter, None), ("battery", battery, None))

    def _door(self) -> Saying:
        is_open = self.rng.random() < 0.5  # noqa: PLR2004
        said = bthome_payload([door_object(is_open=is_open)], self.rng.randrange(256))
        frame = self._advertised(self.home.address("door"), data={BTHOME: said})
        return self._saying(frame, ("door", float(is_open), None))

    def _motion(self) -> Saying:
        said = bthome_payload([motion_object(moving=True)], self.rng.randrange(256))
        frame = self._advertised(self.home.address("motion"), data={BTHOME: said})
        return self._saying(frame, ("motion", 1.0, None))

    def _climate(self) -> Saying:
        celsius, percent = (
            self.rng.randrange(1500, 2600) / 100,
            self.rng.randrange(3000, 6000) / 100,
        )
        said = climate_frame_bytes(
            celsius=celsius, percent=percent, packet_id=self.rng.randrange(256)
        )
        frame = self._advertised(self.home.address("climate"), data={BTHOME: said})
        return self._saying(frame, ("temperature", celsius, None), ("humidity", percent, None))

    def _record(self) -> Record:
        """One more record in the dispenser's own memory, which no power cut of the box touches."""
        taken = {record.slot for record in self.records if record.event == Event.DOSE_TAKEN}
        left = [slot for slot in self.home.takes if slot not in taken]
        take = bool(left) and self.rng.random() < 0.3  # noqa: PLR2004
        others = (Event.DOSE_DUE, Event.DOSE_DISPENSED, Event.TRAY_OPEN)
        event = Event.DOSE_TAKEN if take else self.rng.choice(others)
        record = Record(
            number=len(self.records) + 1,
            seconds=self.clock.world.now_ms() // 1000,
            event=event,
            slot=left[0] if take else NO_SLOT,
            doses_left=28 - len(taken) - take,
        )
        self.records.append(record)
        with self.log.open("a") as log:
            log.write(f"{json.dumps(asdict(record))}\n")
        return record

    def _record_said(self, record: Record) -> Saying:
        slot = None if record.slot == NO_SLOT else record.slot
        return Saying(
            frame=Frame(
                device=self.home.dispenser or "",
                heard="characteristic",
                at=self.clock.now_ms(),
                uptime=self.clock.uptime(),
                address_type="random",
                uuid=EVENT,
                value=record_bytes(record),
            ),
            meant=(
                (_WORDS[Event(record.event)], None, slot),
                ("doses_left", float(record.doses_left), slot),
            ),
            at=self._at(self.clock.now_ms()),
            record=(record.number, record.seconds),
        )

    def _advertised(self, address: str, **said: Any) -> Frame:  # noqa: ANN401 - as it is said
        return advertisement(address, at=self.clock.now_ms(), uptime=self.clock.uptime(), **said)

    def _saying(self, frame: Frame, *meant: Meaning) -> Saying:
        return Saying(frame=frame, meant=meant, at=self._at(frame.at))

    def _at(self, milliseconds: int) -> int | None:
        return milliseconds if self.certain else None


def joint_moments(home: Home, since: float) -> Iterator[tuple[float, int, int]]:
    """When, by the world's clock, this box hears a joint press: seconds, number, whose button."""
    number = int(since // JOINT_EVERY) + 1
    while True:
        owner = number % home.homes
        if home.index in (owner, (owner + 1) % home.homes):
            yield number * JOINT_EVERY, number, owner
        number += 1

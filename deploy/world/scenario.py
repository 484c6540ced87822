"""The demo's evening: a home that is heard over Bluetooth, simulated neighbours, four alerts."""

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.services import Guarded
from deploy.world.api import Api
from deploy.world.fleet import ROOMS, Box, Simulation, live
from deploy.world.frames import SOUNDINGS, static_address
from deploy.world.home import EmulatedHome
from deploy.world.opened import Opened
from deploy.world.receiver import Receiver
from deploy.world.settling import (
    NURSE,
    Fitting,
    People,
    Settled,
    add_people,
    fit,
    settle_many,
    settle_one,
)
from deploy.world.stack import Stack, clean_environment
from edge.clock import clock_from
from edge.keeping.disk import SPOOL

ZONE = ZoneInfo("Europe/Copenhagen")
STARTS = (22, 58, 35)
"""Local time at which the set-up begins, so that all is ready at about 22:59."""
DOSE = {"slot": 1, "at": "22:00", "window_minutes": 60, "grace_minutes": 0}
"""The dose that will be missed: due at 22, to be taken by 23."""
KINDS = ("call_pressed", "dose_missed", "night_door", "box_silent")
PATIENCE = 120.0
"""Seconds from "ready" within which all four kinds of alerts are on the board."""

_NAMES = ("Elna Holm", "Aage Lund", "Grethe Friis", "Poul Toft", "Karen Skov", "Svend Kjær")
_KEEP_ALIVE = 30
_SETTLED = 12.0
"""Seconds of contact before all is called ready: a box that came into contact within a dose's
window is given 120 s to send what it kept, and the two minutes are not to hang on a second."""
_HEARD_BEFORE = timedelta(hours=8)
"""What the simulated boxes have heard and not yet sent when they first connect."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """The machine's clock moved to this evening, as a setting and as a function."""

    offset: float

    @classmethod
    def to_the_evening(cls) -> Self:
        """Move to today's STARTS in the demo's zone."""
        now = datetime.now(ZONE)
        hour, minute, second = STARTS
        evening = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
        return cls(round(evening.timestamp() - now.timestamp(), 3))

    @property
    def setting(self) -> str:
        """As gateway and box are told."""
        return f"offset:{self.offset}"

    def seconds(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.offset

    def now(self) -> datetime:
        """Local time."""
        return datetime.fromtimestamp(self.seconds(), ZONE)


@dataclass(slots=True, kw_only=True)
class Evening(Opened):
    """All that runs in the demo. `ready` and `pressed` are monotonic seconds."""

    folder: Path
    homes: int
    rate: float
    say: Say
    clock: Moved
    port: int | None = None
    receiver: Receiver = field(init=False)
    stack: Stack = field(init=False)
    people: People = field(init=False)
    nurse: Api = field(init=False)
    home: EmulatedHome = field(init=False)
    boxes: list[Box] = field(default_factory=list[Box])
    lost: Settled = field(init=False)
    lost_process: Guarded = field(init=False)
    lives: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    ready: float = 0.0
    pressed: float = 0.0
    _heard_since: float = 0.0
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def spools(self) -> list[Path]:
        """Every box's spool file."""
        folder = self.folder / "boxes" / self.lost.edge
        return [self.home.spool, folder / SPOOL, *(box.spool.path for box in self.boxes)]

    def greet(self) -> None:
        """Say how to enter and what will happen."""
        for line in (
            "",
            f"  Open      {self.stack.address}/",
            f"  Sign in   {NURSE}",
            f"  Password  {self.people.password}",
            "",
            "The board is in Danish, for the staff of a home care district. All times here are the",
            "demo's own clock: it was moved to the evening and runs at its usual rate.",
            "Within two minutes, each by production's own rules and limits:",
            f"  - {_NAMES[0]} presses the call button round the neck",
            f"  - {_NAMES[0]} does not take the medicine of 22:00, which may be taken until 23:00",
            f"  - {_NAMES[0]} opens the front door after 23:00",
            f"  - {_NAMES[1]}'s box loses contact; there is a call button in that home",
            "Take one of them on the board, and close it.",
            "",
        ):
            self.say(line)

    async def play(self) -> None:
        """What happens, at its times; it ends when all of it has happened."""
        devices = self.home.devices
        await self._at(self.ready + 2)
        self.say(f"The box of {_NAMES[1]} is cut off (its process is stopped).")
        self.lost_process.send(signal.SIGSTOP)
        devices.hall.trigger()
        devices.lounge.measure(21.5, 44.0)
        await self._at(self.ready + 8)
        self.say(f"{_NAMES[0]} presses the call button.")
        self.pressed = time.monotonic()
        devices.button.press()
        await self._at(self.ready + 14)
        devices.thermometer.measure("37.2")
        devices.bed.leave()
        await self._at(max(self._when(23, 0, 4), self.ready + 20))
        self.say("It is past 23:00, and the medicine of 22:00 still lies in the dispenser.")
        devices.dispenser.miss(1)
        devices.bathroom.trigger()
        await self._at(max(self._when(23, 0, 15), self.ready + 25))
        self.say(f"{_NAMES[0]} opens the front door.")
        devices.hall.trigger()
        devices.door.open()
        await asyncio.sleep(6)
        devices.door.close()

    async def report(self) -> None:
        """Say what comes to the board, until cancelled."""
        known = set[str]()
        while True:
            for alert in reversed(await self.nurse.alerts()):
                if alert["id"] not in known:
                    known.add(alert["id"])
                    who = alert["citizen"]["name"]
                    self.say(f"On the board: {alert['kind']}, {who}: {alert['reason']}")
            await asyncio.sleep(0.5)

    async def hush(self) -> None:
        """Let nothing more be heard in any home, and the box that was cut off send the rest."""
        self.bring_back()
        await self.home.hush()
        for task in self.lives:
            await _ended(task)

    def bring_back(self) -> None:
        """Let the box that was cut off go on."""
        self.lost_process.send(signal.SIGCONT)

    # -- setting up

    async def _set_up(self) -> None:
        self.receiver = await self._open.enter_async_context(Receiver())
        webhook = {"webhook_url": self.receiver.url, "webhook_secret": self.receiver.secret}
        self.stack = await asyncio.to_thread(
            Stack.start,
            self.folder,
            clock=self.clock.setting,
            port=self.port,
            settings=webhook,
        )
        self._open.push_async_callback(asyncio.to_thread, self.stack.stop)
        await asyncio.to_thread(self.stack.start_gateway)
        self.say("Broker, database and gateway run.")
        self.people = await asyncio.to_thread(add_people, self.stack)
        self.say(f"The board is at {self.stack.address}/ ({NURSE}, {self.people.password}).")
        self.nurse = await self._open.enter_async_context(
            Api(self.stack.address, self.people.nurse)
        )
        async with Api(self.stack.address, self.people.installer) as installer:
            await self._emulated(installer)
            await self._simulated(installer)
            await installer.all_in_contact(seconds=60)
        await self._calls_are_watched()
        await self._at(self._heard_since + _SETTLED)
        self.ready = time.monotonic()
        self.say(f"Ready: {self.homes} homes are in contact.")

    async def _emulated(self, api: Api) -> None:
        self.home = await self._open.enter_async_context(
            EmulatedHome(self.folder / "home", clock=self.clock.setting, now=self.clock.seconds)
        )
        settled = await settle_one(api, self.stack, _NAMES[0], zone=str(ZONE), join=self.home.join)
        since = (self.clock.now() - timedelta(hours=2)).isoformat()
        plan = {"slots": [DOSE], "valid_from": since}
        fittings = self.home.devices.fittings(dispenser={"from": since, "dose_plan": plan})
        await fit(api, settled.citizen, fittings)
        self.home.start_box()
        await api.all_in_contact(seconds=60)
        self._heard_since = time.monotonic()
        self.say("A home's box has joined with its one-time code; eight devices are placed.")
        self.home.devices.dispenser.due(1)

    async def _simulated(self, api: Api) -> None:
        names = [*_NAMES[1:], *(f"Borger {number}" for number in range(7, self.homes + 1))]
        homes = await settle_many(
            api,
            self.stack,
            names[: self.homes - 1],
            zone=str(ZONE),
            folder=self.folder / "boxes",
            say=self.say,
        )
        since = self.clock.now() - _HEARD_BEFORE
        for home in homes:
            await fit(api, home.citizen, _sensors(home.edge, since))
        self.lost = homes[0]
        await self._lonely(api, homes[0])
        for home in homes[1:]:
            self._box(home, since)
        self.say(f"{len(homes)} simulated homes are placed; their boxes send what they kept.")

    async def _lonely(self, api: Api, home: Settled) -> None:
        """The box that will be cut off: a process of its own, in a home with a call button."""
        button = static_address("simulated", home.edge, "button")
        where = Fitting(address=button, model="call_button", role="call", room="Halssmykke")
        await fit(api, home.citizen, [where])
        folder = self.folder / "boxes" / home.edge
        self.lost_process = Guarded.start(
            [PYTHON, "-P", "-m", "deploy.world.fleet", folder, self.clock.setting],
            log=folder / "log",
            env={**clean_environment(), "PYTHONPATH": str(ROOT)},
        )
        self._open.push_async_callback(asyncio.to_thread, self.lost_process.stop)
        self._open.callback(self.bring_back)  # a stopped process cannot end in good order

    def _box(self, home: Settled, since: datetime) -> None:
        folder = self.folder / "boxes" / home.edge
        clock = clock_from(self.clock.setting, synchronised="yes")
        box = self._open.enter_context(Box(folder, clock))
        self.boxes.append(box)
        simulation = Simulation(name=box.edge, zone=ZONE, rate=self.rate)
        self._start(box.run())
        self.lives.append(self._start(_lives(box, simulation, since)))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._open.push_async_callback(_ended, task)
        return task

    async def _calls_are_watched(self) -> None:
        """Wait until the box that will be cut off is on the short keep-alive of a call button."""
        connected = re.compile(rf" as {self.lost.edge} \([^)]*\bk{_KEEP_ALIVE}\b")
        async with asyncio.timeout(30):
            while not connected.search(self.stack.broker.log.read_text()):  # noqa: ASYNC110 - a log
                await asyncio.sleep(0.1)

    # -- time

    def _when(self, hour: int, minute: int, second: int) -> float:
        """The monotonic second at which the demo's clock shows this time, tonight."""
        at = self.clock.now().replace(hour=hour, minute=minute, second=second, microsecond=0)
        return time.monotonic() + at.timestamp() - self.clock.seconds()

    async def _at(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - time.monotonic()))


def _sensors(edge: str, since: datetime) -> Sequence[Fitting]:
    simulation = Simulation(name=edge, zone=ZONE)
    return [
        Fitting(
            address=simulation.address(sensor),
            model=SOUNDINGS[kind].model,
            role=SOUNDINGS[kind].role,
            room=ROOMS[sensor],
            more={"from": since.isoformat()},
        )
        for sensor, kind in simulation.sensors().items()
    ]


async def _lives(box: Box, simulation: Simulation, since: datetime) -> None:
    await box.knows(simulation.address(sensor) for sensor in simulation.sensors())
    await live(box, simulation, since=since)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

"""A home in a box: broker, database and gateway as processes, homes whose devices are scripted."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from adapters.frame import Frame
from deploy.runtime.database import Database
from deploy.runtime.services import free_port
from deploy.world.api import Api, Json
from deploy.world.fleet import Box
from deploy.world.frames import advertisement, static_address
from deploy.world.home import EmulatedHome
from deploy.world.payloads import (
    BTHOME,
    COMPANY,
    CallFlag,
    bthome_payload,
    call_button_bytes,
    door_object,
    motion_object,
)
from deploy.world.receiver import Notice, Receiver, new_secret
from deploy.world.settling import (
    Fitting,
    People,
    add_installer,
    add_people,
    fit,
    settle_many,
    settle_one,
)
from deploy.world.stack import Stack
from deploy.world.tally import Tally, tally
from edge.clock import Clock, clock_from

ZONE = "Europe/Copenhagen"
SOON = 20.0
"""Seconds within which what is expected has happened, also on a busy machine."""

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Centre:
    """A gateway with everything it needs, and who may ask it."""

    stack: Stack
    people: People
    webhook: int
    secret: str

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        database: Database | None = None,
        nurses: bool = False,
        stages: str | None = None,
    ) -> "Centre":
        """Blocks for some seconds. A broker of its own always, a cluster if none is given.

        Without `nurses` one key does everything: an account takes most of a second to make. Of the
        gateway's stages all run, or those named.
        """
        webhook, secret = free_port(), new_secret()
        stack = Stack.start(
            folder,
            settings={
                "webhook_url": f"http://127.0.0.1:{webhook}/trygport",
                "webhook_secret": secret,
            },
            database=database,
        )
        stack.start_gateway(only=stages)
        people = add_people(stack) if nurses else _one_for_all(add_installer(stack))
        return cls(stack=stack, people=people, webhook=webhook, secret=secret)

    def stop(self) -> None:
        self.stack.stop()

    def nurse(self) -> Api:
        return Api(self.stack.address, self.people.nurse)

    def installer(self) -> Api:
        return Api(self.stack.address, self.people.installer)

    def receiver(self) -> Receiver:
        return Receiver(port=self.webhook, secret=self.secret)

    async def ask(self, question: str, *arguments: object) -> list[Any]:
        """The first column of what the database says, as its owner."""
        db = await asyncpg.connect(self.stack.owner)
        try:
            return [row[0] for row in await db.fetch(question, *arguments)]
        finally:
            await db.close()


@dataclass(slots=True, kw_only=True)
class ScriptedHome:
    """A simulated home with a call button, a door and a motion sensor; a test says what happens."""

    box: Box
    citizen: str
    clock: Clock
    presses: int = 0
    devices: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def button(self) -> str:
        return static_address(self.box.edge, "button")

    @property
    def door(self) -> str:
        return static_address(self.box.edge, "door")

    @property
    def motion(self) -> str:
        return static_address(self.box.edge, "motion")

    def press(self, *, times: int = 1) -> None:
        """The button is pressed once and heard so many times."""
        self.presses += 1
        self.hear(*(self.call(self.presses) for _ in range(times)))

    def call(self, counter: int) -> Frame:
        said = call_button_bytes(CallFlag.PRESSED, counter=counter, battery=80)
        return self._frame(self.button, manufacturer={COMPANY: said})

    def opens(self) -> Frame:
        return self._frame(self.door, data={BTHOME: bthome_payload([door_object(is_open=True)])})

    def moves(self) -> Frame:
        return self._frame(self.motion, data={BTHOME: bthome_payload([motion_object(moving=True)])})

    def hear(self, *frames: Frame) -> None:
        assert self.box.hear(frames) == len(frames)

    async def sent(self, *, seconds: float = SOON) -> None:
        """Wait until the box has a receipt for all that it kept."""
        async with asyncio.timeout(seconds):
            await self.box.spool.drained.wait()

    def _frame(self, address: str, **said: Any) -> Frame:
        return advertisement(address, at=self.clock.now_ms(), uptime=self.clock.uptime(), **said)


@asynccontextmanager
async def scripted_homes(
    centre: Centre,
    folder: Path,
    *,
    homes: int = 1,
    make: Callable[[Path, Clock], Box] = Box,
    run: bool = True,
    since: timedelta = timedelta(),
) -> AsyncGenerator[list[ScriptedHome]]:
    """Homes that have joined and are in contact, every device known to its box.

    The devices are placed there `since` so long.
    """
    clock = clock_from("wall", synchronised="yes")
    names = [f"Borger {number}" for number in range(1, homes + 1)]
    async with centre.installer() as api, contextlib.AsyncExitStack() as open_now:
        made: list[ScriptedHome] = []
        for home in await settle_many(api, centre.stack, names, zone=ZONE, folder=folder):
            box = open_now.enter_context(make(folder / home.edge, clock))
            scripted = ScriptedHome(box=box, citizen=home.citizen, clock=clock)
            placed = {"from": (clock.now() - since).isoformat()} if since else {}
            scripted.devices = await fit(api, home.citizen, _fittings(scripted, placed))
            made.append(scripted)
        if run:
            await open_now.enter_async_context(running(made))
        yield made


@asynccontextmanager
async def running(homes: Sequence[ScriptedHome]) -> AsyncGenerator[None]:
    """The boxes send until the block ends; it begins when each knows its devices."""
    tasks = [asyncio.create_task(home.box.run()) for home in homes]
    try:
        async with asyncio.timeout(SOON):
            for home in homes:
                await home.box.knows(home.devices)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def emulated_home(
    centre: Centre, folder: Path, *, name: str = "Elna Holm"
) -> AsyncGenerator[tuple[EmulatedHome, str]]:
    """A home heard by the real `edge run`, placed and hearing; and its citizen."""
    clock = clock_from("wall")
    now = lambda: clock.now_ms() / 1000  # noqa: E731 - seconds for the dispenser
    async with centre.installer() as api, EmulatedHome(folder, clock="wall", now=now) as home:
        settled = await settle_one(api, centre.stack, name, zone=ZONE, join=home.join)
        # a dispenser tells whole seconds: what it does at once would lie before its placement
        earlier = {"from": (clock.now() - timedelta(minutes=1)).isoformat()}
        fittings = home.devices.fittings(dispenser=earlier)
        await fit(api, settled.citizen, fittings)
        home.start_box()
        wanted = {each.address for each in fittings}
        await soon(lambda: _told(home, wanted), "the box is told its devices")
        yield home, settled.citizen


async def soon(happened: Callable[[], bool], what: str, *, seconds: float = SOON) -> None:
    """Look until it has happened. Fails with `what` when it does not."""
    await eventually(lambda: _now(happened()), what, seconds=seconds)


async def eventually(ask: Callable[[], Awaitable[T]], what: str, *, seconds: float = SOON) -> T:
    """Ask until the answer is true; the answer. Fails with `what` when it does not come."""
    end = asyncio.get_running_loop().time() + seconds
    while not (answer := await ask()):
        assert asyncio.get_running_loop().time() < end, f"did not happen in time: {what}"
        await asyncio.sleep(0.05)
    return answer


async def _now(value: T) -> T:
    return value


async def alerts_of(api: Api, citizen: str, kind: str) -> list[Json]:
    """The citizen's alerts of one kind, newest first."""
    found = await api.alerts(kind=kind)
    return [alert for alert in found if alert["citizen"]["id"] == citizen]


def raised(receiver: Receiver, alert: str) -> list[Notice]:
    """The signed notices that this alert was raised."""
    return [one for one in receiver.of(alert) if one.body["type"] == "alert.raised"]


async def counted(centre: Centre, homes: Sequence[ScriptedHome]) -> Tally:
    """What these boxes have spooled against what is stored."""
    return await tally(centre.stack.owner, [home.box.spool.path for home in homes])


def _fittings(home: ScriptedHome, placed: Json) -> list[Fitting]:
    devices = (
        (home.button, "call_button", "call", "Halssmykke"),
        (home.door, "bthome", "door", "Hoveddør"),
        (home.motion, "bthome", "motion", "Stue"),
    )
    return [
        Fitting(address=address, model=model, role=role, room=room, more=placed)
        for address, model, role, room in devices
    ]


def _one_for_all(key: str) -> People:
    return People(password="", nurse=key, installer=key)


def _told(home: EmulatedHome, wanted: set[str]) -> bool:
    config = home.folder / "config.json"
    return config.exists() and all(address in config.read_text() for address in wanted)

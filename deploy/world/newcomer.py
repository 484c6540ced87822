"""A home whose box is still in its carton: `./deploy/demo --carton`, for who joins it by hand."""

import asyncio
import contextlib
import shlex
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from deploy.runtime.paths import PYTHON, RUNTIME
from deploy.world.api import Api
from deploy.world.home import EmulatedHome
from deploy.world.opened import Opened
from deploy.world.settling import DISTRICT, NURSE, People, add_people, fit
from deploy.world.stack import Stack

CARTON = RUNTIME / "carton"
"""The file with the settings, for the shell of who joins the box."""

_NAME = "Elna Holm"
_ZONE = "Europe/Copenhagen"
_ROUND = 20.0
"""Seconds in which somebody walks through the home and triggers each device once."""
_MEASURED_EVERY = 4
"""Rounds; in between the thermometer is silent, as it is when nobody measures."""


@dataclass(slots=True, kw_only=True)
class Newcomer(Opened):
    """Broker, database, gateway and a furnished home; nobody has joined its box."""

    folder: Path
    say: Callable[[str], None]
    port: int | None = None
    stack: Stack = field(init=False)
    people: People = field(init=False)
    home: EmulatedHome = field(init=False)
    place: UUID = field(init=False)
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    def greet(self) -> None:
        """Say what to type."""
        for line in (
            "",
            "A home with eight devices, and a box in its carton. In another shell:",
            "",
            f"  . {CARTON}",
            '  gateway edges add --home "$HOME_ID"     # prints BOX, CODE and what comes next',
            "  edge join CODE",
            "  edge run &",
            "  gateway walk BOX                        # every device is triggered; each is heard?",
            "  edge doctor                             # what is well, and what is not",
            "",
            f"  The board is at {self.stack.address}/ ({NURSE}, {self.people.password}).",
            "",
        ):
            self.say(line)

    async def _set_up(self) -> None:
        self.stack = await asyncio.to_thread(Stack.start, self.folder, port=self.port)
        self._open.push_async_callback(asyncio.to_thread, self.stack.stop)
        await asyncio.to_thread(self.stack.start_gateway)
        self.people = await asyncio.to_thread(add_people, self.stack)
        self.home = await self._open.enter_async_context(
            EmulatedHome(self.folder / "home", clock="wall", now=time.time)
        )
        async with Api(self.stack.address, self.people.installer) as api:
            home = await api.new_home(district=DISTRICT, zone=_ZONE, name=_NAME, address="Vej 1")
            self.place = UUID(home["id"])
            since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
            fittings = self.home.devices.fittings(dispenser={"from": since})
            await fit(api, home["citizens"][0]["id"], fittings)
        await asyncio.to_thread(self._leave_settings)
        self._open.callback(CARTON.unlink, missing_ok=True)
        self._start(self._walk_through())

    def _leave_settings(self) -> None:
        """For a shell; only its user reads them, for a key to the database is among them."""
        CARTON.parent.mkdir(parents=True, exist_ok=True)
        CARTON.touch(mode=0o600)
        CARTON.write_text("".join(f"export {line}\n" for line in self._settings()))

    def _settings(self) -> Iterator[str]:
        told = {f"GATEWAY_{name.upper()}": value for name, value in self.stack.environment.items()}
        told |= {
            k: v for k, v in self.home.environment().items() if k.startswith(("EDGE_", "DBUS"))
        }
        told["HOME_ID"] = str(self.place)
        yield from (f"{name}={shlex.quote(value)}" for name, value in told.items())
        yield f'PATH={shlex.quote(str(PYTHON.parent))}:"$PATH"'

    async def _walk_through(self) -> None:
        """Somebody walks through the home, again and again, and triggers what is there."""
        devices = self.home.devices
        steps = (
            devices.button.press,
            devices.door.open,
            devices.hall.trigger,
            devices.door.close,
            devices.bathroom.trigger,
            devices.bed.leave,
            lambda: devices.lounge.measure(21.5, 44.0),
        )
        for number in count():
            for step in steps:
                await asyncio.sleep(_ROUND / len(steps))
                step()
            if number % _MEASURED_EVERY == 0:
                devices.thermometer.measure("37.2")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)

        async def end() -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        self._open.push_async_callback(end)

"""One emulated home: devices in the air of an emulated BlueZ, heard by the real `edge run`."""

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Self

from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.services import Guarded, PrivateBus
from deploy.world.api import Json
from deploy.world.bluez import Bluez
from deploy.world.devices import (
    BedSensor,
    CallButton,
    ClimateSensor,
    DoorSensor,
    HealthThermometer,
    MotionSensor,
    keep_speaking,
)
from deploy.world.dispenser import Dispenser
from deploy.world.frames import static_address
from deploy.world.settling import Fitting
from deploy.world.stack import CommandFailed, clean_environment
from edge.keeping.disk import SPOOL


class Devices:
    """What hangs, lies and stands in the home; the clock is the dispenser's, seconds since 1970."""

    def __init__(self, home: str, clock: Callable[[], float]) -> None:
        """The addresses follow from the home's name."""
        address = partial(static_address, "emulated", home)
        self.button = CallButton(address("button"))
        self.door = DoorSensor(address("door"))
        self.hall = MotionSensor(address("hall"))
        self.bathroom = MotionSensor(address("bathroom"))
        self.bed = BedSensor(address("bed"))
        self.lounge = ClimateSensor(address("lounge"))
        self.thermometer = HealthThermometer(address("thermometer"))
        self.dispenser = Dispenser(address("dispenser"), clock=clock)

    def all(self) -> tuple[CallButton | DoorSensor | MotionSensor | BedSensor | Dispenser, ...]:
        """Those that give signs of life by themselves."""
        return (
            self.button,
            self.dispenser,
            self.door,
            self.hall,
            self.bathroom,
            self.bed,
        )

    def fittings(self, *, dispenser: Json) -> list[Fitting]:
        """How each is placed; `dispenser` is its `dose_plan` and `from`, as the API takes them."""
        places = (
            (self.button, "call_button", "call", "Halssmykke"),
            (self.door, "bthome", "door", "Hoveddør"),
            (self.hall, "bthome", "motion", "Entré"),
            (self.bathroom, "bthome", "motion", "Badeværelse"),
            (self.bed, "bthome", "bed", "Soveværelse"),
            (self.lounge, "bthome", "climate", "Stue"),
            (self.thermometer, "thermometer", "thermometer", "Badeværelse"),
            (self.dispenser, "dispenser", "dispenser", "Køkken"),
        )
        return [
            Fitting(
                address=device.address,
                model=model,
                role=role,
                room=room,
                more=dispenser if device is self.dispenser else {},
            )
            for device, model, role, room in places
        ]


class EmulatedHome:
    """The home's air and its box. The box is a process of its own; it may be killed and started."""

    def __init__(self, folder: Path, *, clock: str, now: Callable[[], float]) -> None:
        """`clock` is the box's setting; `now` gives the same time in seconds since 1970."""
        self.folder = folder
        self.devices = Devices(str(folder), now)
        self.bluez = Bluez()
        self.box: Guarded | None = None
        self._clock = clock
        self._bus: PrivateBus | None = None
        self._speaking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._bus = await asyncio.to_thread(PrivateBus.start, self.folder / "bus")
        await self.bluez.start(self._bus.address)
        devices = self.devices
        self.bluez.add(*devices.all(), devices.lounge, devices.thermometer)
        self._speaking = asyncio.create_task(keep_speaking(devices.all(), every=30))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop_box)
        await self.hush()
        await self.bluez.stop()
        if self._bus is not None:
            await asyncio.to_thread(self._bus.stop)

    async def hush(self) -> None:
        """No device says anything by itself any more."""
        if self._speaking is not None:
            self._speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._speaking

    @property
    def spool(self) -> Path:
        """The box's spool file."""
        return self.folder / SPOOL

    @property
    def log(self) -> Path:
        """What the box says of itself."""
        return self.folder / "edge.log"

    def join(self, code: str) -> None:
        """`edge join CODE`, as a technician types it. Raises CommandFailed."""
        done = subprocess.run(
            [PYTHON, "-P", "-m", "edge.main", "join", code],
            env=self.environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(done.stderr.strip())

    def start_box(self) -> Guarded:
        """`edge run`."""
        self.box = Guarded.start(
            [PYTHON, "-P", "-m", "edge.main", "run"], log=self.log, env=self.environment()
        )
        return self.box

    def stop_box(self) -> None:
        """The box stops in good order, and says so."""
        if self.box is not None:
            self.box.stop()
            self.box = None

    def environment(self) -> Mapping[str, str]:
        """For a program of the box."""
        bus = {} if self._bus is None else {"DBUS_SYSTEM_BUS_ADDRESS": self._bus.address}
        return {
            **clean_environment(),
            **bus,
            "PYTHONPATH": str(ROOT),
            "EDGE_HOME": str(self.folder),
            "EDGE_CLOCK": self._clock,
            "EDGE_PRODUCTION": "no",
            "EDGE_SYNCHRONISED": "yes",
        }

"""Hears advertisements by bleak and makes frames, and hands over links to devices in the air."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak_retry_connector import close_stale_connections_by_address

from adapters.frame import LANES, Frame, Lane
from edge.bluez.air import Air, frame
from edge.bluez.daemon import Loss, watch
from edge.clock import Clock
from edge.event import Say, say_nothing
from edge.hearing.anew import Anew
from edge.hearing.echo import Echo
from edge.hearing.ladder import Trouble
from edge.hearing.mode import Probe, Verdict, patterns
from edge.hearing.patience import PATIENCE, Patience
from edge.hearing.silence import Change, Silence
from edge.hearing.strangers import Strangers
from edge.hearing.watchdog import Watchdog
from edge.radio import Mode
from edge.radio import Reader as State
from edge.told.config import Config
from edge.told.discovery import LONGEST, Sighting, Window
from edge.visiting.connection import Records, VisitFailed
from edge.visiting.link import FAULTS, Link, link, why_unwell
from edge.visiting.visitor import Visitor

STARTING = 20.0
"""Seconds for BlueZ to answer a start or a stop."""
LONGEST_PAUSE = 300.0
"""Seconds between two new scans at most, while each of them hears nothing."""

_log = logging.getLogger(__name__)


class Reader:
    """One scanner for as long as it hears, a watchdog over it, and the links for the visitor.

    Only devices of the configuration and calls become frames; of all others nothing is kept.
    `keep` must have the frames on disk when it returns. `told` hears of every change of state.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        keep: Callable[[Sequence[Frame], Lane], None],
        records: Records,
        told: Callable[[State], None],
        say: Say = say_nothing,
        adapter: str = "",
        patience: Patience = PATIENCE,
        quiet: Silence | None = None,
    ) -> None:
        self.state: State = "starting"
        self.mode: Mode = "active"
        self._clock = clock
        self._keep = keep
        self._told = told
        self._say = say
        self._adapter = adapter
        self._patience = patience
        self._tried: set[str] | None = None
        self._unsettled = True
        self._config = Config()
        self._air = Air()
        self._echo = Echo()
        self._strangers = Strangers()
        self._quiet = quiet or Silence()
        self._scanner: BleakScanner | None = None
        self._devices: dict[str, BLEDevice] = {}
        self._linked: set[str] = set()
        self._windows: list[Window] = []
        self._waiting: list[tuple[Frame, Lane]] = []
        self._heard_at: float | None = None
        self._silent_from: float | None = None
        self._loss: Loss | None = None
        self._failures = 0
        self._fresh = True
        self._stirred = asyncio.Event()
        self._anew = Anew()
        self._heard = asyncio.Event()
        self._watchdog = Watchdog(clock=clock, notes=records, say=say, adapter=adapter)
        self._visitor = Visitor(
            clock=clock,
            keep=keep,
            records=records,
            connect=self._connect,
            say=say,
            step=patience.step,
        )

    def follow(self, config: Config) -> None:
        """Hear what this configuration names, from now on."""
        if _listened_for(config) != _listened_for(self._config):
            self._doubt_passive()
        self._config = config
        self._devices = {a: d for a, d in self._devices.items() if a in config.devices}
        self._quiet.rhythm.only(frozenset(config.devices))
        self._visitor.follow(config)

    @property
    def placed_heard(self) -> int:
        """How many of the placed devices have been heard since the start."""
        return len(self._devices)

    def heard_lately(self, seconds: float) -> int:
        """How many of the placed devices have been heard within so many seconds."""
        return self._quiet.rhythm.heard_since(self._now() - seconds)

    async def discover(self, seconds: float) -> list[Sighting]:
        """What is in the air from now on for so long (`LONGEST` at most), the strongest first.

        It changes nothing of what is recorded: neighbours are told to who asked, and forgotten.
        """
        window, before = Window(), self.mode
        self._windows.append(window)
        self._doubt_passive()  # a passive scan does not hear all
        try:
            await asyncio.sleep(min(seconds, LONGEST))
        finally:
            self._windows.remove(window)
            self._unsettled |= before == "passive"
            self._stirred.set()
        return window.sightings()

    async def rescan(self, seconds: float) -> float | None:
        """Begin a new scan; after how many seconds it heard something, None where it did not."""
        self._say("radio.rescanned", asked=True)
        self._stirred.set()
        return await self._anew.heard(seconds)

    def _doubt_passive(self) -> None:
        self._unsettled |= self.mode == "passive"
        self._stirred.set()

    async def run(self) -> None:
        """Hear until cancelled. Raises what `keep` raises."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._scan_for_ever(), name="scan")
            group.create_task(watch(self._lost), name="watch")
            group.create_task(self._look_for_ever(), name="look")
            group.create_task(self._keep_for_ever(), name="keep")
            group.create_task(self._visitor.run(), name="visit")

    # -- scanning

    async def _scan_for_ever(self) -> None:
        """One scanner for as long as it hears; then the steps of the ladder, one by one."""
        while True:
            if self._unsettled:
                await self._settle()
            if self._anew.begin():
                self._scanner = None
            scanner = self._scanner = self._scanner or self._new_scanner(self.mode)
            trouble = await self._listen(scanner)
            if trouble is None:
                continue
            self._say_silent(trouble)
            if await self._watchdog.climb(trouble) != "rescan":
                self._scanner = None
            if self._failures:
                await self._anew.rest(min(2.0 ** (self._failures - 1), LONGEST_PAUSE))

    async def _settle(self) -> None:
        """Active or passive: chosen by trying both where BlueZ offers both."""
        self._unsettled, self._scanner = False, None
        verdict = await self._tried_both()
        self.mode = verdict.mode
        self._say("radio.mode", mode=verdict.mode, why=verdict.why)

    async def _tried_both(self) -> Verdict:
        if self._windows or not self._config.devices:
            return Verdict(mode="active", why="discovery" if self._windows else "nothing_placed")
        try:
            await self._try("passive", 0)
            heard = await self._try("active", self._patience.trial)
            passively = await self._try("passive", self._patience.trial)
        except FAULTS:
            return Verdict(mode="active", why="passive_refused")
        probe = Probe(heard, passively, told_repeats=self._quiet.told_repeats)
        return probe.verdict(self._config)

    async def _try(self, mode: Mode, seconds: float) -> set[str]:
        """The placed devices that are heard; their frames are kept as always."""
        heard = self._tried = set[str]()
        self._quiet.begun(self._now())
        scanner = self._new_scanner(mode)
        try:
            async with asyncio.timeout(STARTING):
                await scanner.start()
            await asyncio.sleep(seconds)
        finally:
            self._tried = None
            await self._stop(scanner)
        return heard

    async def _listen(self, scanner: BleakScanner) -> Trouble | None:
        """Until nothing is heard, bluetoothd or the adapter goes away, or the mode is in doubt."""
        self._heard_at, self._loss = None, None
        try:
            async with asyncio.timeout(STARTING):
                await scanner.start()
            await self._let_go()
            self._failures = 0
            self._quiet.begun(self._now())
            return await self._until_trouble(
                self._patience.first * self._watchdog.ladder.patience()
            )
        except FAULTS as fault:
            _log.warning("the scan did not start: %s", fault or type(fault).__name__)
            self._failures = min(self._failures + 1, 10)
            return why_unwell(fault)
        finally:
            await self._stop(scanner)

    async def _until_trouble(self, patience: float) -> Trouble | None:
        started = self._now()
        while self._loss is None and not self._unsettled and not self._anew.is_due:
            if (last := self._heard_at) is not None:
                self._say_hearing()
            until = started + patience if last is None else last + self._patience.silence
            if until <= self._now():
                return "silent"
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._stirred.wait()
            self._stirred.clear()
        return self._loss

    def _lost(self, loss: Loss) -> None:
        self._loss = loss
        self._stirred.set()

    def _say_silent(self, trouble: Trouble) -> None:
        if self.state != "silent":
            self._silent_from = self._heard_at or self._now()
            self._say("radio.silent", trouble=trouble)
        self._tell("silent")

    def _say_hearing(self) -> None:
        """Once after each silence: which step may have healed it."""
        healed = self._watchdog.heard()
        if self._silent_from is not None:
            silent = round(self._now() - self._silent_from, 1)
            self._silent_from = None
            self._say("radio.hearing", healed_by=healed, silent_seconds=silent)

    def _new_scanner(self, mode: Mode) -> BleakScanner:
        # repeated bytes are reported too, else a second press with the bytes of the first is none
        bluez: Any = {"filters": {"DuplicateData": True}, "or_patterns": patterns(self._config)}
        if self._adapter:
            bluez["adapter"] = self._adapter
        return BleakScanner(self._advertised, scanning_mode=mode, bluez=bluez)

    async def _let_go(self) -> None:
        """Once: end the links of an agent before us that was killed.

        BlueZ keeps them, and a device in a connection advertises nothing.
        """
        if self._fresh:
            self._fresh = False
            for address, device in self._config.devices.items():
                if device.connect is not None:
                    with suppress(*FAULTS):
                        async with asyncio.timeout(self._patience.step):
                            await close_stale_connections_by_address(address)

    async def _stop(self, scanner: BleakScanner) -> None:
        """Stopping fails when the daemon has died or hangs; a new scan is begun all the same."""
        with suppress(*FAULTS):
            async with asyncio.timeout(STARTING):
                await scanner.stop()

    def _advertised(self, device: BLEDevice, said: AdvertisementData) -> None:
        """Called by bleak for every report; it only sorts and hands over."""
        properties = cast("Mapping[str, Any]", said.platform_data[1])
        try:
            self._sort(device, properties)
        except (KeyError, TypeError, ValueError) as odd:
            ours = device.address in self._config.devices  # of a neighbour's nothing is written
            who, why = (device.address, repr(odd)) if ours else ("a stranger", type(odd).__name__)
            _log.warning("%s: a report that cannot be read: %s", who, why)

    def _sort(self, device: BLEDevice, properties: Mapping[str, Any]) -> None:
        if not self._air.heard(properties):
            return
        if self._heard_at is None:
            self._stirred.set()
        self._heard_at = self._now()
        self._anew.hear()
        self._tell("hearing")
        for window in self._windows:
            window.hear(properties)
        self._quiet.told_repeats |= self._air.told_again
        heard = frame(properties, self._clock)
        listed = self._config.devices.get(heard.device)
        lane = self._config.lane(heard)
        if listed is None and lane is None:
            return
        if listed is not None:
            self._devices[heard.device] = device
            self._quiet.rhythm.hear(heard.device, self._heard_at)
            if self._tried is not None:
                self._tried.add(heard.device)
        news = self._echo.hear(heard)
        if news is None or (listed is None and not self._admitted(heard.device)):
            return
        if lane is not None:
            self._waiting.append((news, lane))
            self._heard.set()
        self._visitor.heard(heard.device)

    def _admitted(self, stranger: str) -> bool:
        admitted = self._strangers.admit(stranger, self._now())
        if (refused := self._strangers.complaint(self._now())) is not None:
            _log.warning("too many calls of devices placed nowhere here: %d not kept", refused)
        return admitted

    # -- devices that fall silent

    async def _look_for_ever(self) -> None:
        """Only while the radio hears: a deaf radio says nothing of any device."""
        while True:
            await asyncio.sleep(self._patience.looking)
            if self.state == "hearing":
                placed = self._config.devices.keys() - self._linked
                for change in self._quiet.look(placed, self._now(), self._remembers):
                    self._say_changed(change)

    def _say_changed(self, change: Change) -> None:
        word = "device.heard" if change.speaks else "device.silent"
        usual = None if change.usual is None else round(change.usual)
        silent = round(change.silent)
        self._say(word, device=change.address, silent_seconds=silent, usual_seconds=usual)

    def _remembers(self, address: str) -> bool:
        """Whether BlueZ has the device still; it forgets those unheard for 30 s."""
        if self._scanner is None:
            return True
        return any(device.address == address for device in self._scanner.discovered_devices)

    # -- keeping

    async def _keep_for_ever(self) -> None:
        """All that came while the disk was busy is one transaction: calls first."""
        while True:
            await self._heard.wait()
            self._heard.clear()
            waiting, self._waiting = self._waiting, []
            for lane in LANES:
                frames = [heard for heard, its in waiting if its == lane]
                if frames:
                    self._keep(frames, lane)

    # -- connecting

    @asynccontextmanager
    async def _connect(self, address: str, left: Callable[[], None]) -> AsyncGenerator[Link]:
        """A link to a device, by `edge.visiting.visitor.Connect`."""
        device = self._devices.get(address)
        if device is None:
            raise VisitFailed("it has not been heard yet")
        async with link(
            device, left, connecting=3 * self._patience.step, leaving=self._patience.step
        ) as made:
            self._linked.add(address)
            try:
                yield made
            finally:
                self._linked.discard(address)
                self._quiet.rhythm.excuse(address, self._now())

    def _tell(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._told(state)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _listened_for(config: Config) -> object:
    return config.devices.keys(), config.calls

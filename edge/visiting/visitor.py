"""Connects to one device after another, by their hearing plans: the queue for connections."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol

from adapters.frame import Frame, Lane
from edge.bluez.agent import Agent
from edge.bluez.mending import forget
from edge.clock import Clock
from edge.event import Say
from edge.told.config import Config, Device, Plan
from edge.visiting.bond import Bonds, Paired
from edge.visiting.connection import STEP, Client, KeysRefused, Records, Visit, VisitFailed
from edge.visiting.visits import Visits

STEPS = 8
"""So many times the seconds of a step a whole visit may take beyond what its plan allows for
listening and downloading; then the next device has its turn."""
CANCELS = 3
"""A cleaning up that hangs, as bleak's Disconnect may, is cut off too, so many times at most."""

_log = logging.getLogger(__name__)


class Link(Client, Paired, Protocol):
    """A connected device."""


class Connect(Protocol):
    """Makes a link to a device that is heard, and ends it whatever happens within.

    `left` is called when the link has ended. Raises VisitFailed for all that goes wrong.
    """

    def __call__(
        self, address: str, left: Callable[[], None], /
    ) -> AbstractAsyncContextManager[Link]: ...


class Visitor:
    """One connection at a time: connections are few, and a device in one says nothing else.

    `keep` takes frames over before it returns. The agent for pairing is here, for only the
    device that is being visited may pair.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        keep: Callable[[Sequence[Frame], Lane], None],
        records: Records,
        connect: Connect,
        say: Say,
        step: float = STEP,
    ) -> None:
        self._clock = clock
        self._keep = keep
        self._records = records
        self._connect = connect
        self._say = say
        self._step = step
        self._config = Config()
        self._visits = Visits(retry=step / 3)
        self._visited: str | None = None
        self._agent = Agent(self._may_pair)
        self._bonds = Bonds(records, say, forget, ready=self._agent.ready.is_set)
        self._due = asyncio.Event()

    def follow(self, config: Config) -> None:
        """Visit what this configuration names, from now on."""
        self._config = config
        self._visits.follow(config, _now())
        self._due.set()

    def heard(self, address: str) -> None:
        """A device has advertised news."""
        if self._visits.heard(address, _now()):
            self._due.set()

    async def run(self) -> None:
        """Visit until cancelled. Raises what `keep` raises."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._agent.run(), name="pairing agent")
            group.create_task(self._visit_for_ever(), name="visits")

    def _may_pair(self, address: str) -> bool:
        plan = self._plan(address)
        return address == self._visited and plan is not None and plan.pair

    async def _visit_for_ever(self) -> None:
        while True:
            address = self._visits.next(_now())
            if address is None:
                await self._until_due()
                continue
            self._visits.begun(address)
            self._visited = address
            well = await self._within_bounds(address)
            self._visited = None
            self._visits.ended(address, _now(), well=well)

    async def _until_due(self) -> None:
        due = self._visits.wakes()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._due.wait()
        self._due.clear()

    async def _within_bounds(self, address: str) -> bool:
        """Whether the visit went well; whatever hangs in it, it ends. Raises what `keep` raises."""
        if (plan := self._plan(address)) is None:
            return False
        visit = asyncio.create_task(self._visit(address))
        try:
            await asyncio.wait({visit}, timeout=STEPS * self._step + plan.longest)
        finally:
            await _end(visit, self._step)
        if visit.done() and not visit.cancelled():
            return visit.result()
        _log.warning("%s: the visit was given up, something in it hangs", address)
        return False

    async def _visit(self, address: str) -> bool:
        try:
            if await self._connection(address):
                return True
            if await self._connection(address):  # at once, while the device is awake
                return True
            _log.info("%s: it has not kept the bond", address)
        except (TimeoutError, VisitFailed) as fault:
            _log.info("%s: the visit failed: %s", address, fault or type(fault).__name__)
        return False

    async def _connection(self, address: str) -> bool:
        """Whether the device was visited; False: it was paired and left. Raises VisitFailed."""
        listed = self._config.devices.get(address)
        if listed is None or listed.connect is None:
            raise VisitFailed("it is not to be visited any more")
        visit = self._new_visit(listed, listed.connect)
        async with self._connect(address, visit.leave) as client:
            if listed.connect.pair and await self._paired(address, client):
                return False
            try:
                await visit.run(client)
            except KeysRefused:
                if listed.connect.pair:
                    await self._bonds.refused(address, client)
                raise
        if listed.connect.pair:
            self._bonds.proved(address)
        return True

    async def _paired(self, address: str, client: Link) -> bool:
        async with asyncio.timeout(2 * self._step):
            return await self._bonds.made(address, client, _now())

    def _new_visit(self, listed: Device, plan: Plan) -> Visit:
        return Visit(
            device=listed.address,
            plan=plan,
            clock=self._clock,
            records=self._records,
            step=self._step,
            keep=lambda frames: self._keep(frames, listed.lane),
            say=self._say,
            zone=self._config.zone,
        )

    def _plan(self, address: str) -> Plan | None:
        listed = self._config.devices.get(address)
        return None if listed is None else listed.connect


async def _end(task: asyncio.Task[bool], patience: float) -> None:
    """Cancel until it is over, or let go of it."""
    for _ in range(CANCELS):
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=patience)


def _now() -> float:
    return asyncio.get_running_loop().time()

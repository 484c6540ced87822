"""Homes that live and people who move alerts, for the drill of a restore."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx2

from deploy.world.api import Api, ApiRefused
from deploy.world.chaos.obligations import Obligations
from deploy.world.chaos.traffic import Home, Life, MovedClock
from deploy.world.fleet import Box
from deploy.world.settling import Fitting, Settled, add_installer, fit, settle_many
from deploy.world.stack import Stack
from edge.clock import clock_from

SETTLED = 90.0
"""Seconds within which the boxes have filled what is missing, and all is judged."""
_CALM = 2.0
_PACE = 0.15  # mean seconds between two things that happen in a home
_FORGETS = 0.2
_WORKS = 0.2
_NEXT: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "new": ("take", {}),
    "taken": ("set_out", {}),
    "on_the_way": ("arrive", {}),
    "with_citizen": ("close", {"outcome": "helped"}),
}
"""What a person does with an alert in each state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move that the API has confirmed; `at` as time.monotonic() has it."""

    alert: str
    move: str
    at: float


@dataclass(slots=True, kw_only=True)
class Household:
    """One home with its box, and the record of what its spool has promised."""

    home: Home
    box: Box
    life: Life
    record: Obligations


class Village:
    """Homes with real spools and uplinks; `forgets`: they let go of a frame on its receipt."""

    def __init__(
        self, stack: Stack, folder: Path, *, homes: int, seed: int, forgets: bool = False
    ) -> None:
        self.stack = stack
        self.moves: list[Move] = []
        self.households: list[Household] = []
        self._folder = folder
        self._homes = [Home(index=n, homes=homes, name=f"drill {seed}") for n in range(homes)]
        self._seed = seed
        self._forgets = forgets
        self._rng = random.Random(seed)  # noqa: S311 - play
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True)
            key = await asyncio.to_thread(add_installer, self.stack)
            self.api = await self._open.enter_async_context(Api(self.stack.address, key))
            names = [f"Borger {home.index + 1}" for home in self._homes]
            settled = await settle_many(
                self.api, self.stack, names, zone="Europe/Copenhagen", folder=self._folder
            )
            for home, where in zip(self._homes, settled, strict=True):
                await self._furnish(home, where)
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    def record(self, edge: str) -> Path:
        """Where a box's obligations are written down."""
        return self._folder / f"{edge}.jsonl"

    @asynccontextmanager
    async def living(self) -> AsyncGenerator[None]:
        """Things happen in all homes until the block ends; it begins when boxes know devices."""
        for one in self.households:
            async with asyncio.timeout(SETTLED):
                await one.box.knows(one.home.placed)
        async with _until_the_end([self._live(one) for one in self.households]):
            yield

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """People move alerts until the block ends."""
        async with _until_the_end([self._work()]):
            yield

    async def settle(self) -> None:
        """Wait until the boxes follow the store's epoch, have filled it, and all is judged."""
        end = time.monotonic() + SETTLED
        while time.monotonic() < end and not await self._is_settled():  # noqa: ASYNC110 - no bell
            await asyncio.sleep(_WORKS)
        await asyncio.sleep(_CALM)  # one too many would come now

    async def _is_settled(self) -> bool:
        try:
            db = await asyncpg.connect(self.stack.owner)
        except (OSError, asyncpg.PostgresError):
            return False
        try:
            epoch = str(await db.fetchval("SELECT epoch FROM store"))
            left = await db.fetchval("SELECT count(*) FROM pending")
        finally:
            await db.close()
        spools = [one.box.spool for one in self.households]
        return not left and all(one.epoch == epoch and not one.depth() for one in spools)

    async def _furnish(self, home: Home, where: Settled) -> None:
        fittings = [
            Fitting(address=address, model=model, role=role, room=room)
            for address, (model, role, room) in home.placed.items()
        ]
        await fit(self.api, where.citizen, fittings)
        clock = MovedClock(clock_from("wall", synchronised="yes"))
        box = self._open.enter_context(Box(self._folder / where.edge, clock))
        record = Obligations(self.record(where.edge), box.spool.path)
        self._open.callback(record.close)
        life = Life(
            home=home,
            rng=random.Random(f"{self._seed} {home.index}"),  # noqa: S311 - play
            clock=clock,
            starts=0,
            log=self._folder / f"{where.edge}.dispenser",
        )
        one = Household(home=home, box=box, life=life, record=record)
        self.households.append(one)
        tasks = [box.run(), *([self._forget(one)] if self._forgets else [])]
        await self._open.enter_async_context(_until_the_end(tasks))

    async def _live(self, one: Household) -> None:
        while True:
            await asyncio.sleep(one.life.rng.expovariate(1 / _PACE))
            lane, sayings = one.life.something()
            one.record.keep(one.box.spool, lane, list(sayings))

    async def _forget(self, one: Household) -> None:
        """The saboteur: whatever has a receipt goes at once, also of this very hour."""
        spool = one.box.spool
        while True:
            keeps, spool.keep_days = spool.keep_days, -1.0
            spool.forget(at_most=100_000)
            spool.keep_days = keeps
            await asyncio.sleep(_FORGETS)

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(_WORKS)
            with contextlib.suppress(ApiRefused, httpx2.HTTPError):
                todo = await self.api.alerts(state="open", kind="call_pressed")
                if todo:
                    await self._move(self._rng.choice(todo))

    async def _move(self, alert: Mapping[str, Any]) -> None:
        move, more = _NEXT[alert["state"]]
        await self.api.post(f"/alerts/{alert['id']}/{move}", dict(more))
        self.moves.append(Move(alert=alert["id"], move=move, at=time.monotonic()))


@asynccontextmanager
async def _until_the_end(work: list[Any]) -> AsyncGenerator[None]:
    """Tasks that run until the block ends; one that fails shows there."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for fault in ended:
        if isinstance(fault, Exception):
            raise fault

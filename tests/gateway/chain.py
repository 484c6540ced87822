"""Ingest and watch of one home on one clock, and a box whose clock is wrong as a test says."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from adapters.frame import Batch, Clock, Frame
from adapters.observation import ClockQuality, Kind
from deploy.runtime.services import OneDatabase
from gateway.store.pool import Pool, connect
from gateway.watch import RuleBook, Watch
from tests.frames import press
from tests.gateway.ingest_home import Parts, parts, settings

LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)
ZERO = datetime(1970, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


class Chain:
    """What a box sends is stored and judged; the gateway's clock is true and set by a test."""

    def __init__(self, ingest: Parts, pool: Pool) -> None:
        self.ingest = ingest
        self.watch = Watch(pool, ingest.clock, RuleBook(), channels=("webhook",))

    async def take(self, *batches: Batch, at: datetime) -> None:
        """Store what arrives at this time, and judge it."""
        self.ingest.clock.at = at
        await self.ingest.store(*batches)
        await self.judge(at)

    async def judge(self, at: datetime) -> None:
        """Deadlines that have come first, then what is new, until there is neither."""
        self.ingest.clock.at = at
        while True:
            due = await self.watch.judge_due()
            pending = await self.watch.judge_pending(("urgent", "bulk"))
            if not due.done and not pending.done:
                return

    async def rows(self, query: str, *arguments: object) -> list[Row]:
        return await self.ingest.rows(query, *arguments)

    async def heard(self, kind: Kind = Kind.CALL_PRESSED) -> Mapping[int, tuple[datetime, int]]:
        """When each press (by its counter) occurred, and how sure that is."""
        rows = await self.rows("SELECT * FROM observation WHERE kind = $1 ORDER BY occurred", kind)
        said = {int(row["value"]): (row["occurred"], ClockQuality(row["clock"])) for row in rows}
        assert len(said) == len(rows), "a press is stored twice"
        return said

    async def alerts(self) -> list[Row]:
        return await self.rows("SELECT * FROM alert ORDER BY raised, kind")

    async def findings(self, rule: str) -> list[Row]:
        return await self.rows("SELECT * FROM finding WHERE rule = $1 ORDER BY since", rule)


@asynccontextmanager
async def chain(where: OneDatabase) -> AsyncGenerator[Chain]:
    """The home of `ingest_home`, its devices placed and its box in contact since long ago."""
    async with parts(where) as ingest, connect(settings(where), "watch") as pool:
        await ingest.rows('UPDATE placement SET "from" = $1 RETURNING id', LONG_AGO)
        await ingest.rows(
            'INSERT INTO contact (municipality, edge, "from") VALUES (1, 1, $1) RETURNING id',
            LONG_AGO,
        )
        yield Chain(ingest, pool)


@dataclass(slots=True, kw_only=True)
class Machine:
    """A box. A test moves the true time on; its wall clock shows that plus `wrong`.

    `sure` is what the box believes of its clock.
    """

    now: datetime
    wrong: timedelta = timedelta()
    sure: bool = True
    boot: str = field(default_factory=lambda: str(uuid4()))
    booted: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.booted = self.now - timedelta(minutes=1)

    def passes(self, **time: float) -> datetime:
        """The true time then."""
        self.now += timedelta(**time)
        return self.now

    def shows(self, wall: datetime, *, sure: bool) -> None:
        """The wall clock is set."""
        self.wrong, self.sure = wall - self.now, sure

    def starts_again(self, wall: datetime, *, sure: bool) -> None:
        """Another boot, with this on the wall clock."""
        self.boot, self.booted = str(uuid4()), self.now
        self.passes(seconds=10)
        self.shows(wall, sure=sure)

    def presses(self, counter: int) -> Frame:
        return self.hears(partial(press, counter))

    def hears(self, make: Callable[..., Frame]) -> Frame:
        return make(at=self._wall(), uptime=self._uptime(), sure=self.sure)

    def sends(self, *frames: Frame, boot: str = "", **fields: Any) -> Batch:
        """A batch of frames that were heard in this boot or in an earlier one."""
        clock = Clock(synchronised=self.sure, boot=self.boot, uptime=self._uptime())
        usual: dict[str, Any] = {
            "edge": "box-01",
            "stream": str(uuid4()),
            "first": 1,
            "sent_at": self._wall(),
            "boot": boot or self.boot,
            "clock": clock,
            "frames": frames,
        }
        return Batch(**usual | fields)

    def _wall(self) -> int:
        return (self.now + self.wrong - ZERO) // timedelta(milliseconds=1)

    def _uptime(self) -> float:
        return round((self.now - self.booted).total_seconds(), 3)

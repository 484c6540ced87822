"""A dose's time is over while boxes are cut off: over real MQTT, in the night of two 02:30s.

The clock is driven, so that the night of 2026-10-25 in Copenhagen passes in seconds.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from adapters.frame import Frame
from deploy.runtime.database import Database
from deploy.world.api import Api, Json
from deploy.world.dispenser import EVENT, Confirmation, Event, Record, record_bytes
from deploy.world.fleet import Box
from deploy.world.frames import static_address
from deploy.world.replay import set_clock
from deploy.world.settling import Fitting, Settled, add_installer, fit, settle_many
from deploy.world.stack import Stack
from edge.clock import DrivenClock
from edge.sending.line import Line
from edge.sending.uplink import Uplink
from tests.acceptance.home import SOON, eventually

pytestmark = pytest.mark.slow

ZONE = "Europe/Copenhagen"
PLAN = {"slots": [{"slot": 1, "at": "02:30", "window_minutes": 60, "grace_minutes": 30}]}
"""Due at the first 02:30; its time is over when the clocks show 03:00."""
NAMES = ("I tide", "For sent", "Aldrig", "Hele tiden")


def local(text: str, fold: int = 0) -> datetime:
    """The instant of a local time of the 25th of October, or of another day that is named."""
    day = text if " " in text else f"2026-10-25 {text}"
    return datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(ZONE), fold=fold).astimezone(UTC)


class Cable(Uplink):
    """A cable that can be pulled out, and put in again."""

    pulled = False

    async def open(self) -> Line:
        while self.pulled:  # noqa: ASYNC110 - a cable rings no bell
            await asyncio.sleep(0.05)
        return await super().open()

    def pull(self) -> None:
        self.pulled = True
        self.drop()


@dataclass(slots=True, kw_only=True)
class Home:
    """One home with a dispenser that keeps numbered records."""

    settled: Settled
    box: Box
    records: int = 0

    @property
    def cable(self) -> Cable:
        assert isinstance(self.box.uplink, Cable)
        return self.box.uplink

    @property
    def dispenser(self) -> str:
        return static_address("dispenser", self.box.edge)

    def takes(self, at: datetime) -> None:
        """The dose is taken; the box fetches the record at once, whether it has a cable or not."""
        self.records += 1
        record = Record(
            number=self.records,
            seconds=int(at.timestamp()),
            event=Event.DOSE_TAKEN,
            slot=1,
            confirmation=Confirmation.OK_BUTTON,
        )
        heard = Frame(
            device=self.dispenser,
            heard="characteristic",
            at=self.box.clock.now_ms(),
            uptime=self.box.clock.uptime(),
            uuid=EVENT,
            value=record_bytes(record),
        )
        assert self.box.hear([heard]) == 1


@dataclass(slots=True, kw_only=True)
class Night:
    """Everything that runs, and its clock."""

    stack: Stack
    path: Path
    api: Api
    db: "asyncpg.Connection[asyncpg.Record]"
    homes: dict[str, Home] = field(default_factory=dict[str, Home])

    async def moves_to(self, at: datetime) -> None:
        """Let it be this time, and wait until everything that is due by then is judged."""
        set_clock(self.path, at)
        await self.quiet(at)

    async def quiet(self, at: datetime) -> None:
        await eventually(
            lambda: self.db.fetchval(
                "SELECT NOT EXISTS (SELECT FROM deadline WHERE due <= $1)"
                " AND NOT EXISTS (SELECT FROM pending)",
                at,
            ),
            "all is judged",
        )

    async def missed(self, name: str) -> list[Json]:
        citizen = self.homes[name].settled.citizen
        found = await self.api.alerts(kind="dose_missed")
        return [alert for alert in found if alert["citizen"]["id"] == citizen]

    async def finding(self, name: str) -> tuple[str, str]:
        """How it stands with the one dose of this citizen, and what is said of it."""
        (row,) = await self.db.fetch(
            "SELECT f.state, f.reason FROM finding f JOIN citizen c ON c.id = f.citizen"
            " WHERE c.public::text = $1 AND f.rule = 'dose_missed'",
            self.homes[name].settled.citizen,
        )
        return row["state"], row["reason"]

    async def in_contact(self, boxes: int) -> None:
        await eventually(
            lambda: self.db.fetchval('SELECT count(*) = $1 FROM contact WHERE "to" IS NULL', boxes),
            f"{boxes} boxes are in contact",
        )


@pytest.fixture
async def night(database: Database, tmp_path: Path) -> AsyncIterator[Night]:
    path = tmp_path / "clock"
    set_clock(path, local("2026-10-24 20:00"))
    stack = await asyncio.to_thread(
        Stack.start, tmp_path / "stack", clock=f"driven:{path}", database=database
    )
    try:
        await asyncio.to_thread(stack.start_gateway)
        key = await asyncio.to_thread(add_installer, stack)
        async with _settled(stack, path, key, tmp_path / "boxes") as made:
            yield made
    finally:
        await asyncio.to_thread(stack.stop)


@asynccontextmanager
async def _settled(stack: Stack, path: Path, key: str, folder: Path) -> AsyncGenerator[Night]:
    """Four homes with a dispenser each, in contact since the evening."""
    async with AsyncExitStack() as open_now:
        api = await open_now.enter_async_context(Api(stack.address, key))
        db = await asyncpg.connect(stack.owner)
        open_now.push_async_callback(db.close)
        night = Night(stack=stack, path=path, api=api, db=db)
        since = local("2026-10-24 19:00").isoformat()
        for home in await settle_many(api, stack, NAMES, zone=ZONE, folder=folder):
            clock = DrivenClock(path=path, force="yes")
            box = open_now.enter_context(Box(folder / home.edge, clock, uplink=Cable))
            made = night.homes[home.name] = Home(settled=home, box=box)
            plan = {"from": since, "dose_plan": PLAN | {"valid_from": since}}
            where = Fitting(
                address=made.dispenser, model="dispenser", role="dispenser", room="", more=plan
            )
            await fit(api, home.citizen, [where])
            task = asyncio.create_task(box.run())
            open_now.push_async_callback(asyncio.gather, task, return_exceptions=True)
            open_now.callback(task.cancel)
        async with asyncio.timeout(SOON):
            for home in night.homes.values():
                await home.box.knows([home.dispenser])
        await night.in_contact(len(NAMES))
        yield night


async def test_what_boxes_that_were_cut_off_over_a_deadline_say_later_decides(night: Night) -> None:
    in_time, late, never, present = (night.homes[name] for name in NAMES)
    deadline = local("03:00")
    await night.moves_to(local("00:15"))
    for home in (in_time, late, never):
        home.cable.pull()
    await night.in_contact(1)

    await night.moves_to(local("02:30", fold=1))
    in_time.takes(local("02:30", fold=1))  # the second 02:30: in time
    await night.moves_to(local("03:05"))

    (alert,) = await night.missed("Hele tiden")
    assert datetime.fromisoformat(alert["raised"]) == deadline
    for name in NAMES[:3]:
        assert await night.missed(name) == [], "of whom nothing is known nothing is said"
        assert (await night.finding(name))[0] == "unknown"

    await night.moves_to(local("03:20"))
    late.takes(local("03:20"))
    present.takes(local("03:20"))
    await present.box.spool.drained.wait()
    await night.quiet(local("03:20"))
    state, reason = await night.finding("Hele tiden")
    assert (state, "Taget for sent kl. 03:20" in reason) == ("ended", True)

    await night.moves_to(local("04:00"))
    for home in (in_time, late, never):
        home.cable.pulled = False
    await night.in_contact(len(NAMES))
    for home in (in_time, late):
        await home.box.spool.drained.wait()
    await night.quiet(local("04:00"))
    await night.moves_to(local("04:02"))

    assert await night.missed("I tide") == []
    assert (await night.finding("I tide"))[0] == "withdrawn"
    assert await night.missed("For sent") == []
    state, reason = await night.finding("For sent")
    assert (state, "Taget for sent kl. 03:20" in reason) == ("ended", True)
    (alert,) = await night.missed("Aldrig")
    assert datetime.fromisoformat(alert["raised"]) == local("04:02")
    assert datetime.fromisoformat(alert["since"]) == deadline
    (alert,) = await night.missed("Hele tiden")
    assert alert["ended"] is not None

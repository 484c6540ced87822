"""Plays a recording through the whole chain on a driven clock, one box for each home.

The order of a step decides what the alerts say, so it is always the same: the step's facts are
spooled, sent, stored and judged first; only then does the clock move on, and what falls due on
the way is judged before the next facts come.
"""

import asyncio
import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from adapters.frame import Frame
from adapters.observation import Kind
from deploy.world import oracle
from deploy.world.api import Api, Json
from deploy.world.fleet import Box
from deploy.world.frames import SOUNDINGS, frame, static_address
from deploy.world.recording import Event, Recording
from deploy.world.settling import Fitting, Settled, fit, settle_many
from deploy.world.stack import Stack
from deploy.world.tally import Connection, Said, compared, stored_and_unreceived
from edge.clock import DrivenClock

HOUR = 3_600_000
"""Milliseconds of the longest step."""
_AFTER = 24
"""Hours that the clock runs on after the last event, so that what it began has ended."""
_OBSERVED = {
    "motion": Kind.MOTION,
    "door": Kind.DOOR,
    "contact": Kind.OPENING,
    "body_temperature": Kind.BODY_TEMPERATURE,
    "skin_temperature": Kind.BODY_TEMPERATURE,
}
_PERCENT = 100

Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Replay:
    """One replay of one recording, from a clock that stands before its first event."""

    recording: Recording
    zone: ZoneInfo
    stack: Stack
    clock: Path
    say: Say
    speed: float | None = None
    """Seconds of the file in one of ours; None: as fast as it goes."""
    settled: dict[str, Settled] = field(default_factory=dict[str, Settled])
    boxes: dict[str, Box] = field(default_factory=dict[str, Box])

    @property
    def starts(self) -> int:
        """The full hour before the first event, milliseconds since 1970."""
        return self.recording.events[0].at // HOUR * HOUR

    async def prepare(self, api: Api) -> None:
        """Homes, boxes and sensors, placed since before the first event."""
        names = self.recording.homes
        homes = await settle_many(
            api,
            self.stack,
            [f"Hjem {name}" for name in names],
            zone=str(self.zone),
            folder=self.stack.folder / "boxes",
            say=self.say,
        )
        self.settled = dict(zip(names, homes, strict=True))
        since = datetime.fromtimestamp(self.starts / 1000, UTC) - timedelta(days=1)
        for name, home in self.settled.items():
            sensors = [sensor for sensor in self.recording.sensors if sensor[0] == name]
            await fit(api, home.citizen, [_fitting(*sensor, since) for sensor in sensors])

    @asynccontextmanager
    async def connected(self, api: Api) -> AsyncGenerator[None]:
        """Every box runs, knows its sensors and is in contact, until the block ends."""
        with ExitStack() as open_boxes:
            clock = DrivenClock(path=self.clock, force="yes")
            for name, home in self.settled.items():
                folder = self.stack.folder / "boxes" / home.edge
                self.boxes[name] = open_boxes.enter_context(Box(folder, clock))
            running = [asyncio.create_task(box.run()) for box in self.boxes.values()]
            try:
                await self._all_know(api)
                yield
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    async def play(self) -> float:
        """The whole recording, step by step; the seconds it took."""
        begun = time.monotonic()
        db: Connection = await asyncpg.connect(self.stack.owner)
        try:
            await self._steps(db)
        finally:
            await db.close()
        return time.monotonic() - begun

    async def outcome(self, api: Api, file: Path, *, seconds: float) -> Json:
        """What came of it, counted in the database and asked of the API."""
        spools = [box.spool.path for box in self.boxes.values()]
        stored, unreceived = await stored_and_unreceived(self.stack.owner, spools)
        sent = len(self.recording.events)
        counts = compared(self._expected(), stored, sent=sent, unreceived=unreceived)
        alerts = await api.alerts()
        kept = self.stack.folder / "alerts.json"
        kept.write_bytes(canonical(self._plain(alerts)))
        naive = oracle.night_doors(file, self.zone)
        return {
            "alerts": dict(sorted(Counter(alert["kind"] for alert in alerts).items())),
            "observations": counts.stored,
            "lost": counts.lost,
            "duplicated": counts.duplicated,
            "replayed": sent,
            "stored": counts.stored,
            "skipped": self.recording.skipped,
            "seconds": round(seconds, 1),
            "night_door": sum(alert["kind"] == "night_door" for alert in alerts),
            "night_door_naive": len(naive),
            "night_doors_differ": sorted(self._differing(alerts, naive)),
            "alerts_file": str(kept),
            "alerts_sha256": hashlib.sha256(kept.read_bytes()).hexdigest(),
        }

    # -- steps

    async def _steps(self, db: Connection) -> None:
        hours = _by_hour(self.recording.events)
        first, last = self.starts // HOUR, max(hours)
        done, told = 0, 0
        for hour in range(first, last + 1 + _AFTER):
            begun = time.monotonic()
            events = hours.get(hour, ())
            await self._facts(db, events)
            await self._clock_moves_to(db, (hour + 1) * HOUR)
            done += len(events)
            told = self._progress(hour, done, told)
            if self.speed is not None and hour <= last:
                await asyncio.sleep(begun + HOUR / 1000 / self.speed - time.monotonic())

    async def _facts(self, db: Connection, events: Sequence[Event]) -> None:
        """Spool what the hour holds, and wait until it is stored, receipted and judged."""
        if not events:
            return
        heard: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            heard[event.home].append(event)
        for name, of_home in heard.items():
            kept = self.boxes[name].hear(map(_frame, of_home))
            if kept != len(of_home):
                raise RuntimeError(f"home {name}: the box was not told to hear every sensor")
            await asyncio.sleep(0)  # what is spooled already may leave meanwhile
        for name in heard:
            await self.boxes[name].spool.drained.wait()
        await _until(db, "SELECT NOT EXISTS (SELECT FROM pending)")

    async def _clock_moves_to(self, db: Connection, at: int) -> None:
        now = datetime.fromtimestamp(at / 1000, UTC)
        set_clock(self.clock, now)
        await _until(
            db,
            "SELECT NOT EXISTS (SELECT FROM deadline WHERE due <= $1)"
            " AND NOT EXISTS (SELECT FROM pending)",
            now,
        )

    def _progress(self, hour: int, done: int, told: int) -> int:
        percent = done * _PERCENT // len(self.recording.events)
        if percent // 5 > told // 5:
            day = datetime.fromtimestamp(hour * HOUR / 1000, self.zone)
            self.say(f"{day:%Y-%m-%d %H:%M}: {done} of {len(self.recording.events)} events")
        return percent

    async def _all_know(self, api: Api) -> None:
        for name, box in self.boxes.items():
            sensors = [sensor for sensor in self.recording.sensors if sensor[0] == name]
            async with asyncio.timeout(60):
                await box.knows(_address(home, sensor, kind) for home, sensor, kind in sensors)
        await api.all_in_contact(seconds=60)

    # -- what came of it

    def _expected(self) -> Counter[Said]:
        return Counter(
            (
                _address(event.home, event.sensor, event.kind),
                int(_OBSERVED[event.kind]),
                event.at,
                float(event.value),
                None,
            )
            for event in self.recording.events
        )

    def _plain(self, alerts: Iterable[Json]) -> list[Json]:
        """The alerts without what is random: ids, and the box's id in a finding's subject."""
        homes = {home.citizen: name for name, home in self.settled.items()}
        plain = [
            {
                "home": homes[alert["citizen"]["id"]],
                **{name: alert[name] for name in _TOLD},
                "findings": [
                    {name: finding[name] for name in _FOUND} for finding in alert["findings"]
                ],
            }
            for alert in alerts
        ]
        return sorted(plain, key=lambda alert: (alert["since"], alert["home"], alert["kind"]))

    def _differing(
        self, alerts: Iterable[Json], naive: frozenset[tuple[str, date]]
    ) -> list[tuple[str, str]]:
        homes = {home.citizen: name for name, home in self.settled.items()}
        found = {
            (
                homes[alert["citizen"]["id"]],
                oracle.evening(datetime.fromisoformat(alert["since"]).astimezone(self.zone)),
            )
            for alert in alerts
            if alert["kind"] == "night_door"
        }
        return [(home, day.isoformat()) for home, day in found ^ naive]


_TOLD = ("kind", "state", "since", "raised", "late", "ended", "reason")
_FOUND = ("rule", "since", "until", "state", "reason")


def set_clock(path: Path, now: datetime) -> None:
    """Let the driven clock show this time: whoever reads just now sees the old or the new."""
    fresh = path.with_suffix(".new")
    fresh.write_text(now.isoformat())
    fresh.replace(path)


def canonical(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can say
    """JSON that is the same bytes for the same content."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


def _by_hour(events: Iterable[Event]) -> dict[int, Sequence[Event]]:
    hours: defaultdict[int, list[Event]] = defaultdict(list)
    for event in events:
        hours[event.at // HOUR].append(event)
    return dict(hours)


@cache
def _address(home: str, sensor: str, kind: str) -> str:
    """Two temperatures of one thermometer are two devices: each says what it measures."""
    return static_address("recorded", home, sensor, kind)


def _frame(event: Event) -> Frame:
    address = _address(event.home, event.sensor, event.kind)
    return frame(event.kind, address, at=event.at, value=event.value)


def _fitting(home: str, sensor: str, kind: str, since: datetime) -> Fitting:
    sounding = SOUNDINGS[kind]
    return Fitting(
        address=_address(home, sensor, kind),
        model=sounding.model,
        role=sounding.role,
        room=sensor,
        more={"from": since.isoformat()},
    )


async def _until(db: Connection, question: str, *arguments: object) -> None:
    """Ask the database until it says yes. A question takes a third of a millisecond."""
    pause = 0.002
    while not await db.fetchval(question, *arguments):
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.02)

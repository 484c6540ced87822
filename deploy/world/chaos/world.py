"""A small town in one evening: eight homes with their boxes, and a centre to be broken."""

import asyncio
import json
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import asyncpg

from deploy.world.api import Api
from deploy.world.chaos.parts import (
    BrokerPart,
    Card,
    DatabasePart,
    Part,
    Program,
    may_mount,
)
from deploy.world.chaos.plan import HOUSES, STAGES, WIRES
from deploy.world.chaos.proxy import Proxy
from deploy.world.chaos.saboteurs import ASYNC_COMMIT, IN_INGEST, UPLINKS
from deploy.world.chaos.town import BEGINS, ZONE, fittings, home_of, town_of
from deploy.world.chaos.traffic import Home
from deploy.world.opened import Opened
from deploy.world.oracle_alerts import Town
from deploy.world.receiver import Receiver
from deploy.world.settling import Settled, add_installer, fit, settle_many
from deploy.world.stack import Stack
from edge.joining.identity import FILE, OWN
from edge.keeping.disk import SPOOL

_HOMES = {"house 1": 1, "house 2": 1, "house 3": 5, "house 4": 1}
"""How many boxes stand in each process of boxes."""
_SILENCED, _WITH_CARD = "house 2", "house 4"
_SECOND = "second ingest"
_CARD_OCTETS, _RESERVE = 12_000_000, 3_000_000
_DISK_OCTETS = 800_000_000
_HOUR = 3_600
_CONNECTED = 60.0


@dataclass(slots=True, kw_only=True)
class World(Opened):
    """All that runs, by name, and what is known of who lives where."""

    folder: Path
    seed: int
    saboteur: str | None
    offset: float
    mounts: bool
    stack: Stack = field(init=False)
    receiver: Receiver = field(init=False)
    parts: dict[str, Part] = field(default_factory=dict[str, Part])
    wires: dict[str, Proxy] = field(default_factory=dict[str, Proxy])
    cards: dict[str, Card] = field(default_factory=dict[str, Card])
    disk: Card | None = None
    locks: dict[str, asyncio.Lock] = field(default_factory=dict[str, asyncio.Lock])
    homes: list[Home] = field(default_factory=list[Home])
    settled: list[Settled] = field(default_factory=list[Settled])
    houses: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    steps: dict[int, float] = field(default_factory=dict[int, float])
    ever_stepped: set[int] = field(default_factory=set[int])
    gateway_step: float = 0.0
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    @classmethod
    def of(cls, folder: Path, *, seed: int, saboteur: str | None) -> Self:
        """A world that is not open yet; its clock is moved to the night."""
        offset = round(BEGINS.timestamp() - datetime.now(UTC).timestamp(), 3)
        return cls(folder=folder, seed=seed, saboteur=saboteur, offset=offset, mounts=may_mount())

    @property
    def clock(self) -> str:
        """The world's clock as a setting."""
        return f"offset:{self.offset}"

    @property
    def town(self) -> Town:
        """What the oracle is told."""
        silenced = [self.settled[index].edge for index in self.houses[_SILENCED]]
        return town_of(self.homes, self.settled, frozenset(silenced))

    @property
    def programs(self) -> Sequence[Program]:
        """The parts that are programs of ours."""
        return [part for part in self.parts.values() if isinstance(part, Program)]

    @property
    def card_edges(self) -> frozenset[str]:
        """The boxes whose card may have been full."""
        return frozenset(self.settled[n].edge for house in self.cards for n in self.houses[house])

    def now(self) -> datetime:
        """What the gateway's clock shows."""
        return datetime.now(UTC) + timedelta(seconds=self.offset + self.gateway_step)

    def record(self, edge: str) -> Path:
        """Where a box writes down its obligations."""
        return self.folder / "records" / f"{edge}.jsonl"

    def spool_folder(self, index: int) -> Path:
        """Where a box has its spool."""
        for house, card in self.cards.items():
            if index in self.houses[house]:
                return card.folder
        return self.folder / "boxes" / self.settled[index].edge

    def seen_in_spool(self, edge: str, place: tuple[str, int]) -> str:
        """Whether a frame is still in its box's spool, in words."""
        index = next(n for n, one in enumerate(self.settled) if one.edge == edge)
        path = self.spool_folder(index) / SPOOL
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as spool:
            found = spool.execute(
                "SELECT f.body IS NOT NULL FROM frame f JOIN stream s ON s.id = f.stream"
                " WHERE s.stream = ? AND f.sequence = ?",
                place,
            ).fetchone()
        return "its box has let go of it" if found is None else "its box still has it"

    def wish(self, *, hush: bool = False) -> None:
        """Tell all boxes how far their clocks have stepped, and whether to be quiet."""
        wanted = self.folder / "talk" / "wishes.json"
        said = {"hush": hush, "steps": {str(index): step for index, step in self.steps.items()}}
        wanted.with_suffix(".new").write_text(json.dumps(said))
        wanted.with_suffix(".new").rename(wanted)

    def status(self) -> Mapping[str, Mapping[str, Any]]:
        """What each process of boxes last said of itself."""
        found: dict[str, Mapping[str, Any]] = {}
        for house in HOUSES:
            file = self.folder / "talk" / f"{house}.status.json"
            if file.exists():
                found[house] = json.loads(file.read_text())
        return found

    async def ask(self, question: str, *arguments: object) -> list[Any]:
        """The first column of what the database says, asked as its owner and past the proxies."""
        db = await asyncpg.connect(self.stack.owner, timeout=10)
        try:
            return [row[0] for row in await db.fetch(question, *arguments)]
        finally:
            await db.close()

    async def step_gateway(self, step: float) -> None:
        """Have all stages start anew with a clock that has stepped."""
        self.gateway_step = step
        self.stack.environment["clock"] = f"offset:{round(self.offset + step, 3)}"
        for name in STAGES:
            async with self.parts[name].lock:
                await self.parts[name].kill(down=0)

    async def silence(self) -> None:
        """End the boxes that are to stay silent, for good."""
        house = self.parts[_SILENCED]
        async with house.lock:
            if isinstance(house, Program):
                house.wanted = False
            await asyncio.to_thread(house.end)

    # -- setting up

    async def _set_up(self) -> None:
        for name in ("records", "talk", "logs", "boxes"):
            (self.folder / name).mkdir(parents=True)
        self.receiver = await self._open.enter_async_context(Receiver())
        if self.mounts:
            database = self.folder / "centre" / "database"
            self._mount(database, _DISK_OCTETS)
            kept = self.folder / "logs" / "database.log"
            self._open.callback(shutil.copyfile, database / "log", kept)
        self.stack = await asyncio.to_thread(
            Stack.start,
            self.folder / "centre",
            clock=self.clock,
            settings={
                "webhook_url": self.receiver.url,
                "webhook_secret": self.receiver.secret,
                "announce": "false",
            },
        )
        self._open.push_async_callback(asyncio.to_thread, self.stack.stop)
        await self._wire()
        self.parts["broker"] = BrokerPart(name="broker", broker=self.stack.broker)
        self.parts["database"] = DatabasePart(name="database", database=self.stack.database)
        if self.mounts:
            self.disk = Card(folder=self.folder / "centre" / "database")
        key = await asyncio.to_thread(add_installer, self.stack)
        for name in STAGES:
            self._stage(name)
        await self._start("api")
        await self._settle(key)
        await self._rules()
        for name in (*(name for name in STAGES if name != "api"), *HOUSES):
            await self._start(name)
        self.locks = {name: asyncio.Lock() for name in (*WIRES, "box", "gateway", "card", "disk")}
        await self._told()

    async def _wire(self) -> None:
        broker, environment = self.stack.broker, self.stack.environment
        targets = (broker.port, broker.gateway_port, self.stack.database.port)
        for name, port in zip(WIRES, targets, strict=True):
            rng = random.Random(f"{self.seed} {name}")  # noqa: S311 - play
            self.wires[name] = await self._open.enter_async_context(Proxy(port, rng))
        boxes, gateway, database = (self.wires[name].port for name in WIRES)
        environment["edge_broker"] = f"mqtts://127.0.0.1:{boxes}"
        environment["broker_port"] = str(gateway)
        environment["database"] = f"postgresql://127.0.0.1:{database}/{self.stack.store.name}"

    def _stage(self, name: str) -> None:
        stage, more = (name, {}) if name != _SECOND else ("ingest", {"GATEWAY_INGEST_NAME": "2"})
        command: Sequence[str] = ("gateway.main", "run", "--only", stage)
        if stage == "ingest" and self.saboteur in IN_INGEST:
            command = ("deploy.world.chaos.ingest", self.saboteur or "")
        self.parts[name] = Program(
            name=name,
            command=command,
            log=self.folder / "logs" / f"{name}.log",
            environment=lambda: {**self._gateway_environment(), **more},
        )

    def _gateway_environment(self) -> Mapping[str, str]:
        told = {f"GATEWAY_{name.upper()}": value for name, value in self.stack.environment.items()}
        return {**told, "PYTHONUNBUFFERED": "1"}

    async def _start(self, name: str) -> None:
        part = self.parts[name]
        await part.back()
        self._open.push_async_callback(asyncio.to_thread, part.end)
        if name == "api":
            async with asyncio.timeout(_CONNECTED):
                while not await asyncio.to_thread(self._answers):  # noqa: ASYNC110 - HTTP has no bell
                    await asyncio.sleep(0.1)

    def _answers(self) -> bool:
        return self.stack.is_ready()

    async def _settle(self, key: str) -> None:
        homes = sum(_HOMES.values())
        names = [f"Borger {number}" for number in range(1, homes + 1)]
        boxes = self.folder / "boxes"
        async with Api(self.stack.address, key) as api:
            self.settled = [
                *await settle_many(api, self.stack, names, zone=str(ZONE), folder=boxes)
            ]
            for index, one in enumerate(self.settled):
                home = home_of(index, homes, self.seed)
                self.homes.append(home)
                await fit(api, one.citizen, fittings(home))
            stray = self.homes[0].stray
            await api.post("/devices", {"address": stray, "model": "call_button"})
        await self._houses()

    async def _houses(self) -> None:
        first = 0
        for house, boxes in _HOMES.items():
            self.houses[house] = list(range(first, first + boxes))
            first += boxes
        if self.mounts:
            await self._insert_card()
        self.wish()
        for house in HOUSES:
            spec = self.folder / "talk" / f"{house}.spec.json"
            spec.write_text(json.dumps(self._spec(house)))
            self.parts[house] = Program(
                name=house,
                command=("deploy.world.chaos.box", str(spec)),
                log=self.folder / "logs" / f"{house}.log",
            )

    async def _insert_card(self) -> None:
        """Give one box a card of its own, and what joining left it."""
        card = self.folder / "card"
        self._mount(card, _CARD_OCTETS)
        self.cards[_WITH_CARD] = Card(folder=card)
        (index,) = self.houses[_WITH_CARD]
        for name in (FILE, OWN):
            shutil.copy2(self.folder / "boxes" / self.settled[index].edge / name, card / name)

    def _mount(self, place: Path, octets: int) -> None:
        place.mkdir(parents=True)
        asked = ("-t", "tmpfs", "-o", f"size={octets},mode=755", "tmpfs", place)
        subprocess.run(("mount", *asked), check=True, stdin=subprocess.DEVNULL)
        self._open.callback(
            subprocess.run, ("umount", "-l", place), check=False, stdin=subprocess.DEVNULL
        )

    def _spec(self, house: str) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "clock": self.clock,
            "wishes": str(self.folder / "talk" / "wishes.json"),
            "status": str(self.folder / "talk" / f"{house}.status.json"),
            "uplink": self.saboteur if self.saboteur in UPLINKS else "honest",
            "boxes": [
                {
                    "folder": str(self.spool_folder(index)),
                    "record": str(self.record(self.settled[index].edge)),
                    "home": asdict(self.homes[index]),
                    "reserve": _RESERVE if house in self.cards else 0,
                }
                for index in self.houses[house]
            ],
        }

    async def _rules(self) -> None:
        """No box counts as silent within an hour: which of them were is then certain."""
        settings = {"call_button_seconds": _HOUR, "other_seconds": _HOUR, "stopped_seconds": _HOUR}
        since = BEGINS - timedelta(days=1)
        await self.ask(
            "WITH known AS (INSERT INTO rule (municipality, name)"
            " SELECT id, 'box_silent' FROM municipality RETURNING municipality, id)"
            " INSERT INTO rule_version (municipality, rule, version, settings, valid_from)"
            " SELECT municipality, id, 1, $1::text::jsonb, $2 FROM known RETURNING version",
            json.dumps(settings),
            since,
        )
        if self.saboteur == ASYNC_COMMIT:
            # the kind of tuning that is found on the web; its price is seen in a crash alone
            for change in ("synchronous_commit = off", "wal_writer_delay = '1s'"):
                await asyncio.to_thread(self.stack.database.execute, f"ALTER SYSTEM SET {change}")
            await asyncio.to_thread(self.stack.database.execute, "SELECT pg_reload_conf()")

    async def _told(self) -> None:
        """Wait until every box is connected and has been told its devices."""
        async with asyncio.timeout(_CONNECTED):
            while True:
                boxes = [b for house in self.status().values() for b in house["boxes"].values()]
                if len(boxes) == len(self.homes) and all(b["told"] and b["kept"] for b in boxes):
                    return
                await asyncio.sleep(0.1)

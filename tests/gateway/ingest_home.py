"""A home with a box and devices in the real database, and ingest's parts with or without broker."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import asyncpg

from adapters.frame import Batch, Lane, encode_batch
from deploy.runtime.services import Broker as RealBroker
from deploy.runtime.services import OneDatabase
from edge.broker import Link
from edge.sending.line import Line
from gateway.health import Health
from gateway.ingest.commands import Commands
from gateway.ingest.contact import UNSURE, Contacts
from gateway.ingest.duty import Duty
from gateway.ingest.known import Known
from gateway.ingest.pipeline import Pipeline
from gateway.ingest.run import run
from gateway.ingest.states import States
from gateway.ingest.subscriber import Broker, Delivery, Subscriber
from gateway.ingest.uptime import BrokerUptime
from gateway.settings import Settings
from gateway.store.pool import Pool, connect
from gateway.store.seal import of_settings
from tests.conftest import GATEWAY_PASSWORD
from tests.frames import BUTTON, DISPENSER, DOOR, NOON
from tests.gateway.house import StillClock

MUNICIPALITY, HOME, CITIZEN, BOX = 1, 1, 1, 1
MODELS = {BUTTON: "call_button", DOOR: "door", DISPENSER: "dispenser"}
ROLES = {BUTTON: "call", DOOR: "door", DISPENSER: "dispenser"}
DAY_BEFORE = datetime.fromtimestamp(NOON / 1_000, UTC) - timedelta(days=1)


async def furnish(dsn: str, boxes: int = 1) -> None:
    """A municipality with one home for each box; the first has three devices, all placed.

    What a database held before is gone.
    """
    db = await asyncpg.connect(dsn)
    await db.execute(
        "TRUNCATE municipality, pending, message, observation, observation_detail, aside_today"
        " RESTART IDENTITY CASCADE"
    )
    await db.execute("INSERT INTO municipality (name) VALUES ('Testby')")
    await db.execute("INSERT INTO district (municipality, name) VALUES (1, 'Nord')")
    for number in range(1, boxes + 1):
        await db.execute("INSERT INTO home (municipality, district) VALUES (1, 1)")
        await db.execute(
            "INSERT INTO citizen (municipality, district, home) VALUES (1, 1, $1)", number
        )
        await db.execute(
            "INSERT INTO edge (municipality, name, home) VALUES (1, $1, $2)",
            f"box-{number:02}",
            number,
        )
    for address, model in MODELS.items():
        device = await db.fetchval(
            "INSERT INTO device (municipality, address, model) VALUES (1, $1, $2) RETURNING id",
            address,
            model,
        )
        await db.execute(
            'INSERT INTO placement (municipality, device, citizen, role, "from")'
            " VALUES (1, $1, 1, $2, $3)",
            device,
            ROLES[address],
            DAY_BEFORE,
        )
    await db.close()


SEAL = of_settings(Settings(production=False))


class Parts:
    """Ingest without a broker: what the lanes' workers do with the messages that a test gives."""

    def __init__(self, pool: Pool, where: OneDatabase, clock: StillClock) -> None:
        self.pool = pool
        self.clock = clock
        self.health = Health()
        self.known = Known(pool, SEAL)
        # never connected: nothing listens on port 1
        self.subscriber = Subscriber(Broker(host="127.0.0.1", port=1), "gateway-urgent", ())
        self.broker_since: float | None = None
        self.contacts = Contacts(
            Duty(pool), self.known, clock, self.subscriber, broker_since=lambda: self.broker_since
        )
        self.where = where
        self.states = States(
            self.subscriber,
            pool,
            clock,
            self.health,
            contacts=self.contacts,
            uptime=BrokerUptime(self.subscriber),
            commands=Commands(Duty(pool), pool, self.subscriber, clock),
        )

    def pipeline(self, lane: Lane = "urgent", kind: type[Pipeline] = Pipeline) -> Pipeline:
        return kind(
            lane,
            subscriber=self.subscriber,
            pool=self.pool,
            known=self.known,
            contacts=self.contacts,
            clock=self.clock,
            health=self.health,
        )

    async def store(self, *batches: Batch | bytes, lane: Lane = "urgent") -> dict[str, Any]:
        """All of them in one transaction; the receipts by box, read."""
        told = await self.pipeline(lane).store([delivery(one, lane) for one in batches])
        return {topic.split("/")[1]: json.loads(said) for topic, said in told.items()}

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Read as owner."""
        return await look(self.where.dsn(), query, *arguments)


def delivery(said: Batch | bytes, lane: Lane = "urgent", *, edge: str = "box-01") -> Delivery:
    payload = said if isinstance(said, bytes) else encode_batch(said)
    name = edge if isinstance(said, bytes) else said.edge
    return Delivery(f"edges/{name}/{lane}", payload, retained=False, number=1)


async def look(dsn: str, query: str, *arguments: object) -> list[dict[str, Any]]:
    db = await asyncpg.connect(dsn)
    try:
        return [dict(row) for row in await db.fetch(query, *arguments)]
    finally:
        await db.close()


@asynccontextmanager
async def parts(where: OneDatabase, *, boxes: int = 1) -> AsyncGenerator[Parts]:
    await furnish(where.dsn(), boxes)
    async with connect(settings(where), "ingest") as pool:
        yield Parts(pool, where, StillClock(datetime.fromtimestamp(NOON / 1_000, UTC)))


def settings(where: OneDatabase, broker: RealBroker | None = None, **more: Any) -> Settings:
    if broker is not None:
        more |= {"broker_port": broker.gateway_port, "broker_password": GATEWAY_PASSWORD}
    return Settings(database=where.address, production=False, **more)


@asynccontextmanager
async def ingest(
    where: OneDatabase,
    broker: RealBroker,
    *,
    pipeline: type[Pipeline] = Pipeline,
    unsure: float = UNSURE,
    **more: Any,
) -> AsyncGenerator[Health]:
    """The whole stage against a real broker, on a clock that stands at noon; `more` settings."""
    health = Health()
    clock = StillClock(datetime.fromtimestamp(NOON / 1_000, UTC))
    stage = run(settings(where, broker, **more), clock, health, pipeline=pipeline, unsure=unsure)
    task = asyncio.create_task(stage)
    try:
        yield health
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Box:
    """The box's end of the line, without a spool: it publishes what a test gives it."""

    def __init__(self, broker: RealBroker, name: str = "box-01") -> None:
        self.name = name
        self.received: list[tuple[str, bytes]] = []
        self.answers: list[int] = []
        """The broker's word on each message, in order: 0 success, 16 nobody takes it."""
        link = Link.to(f"mqtt://127.0.0.1:{broker.port}", edge=name, password=name)
        self._line = Line(link, keepalive=30, arrived=self._arrive, acked=self._answer)

    async def __aenter__(self) -> Self:
        await self._line.open(will=state("lost"), earliest=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._line.close()

    def say(self, said: Batch | bytes, lane: str = "urgent") -> None:
        payload = said if isinstance(said, bytes) else encode_batch(said)
        self._line.publish(f"edges/{self.name}/{lane}", payload, keep=lane == "state")

    def cut(self) -> None:
        self._line.sever()

    def receipts(self) -> list[Mapping[str, Any]]:
        return [json.loads(said) for topic, said in self.received if topic.endswith("/receipt")]

    def configs(self) -> list[Mapping[str, Any]]:
        return [json.loads(said) for topic, said in self.received if topic.endswith("/config")]

    def _answer(self, mid: int | None, code: int) -> None:
        if mid is not None:
            self.answers.append(code)

    def _arrive(self, topic: str, payload: bytes) -> None:
        self.received.append((topic, payload))


def state(word: str, **fields: Any) -> bytes:
    """A state message of a box at noon."""
    lane = {"depth": 0, "oldest": None}
    said: dict[str, Any] = {
        "format": 1,
        "state": word,
        "version": "0.1",
        "at": NOON,
        "started": NOON - 1_000,
        "keepalive": 30,
        "urgent": lane,
        "bulk": lane,
        "config": 0,
        "reader": "hearing",
    }
    return json.dumps(said | fields).encode()


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that other tasks bring about."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what comes true is not an event of ours
            await asyncio.sleep(0.02)

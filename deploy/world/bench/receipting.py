"""A light gateway: it takes batches and gives receipts, and keeps nothing but their numbers.

For what is measured at a box alone, without a database that shares the machine. It speaks to the
real broker, as the real gateway's logins, one connection for each lane.
"""

import asyncio
import contextlib
import json
import secrets
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.frame import LANES, Lane
from deploy.runtime.services import Broker
from deploy.world.bench import packets
from deploy.world.bench.issued import issue, put
from deploy.world.bench.shown import context, own
from edge.keeping.ranges import Ranges
from gateway.edges.authority import begin

USERS: Mapping[Lane, str] = {"urgent": "gateway-urgent", "bulk": "gateway-bulk"}
_READ = 1 << 18
_KEEPALIVE = 60
"""Seconds. More than the broker's `max_keepalive` and it ends a connection whenever it likes."""
_ALL = 1 << 60


class BrokerRefused(Exception):
    """The broker does not let the light gateway in; the text is its answer."""


@dataclass(slots=True, kw_only=True)
class Receipter:
    """Counts the frames that it has given a receipt for."""

    received: int = 0
    """Frames of all batches, those that came twice too."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _epoch: str = "6a0c5a4e-0000-4000-8000-00000000be9c"
    _stored: defaultdict[str, Ranges] = field(default_factory=lambda: defaultdict(Ranges))

    @property
    def stored(self) -> int:
        """Different frames that have a receipt."""
        return sum(ranges.count(below=_ALL) for ranges in self._stored.values())

    async def until(self, happened: Callable[[], bool], *, seconds: float) -> None:
        """Wait until batches have made it so. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not happened():
                self.changed.clear()
                await self.changed.wait()

    async def serve(self, lane: Lane, place: "Place") -> None:
        """Take one lane's batches until cancelled. Raises BrokerRefused, OSError."""
        shown = None if place.certificates is None else context(place.certificates, USERS[lane])
        port = place.broker.gateway_port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=shown)
        try:
            name = USERS[lane]
            writer.write(packets.connect(name, place.password, keepalive=_KEEPALIVE))
            writer.write(packets.subscribe(f"edges/+/{lane}", 1))
            rest = b""
            while received := await _read(reader, writer):
                found, rest = packets.split(rest + received)
                writer.write(b"".join(self._answer(first, body) for first, body in found))
                self.changed.set()
        finally:
            writer.close()
        raise BrokerRefused(f"the broker closed the connection of {USERS[lane]}")

    def _answer(self, first: int, body: bytes) -> bytes:
        if first & 0xF0 == packets.CONNACK and body[1]:
            raise BrokerRefused(f"the broker answers 0x{body[1]:02x}")
        if first & 0xF0 != packets.PUBLISH:
            return b""
        _, number, payload = packets.published(first, body)
        batch = json.loads(payload)
        return packets.puback(number) + self._receipt(batch)

    def _receipt(self, batch: Mapping[str, Any]) -> bytes:
        stream, first = batch["stream"], batch["first"]
        spans = [(gone["first"], gone["last"]) for gone in batch.get("gone", ())]
        if count := len(batch["frames"]):
            spans.append((first, first + count - 1))
        self.received += count
        self._stored[stream] |= spans
        said = {
            "format": 1,
            "epoch": self._epoch,
            "streams": {stream: [list(span) for span in self._stored[stream]]},
        }
        topic = f"edges/{batch['edge']}/receipt"
        return packets.publish(topic, json.dumps(said).encode(), 1)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """What comes next; a lane without batches is kept open meanwhile."""
    while True:
        try:
            async with asyncio.timeout(_KEEPALIVE / 2):
                return await reader.read(_READ)
        except TimeoutError:
            writer.write(packets.PINGREQ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A broker and who may come to it: the light gateway, and one box."""

    broker: Broker
    edge: str
    password: str
    certificates: Path | None = None
    """The folder with what box and light gateway show it (issued.py), where it asks for that."""


def start_broker(folder: Path, edge: str, *, tls: bool = False) -> Place:
    """A broker for one box and the light gateway. Blocks for a moment."""
    password = secrets.token_urlsafe(16)
    users = dict.fromkeys((*USERS.values(), "gateway-config", edge), password)
    if not tls:
        return Place(broker=Broker.start(folder, passwords=users), edge=edge, password=password)
    place, names, now = folder / "authority", ("127.0.0.1",), datetime.now(UTC)
    authority = begin(place, broker_names=names, edge_names=names, now=now)
    certificates = folder / "boxes"
    issue(authority, [edge], certificates, now=now)
    for name in USERS.values():
        pair = [(place / f"{name}.{end}").read_bytes() for end in ("key", "pem")]
        put(own(certificates, name), b"".join(pair))
    broker = Broker.start(folder, passwords={}, authority=place)
    return Place(broker=broker, edge=edge, password="", certificates=certificates)


@asynccontextmanager
async def receipting(place: Place) -> AsyncGenerator[Receipter]:
    """A light gateway at this broker while the block runs."""
    receipter = Receipter()
    tasks = [asyncio.create_task(receipter.serve(lane, place)) for lane in LANES]
    try:
        yield receipter
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)

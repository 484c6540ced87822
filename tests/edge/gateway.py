"""A gateway that is there only as far as a box can tell: it takes batches and gives receipts."""

import asyncio
import json
import socket
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from adapters.frame import LANES, Lane
from deploy.runtime.broker import Broker
from edge.keeping.ranges import Ranges
from tests.conftest import GATEWAY_PASSWORD

EPOCH = "6a0c5a4e-0000-4000-8000-000000000001"
NEXT_EPOCH = "6a0c5a4e-0000-4000-8000-000000000002"
SOON = 8.0
"""Seconds within which what is expected has happened."""

Said = dict[str, Any]


class Gateway:
    """Keeps each batch by (stream, sequence) and answers with the whole stored ranges.

    `answering` off: batches are taken and no receipt is given, as while the database is down.
    """

    def __init__(self, broker: Broker, edge: str) -> None:
        self.answering = True
        self.epoch = EPOCH
        self.batches: list[tuple[Lane, Said]] = []
        self.states: list[Said] = []
        self.frames: dict[tuple[str, int], Said] = {}
        self.stored: defaultdict[str, Ranges] = defaultdict(Ranges)
        self._broker = broker
        self._edge = edge
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._clients = {lane: self._client(lane) for lane in LANES}
        self._config = self._client("config")

    def open(self) -> None:
        """Be there: connected and subscribed."""
        for client in (*self._clients.values(), self._config):
            client.connect("127.0.0.1", self._broker.gateway_port)
            client.loop_start()

    def close(self) -> None:
        """Be gone, sessions and all: the broker has nobody to give a batch to."""
        for client in (*self._clients.values(), self._config):
            client.disconnect()
            client.loop_stop()
            client.on_connect = client.on_message = None  # so that paho closes its own sockets now
        self._clients.clear()
        del self._config

    def configure(self, config: Said | None) -> None:
        """Publish the retained configuration; None takes it away."""
        payload = b"" if config is None else json.dumps(config)
        self._config.publish(f"edges/{self._edge}/config", payload, qos=1, retain=True)

    def forget_state(self) -> None:
        """The retained state message outlives a test: ours alone may be looked at."""
        self.states.clear()

    def receipt(
        self,
        streams: dict[str, list[list[int]]],
        *,
        missing: dict[str, list[list[int]]] | None = None,
    ) -> None:
        said: Said = {"format": 1, "epoch": self.epoch, "streams": streams}
        if missing is not None:
            said["missing"] = missing
        self._clients["urgent"].publish(f"edges/{self._edge}/receipt", json.dumps(said), qos=1)

    @property
    def sent(self) -> list[Said]:
        """What came of devices, stored or not, without what the box says of itself."""
        return [frame for _, batch in self.batches for frame in batch["frames"] if of_device(frame)]

    @property
    def heard(self) -> list[Said]:
        """What is stored of devices, without what the box says of itself."""
        return [frame for frame in self.frames.values() if of_device(frame)]

    async def sees(self, what: Callable[[], object], *, within: float = SOON) -> None:
        """Wait until something is true; fails when it does not become so."""
        async with asyncio.timeout(within):
            while not what():
                self._changed.clear()
                await self._changed.wait()

    def _client(self, lane: str) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"gateway-{lane}-of-{self._edge}",
            protocol=paho.MQTTv5,
        )
        client.username_pw_set(f"gateway-{lane}", GATEWAY_PASSWORD)
        client.on_socket_open = _without_delay
        word = "state" if lane == "config" else lane

        def subscribe(client: paho.Client, *_: object) -> None:
            client.subscribe(f"edges/{self._edge}/{word}", qos=1)

        client.on_connect = subscribe
        client.on_message = self._hand_over
        return client

    def _hand_over(self, _: paho.Client, __: object, message: paho.MQTTMessage) -> None:
        word, said = message.topic.rsplit("/", 1)[1], json.loads(message.payload)
        self._loop.call_soon_threadsafe(self._take, word, said)

    def _take(self, word: str, said: Said) -> None:
        if word == "state":
            self.states.append(said)
        else:
            self._store("urgent" if word == "urgent" else "bulk", said)
        self._changed.set()

    def _store(self, lane: Lane, batch: Said) -> None:
        self.batches.append((lane, batch))
        if not self.answering:
            return
        stream, first = batch["stream"], batch["first"]
        for sequence, frame in enumerate(batch["frames"], start=first):
            self.frames[stream, sequence] = frame
        spans = [(gone["first"], gone["last"]) for gone in batch.get("gone", [])]
        if batch["frames"]:
            spans.append((first, first + len(batch["frames"]) - 1))
        self.stored[stream] |= spans
        self.receipt({stream: [list(span) for span in self.stored[stream]]})


def of_device(frame: Said) -> bool:
    return frame["heard"] != "box"


def _without_delay(_: paho.Client, __: object, made: object) -> None:
    cast("socket.socket", made).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@asynccontextmanager
async def gateway(broker: Broker, edge: str) -> AsyncGenerator[Gateway]:
    """A gateway that is there, and gone afterwards."""
    made = Gateway(broker, edge)
    made.open()
    await asyncio.sleep(0.2)  # subscribed
    made.forget_state()
    try:
        yield made
    finally:
        made.close()

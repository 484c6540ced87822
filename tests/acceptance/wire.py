"""A box's broker account in the hands of a test: whatever bytes, on any topic, as that box."""

import asyncio
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from adapters.frame import Batch, Lane, encode_spooled
from deploy.world.fleet import Box
from edge.clock import state
from edge.joining.identity import Identity, joined
from tests.acceptance.home import SOON

LARGE = 10_000_000
"""Bytes of a message that no broker of ours takes."""


class Refused(Exception):
    """The broker ended the connection instead of taking the message; the text says how."""


class Unanswered(Exception):
    """The broker neither took the message nor refused it: nobody knows what became of it."""


async def publish(box: Box, word: str, payload: bytes, *, edge: str = "") -> None:
    """Publish on one of the box's topics, or the same topic of another. Raises Refused, Unanswered.

    The broker has one session for each box: do it while the box itself is not connected.
    """
    topic = f"edges/{edge or box.edge}/{word}"
    await asyncio.to_thread(_publish, _identity(box), topic, payload)


def spooled_batches(box: Box) -> Iterator[tuple[Lane, bytes]]:
    """All that the box ever spooled, as it would be sent now."""
    with closing(sqlite3.connect(box.spool.path)) as spool:
        for name, lane, boot in spool.execute("SELECT stream, lane, boot FROM stream").fetchall():
            rows = spool.execute(
                "SELECT f.body FROM frame f JOIN stream s ON s.id = f.stream WHERE s.stream = ?"
                " ORDER BY f.sequence",
                (name,),
            )
            yield lane, batch_of(box, name, [body for (body,) in rows], boot=boot)


def batch_of(box: Box, stream: str, bodies: list[str], *, boot: str = "", edge: str = "") -> bytes:
    """A batch of frames that are JSON already, numbered from 1."""
    clock = state(box.clock)
    batch = Batch(
        edge=edge or box.edge,
        stream=stream,
        first=1,
        sent_at=box.clock.now_ms(),
        boot=boot or clock.boot,
        clock=clock,
        frames=(),
    )
    return encode_spooled(batch, bodies)


def _identity(box: Box) -> Identity:
    return joined(box.spool.path.parent)


def _publish(identity: Identity, topic: str, payload: bytes) -> None:
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=identity.edge,
        protocol=MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=False,
    )
    answered = threading.Event()
    ended: list[str] = []

    def gone(*said: object) -> None:
        ended.append(str(said[3]))
        answered.set()

    def taken(*_: object) -> None:
        answered.set()

    client.on_disconnect = gone
    client.on_publish = taken
    trusted = ssl.create_default_context(cadata=identity.ca)
    assert identity.own is not None
    trusted.load_cert_chain(identity.own)
    client.tls_set_context(trusted)  # pyright: ignore[reportUnknownMemberType] - untyped there
    link = identity.link()
    client.connect(link.host, link.port)
    client.loop_start()
    try:
        client.publish(topic, payload, qos=1)
        if not answered.wait(SOON):
            raise Unanswered
        if ended:
            raise Refused(*ended)
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_disconnect = client.on_publish = None

"""One box of the sender: its connection, and how far its home's batches have come."""

import contextlib
import json
import random
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.world.bench import packets
from deploy.world.bench.homes import PASSWORD
from deploy.world.bench.load import COLUMNS, Message
from deploy.world.bench.shown import context
from edge.sending.lanes import PACES

KEEPALIVE = 60
STATE_EVERY = 300.0
"""Seconds between a box's state messages (edge/sending/heartbeat.py)."""
READ = 1 << 16
"""Bytes that are read of a connection at a time."""
BUSY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""Nothing can be read or written now."""

_STATE_NUMBER, _SUBSCRIBE_NUMBER = 2, 9
_PATIENCE = 10.0
_PACE = PACES["bulk"]


class Refused(Exception):
    """The broker does not take a box or closed its connection; the text says which and why."""


@dataclass(slots=True)
class Box:
    """A box as the sender sees it; `line` is open once `open_all` has returned."""

    home: int
    name: str
    stream: str
    line: socket.socket = field(init=False)
    is_open: bool = False
    state_due: float = 0.0
    queue: deque[Message] = field(default_factory=deque[Message])
    unread: bytes = b""
    unwritten: bytes = b""
    message: Message | None = None
    """The one in flight."""
    last: int = 0
    """The last sequence number sent."""
    sent_at: float = 0.0
    """When the one in flight was sent first."""
    due: float = 0.0
    """When it is sent again, should no receipt come."""
    again: int = 0
    """How often it was."""
    took: float = 0.0
    """Seconds that the last receipt took."""
    observations: int = 0
    tally: bytes = bytes(COLUMNS * 4)
    is_idle: bool = True

    def wait(self, now: float) -> None:
        """Wait for the receipt as long as a real box would (edge/sending/lanes.py)."""
        patience = max(_PACE.patience, min(2 * self.took, _PACE.slowest))
        grown = min(patience * 2.0**self.again, max(_PACE.longest, patience))
        self.due = now + grown * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load

    def received(self) -> bytes | None:
        """What has come; None when nothing has, and nothing at all when the broker has closed."""
        try:
            found = self.line.recv(READ)
            # of what is decrypted already epoll does not tell
            while isinstance(self.line, ssl.SSLSocket) and self.line.pending():
                found += self.line.recv(READ)
        except BUSY:
            return None
        return found

    def leave(self) -> None:
        """Say good-bye."""
        with contextlib.suppress(OSError):
            self.line.send(bytes([packets.DISCONNECT, 0]))
        self.line.close()
        self.is_open = False


def open_all(boxes: Sequence[Box], place: tuple[str, int], certificates: Path | None) -> None:
    """Connect as boxes do: subscribed, and with their birth told. Raises Refused, OSError."""
    for box in boxes:
        box.line = line(box.name, place, certificates)
        box.line.sendall(packets.connect(box.name, PASSWORD, keepalive=KEEPALIVE))
    for box in boxes:
        _await(box, packets.CONNACK)
        topics = (f"edges/{box.name}/{word}" for word in ("receipt", "config"))
        asked = (packets.subscribe(topic, _SUBSCRIBE_NUMBER) for topic in topics)
        box.line.sendall(b"".join(asked))
    for box in boxes:
        for _ in ("receipt", "config"):
            _await(box, packets.SUBACK)
        box.line.sendall(state(box))
        box.line.settimeout(0)
        box.state_due = time.monotonic() + 1 + box.home % int(STATE_EVERY)
        box.is_open = True


def line(name: str, place: tuple[str, int], certificates: Path | None) -> socket.socket:
    """A connection that shows the box's certificate, where there are any. Raises OSError."""
    made = socket.create_connection(place, timeout=_PATIENCE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if certificates is None:
        return made
    return context(certificates, name).wrap_socket(made, server_hostname=place[0])


def state(box: Box) -> bytes:
    """A state message as edge/sending/heartbeat.py sends it, kept by the broker."""
    now, lane = time.time_ns() // 1_000_000, {"depth": 0, "oldest": None}
    said = {
        "format": 1,
        "state": "running",
        "version": "bench",
        "at": now,
        "started": now,
        "keepalive": KEEPALIVE,
        "urgent": lane,
        "bulk": lane,
        "config": 1,
        "reader": "hearing",
    }
    topic = f"edges/{box.name}/state"
    return packets.publish(topic, json.dumps(said).encode(), _STATE_NUMBER, retain=True)


def _await(box: Box, kind: int) -> None:
    """Read up to the broker's answer of that kind; other packets are left for later."""
    while True:
        found, rest = packets.split(box.unread)
        for place, (first, body) in enumerate(found):
            if first & 0xF0 == kind:
                if kind == packets.CONNACK and body[1]:
                    raise Refused(f"the broker refuses {box.name} with reason 0x{body[1]:02x}")
                box.unread = b"".join(_whole(found[place + 1 :])) + rest
                return
        received = box.line.recv(READ)
        if not received:
            raise Refused(f"the broker closed the connection of {box.name}")
        box.unread += received


def _whole(found: Sequence[tuple[int, bytes]]) -> Iterator[bytes]:
    """Packets back as they were."""
    return (packets.packet(first, body) for first, body in found)
